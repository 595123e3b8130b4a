/* nvml.c: a replacement libnvidia-ml.so.1, which tells what the rig says. */
#include "tests/cuda/nvml.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "tests/cuda/rig.h"

enum { MIG_MOST = 7, NO_INSTANCE = -1 };

/* A handle is an address in here: an index into the rig's GPUs. */
struct nvmlDevice_st {
    char unused;
};
static struct nvmlDevice_st handles[RIG_GPUS];

struct nvmlEventSet_st {
    uint64_t types[RIG_GPUS]; /* registered for each */
    int seen;                 /* events of the rig that came before */
    int watch;                /* inotify's, on the rig's folder; -1: none */
};

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int init_count;

static void unlock(const struct rig *const *rig)
{
    (void)rig;
    pthread_mutex_unlock(&lock);
}

static const struct rig *locked(void)
{
    pthread_mutex_lock(&lock);
    return rig_now();
}

/* Begins a call: NVML must be initialised. */
#define RIG(rig)                                                               \
    const struct rig *rig __attribute__((cleanup(unlock))) = locked();         \
    if (init_count == 0) {                                                     \
        return NVML_ERROR_UNINITIALIZED;                                       \
    }

static int index_of(const struct rig *rig, nvmlDevice_t device)
{
    return device >= handles && device < handles + rig->gpu_count
               ? (int)(device - handles)
               : -1;
}

/* Begins a call about a device, which may be lost. */
#define GPU(rig, gpu, device)                                                  \
    RIG(rig)                                                                   \
    if (index_of(rig, device) < 0) {                                           \
        return NVML_ERROR_INVALID_ARGUMENT;                                    \
    }                                                                          \
    const struct rig_gpu *gpu = &rig->gpus[index_of(rig, device)];             \
    if (gpu->nvml_error != 0) {                                                \
        return (nvmlReturn_t)gpu->nvml_error;                                  \
    }

static nvmlReturn_t put(const char *text, char *to, unsigned length)
{
    if (to == NULL) {
        return NVML_ERROR_INVALID_ARGUMENT;
    }
    if (strlen(text) >= length) {
        return NVML_ERROR_INSUFFICIENT_SIZE;
    }
    memcpy(to, text, strlen(text) + 1);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlInit_v2(void)
{
    const struct rig *rig __attribute__((cleanup(unlock))) = locked();
    if (rig->init_error != 0) {
        return (nvmlReturn_t)rig->init_error;
    }
    init_count++;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    return nvmlInit_v2();
}

nvmlReturn_t nvmlShutdown(void)
{
    RIG(rig)
    init_count--;
    return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    static const struct {
        nvmlReturn_t result;
        const char *text;
    } texts[] = {
        {NVML_SUCCESS, "Success"},
        {NVML_ERROR_UNINITIALIZED, "Uninitialized"},
        {NVML_ERROR_INVALID_ARGUMENT, "Invalid Argument"},
        {NVML_ERROR_NOT_SUPPORTED, "Not Supported"},
        {NVML_ERROR_NO_PERMISSION, "Insufficient Permissions"},
        {NVML_ERROR_NOT_FOUND, "Not Found"},
        {NVML_ERROR_INSUFFICIENT_SIZE, "Insufficient Size"},
        {NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"},
        {NVML_ERROR_TIMEOUT, "Timeout"},
        {NVML_ERROR_GPU_IS_LOST, "GPU is lost"},
        {NVML_ERROR_RESET_REQUIRED, "GPU requires reset"},
        {NVML_ERROR_LIB_RM_VERSION_MISMATCH, "Driver/library version mismatch"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].result == result) {
            return texts[i].text;
        }
    }
    return "Unknown Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length)
{
    RIG(rig)
    return put(rig->driver, version, length);
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned length)
{
    RIG(rig)
    char text[96];
    snprintf(text, sizeof text, "13.%s", rig->driver);
    return put(text, version, length);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
    RIG(rig)
    *version = rig->cuda_version;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    return nvmlSystemGetCudaDriverVersion(version);
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length)
{
    RIG(rig)
    for (int i = 0; i < rig->process_count; i++) {
        if (rig->processes[i].pid == pid) {
            return put(rig->processes[i].name, name, length);
        }
    }
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count)
{
    RIG(rig)
    *count = 0;
    while (rig_find_gpu(rig, (int)*count) >= 0) {
        ++*count;
    }
    return NVML_SUCCESS;
}

static nvmlReturn_t give(const struct rig *rig, int index,
                         nvmlReturn_t otherwise, nvmlDevice_t *device)
{
    if (index < 0) {
        return otherwise;
    }
    if (rig->gpus[index].nvml_error != 0) {
        return (nvmlReturn_t)rig->gpus[index].nvml_error;
    }
    *device = &handles[index];
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device)
{
    RIG(rig)
    return give(rig, rig_find_gpu(rig, (int)index), NVML_ERROR_INVALID_ARGUMENT,
                device);
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    RIG(rig)
    int found = -1;
    for (int i = 0; i < rig->gpu_count; i++) {
        found = strcmp(rig->gpus[i].uuid, uuid) == 0 ? i : found;
    }
    return give(rig, found, NVML_ERROR_NOT_FOUND, device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus,
                                              nvmlDevice_t *device)
{
    RIG(rig)
    int found = -1;
    for (int i = 0; i < rig->gpu_count; i++) {
        if (rig->gpus[i].parent < 0 && strcmp(rig->gpus[i].bus, bus) == 0) {
            found = i;
        }
    }
    return give(rig, found, NVML_ERROR_NOT_FOUND, device);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length)
{
    GPU(rig, gpu, device)
    return put(gpu->name, name, length);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length)
{
    GPU(rig, gpu, device)
    return put(gpu->uuid, uuid, length);
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned *index)
{
    GPU(rig, gpu, device)
    *index = (unsigned)gpu->number;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned *number)
{
    GPU(rig, gpu, device)
    *number = (unsigned)gpu->number;
    return gpu->parent < 0 ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    GPU(rig, gpu, device)
    *pci = (nvmlPciInfo_t){0};
    sscanf(gpu->bus, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device);
    snprintf(pci->busId, sizeof pci->busId, "%s", gpu->bus);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%.15s", gpu->bus + 4);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major,
                                                int *minor)
{
    GPU(rig, gpu, device)
    *major = gpu->major;
    *minor = gpu->minor;
    return NVML_SUCCESS;
}

/* Of a GPU that is divided, all of it. */
static uint64_t used_of(const struct rig *rig, int index)
{
    struct rig_process users[RIG_PROCESSES];
    int count = rig_users(index, users, RIG_PROCESSES);
    uint64_t used = rig->gpus[index].used_bytes;
    for (int i = 0; i < count; i++) {
        used += users[i].bytes;
    }
    for (int n = 0; rig_find_instance(rig, index, n) >= 0; n++) {
        used += used_of(rig, rig_find_instance(rig, index, n));
    }
    return used < rig->gpus[index].memory_bytes ? used
                                                : rig->gpus[index].memory_bytes;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    GPU(rig, gpu, device)
    memory->total = gpu->memory_bytes;
    memory->used = used_of(rig, index_of(rig, device));
    memory->free = memory->total - memory->used;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device,
                                        nvmlMemory_v2_t *memory)
{
    GPU(rig, gpu, device)
    if (memory->version != (sizeof *memory | 2u << 24)) {
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    }
    memory->total = gpu->memory_bytes;
    memory->used = used_of(rig, index_of(rig, device));
    memory->free = memory->total - memory->used;
    memory->reserved = 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device,
                                           nvmlUtilization_t *rates)
{
    GPU(rig, gpu, device)
    *rates = (nvmlUtilization_t){0};
    return gpu->parent < 0 ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, int *mode)
{
    GPU(rig, gpu, device)
    *mode = 0; /* any number of processes */
    return NVML_SUCCESS;
}

/* A GPU's own users, then those of its instances. */
static int all_users(const struct rig *rig, int index, struct rig_process *to,
                     int room)
{
    int count = rig_users(index, to, room);
    for (int n = 0; rig_find_instance(rig, index, n) >= 0; n++) {
        count += rig_users(rig_find_instance(rig, index, n), to + count,
                           room - count);
    }
    return count;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device,
                                                     unsigned *count,
                                                     nvmlProcessInfo_t *to)
{
    struct rig_process users[RIG_PROCESSES];
    GPU(rig, gpu, device)
    const unsigned room = *count;
    *count =
        (unsigned)all_users(rig, index_of(rig, device), users, RIG_PROCESSES);
    if (*count > room) {
        return NVML_ERROR_INSUFFICIENT_SIZE;
    }
    for (unsigned i = 0; i < *count; i++) {
        bool is_instance = rig->gpus[users[i].gpu].parent >= 0;
        unsigned id = is_instance ? (unsigned)rig->gpus[users[i].gpu].number
                                  : 0xffffffffu;
        to[i] = (nvmlProcessInfo_t){users[i].pid, users[i].bytes, id,
                                    is_instance ? 0 : 0xffffffffu};
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device,
                                                      unsigned *count,
                                                      nvmlProcessInfo_t *to)
{
    GPU(rig, gpu, device)
    (void)to;
    *count = 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device,
                                                        unsigned *count,
                                                        nvmlProcessInfo_t *to)
{
    return nvmlDeviceGetGraphicsRunningProcesses_v3(device, count, to);
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, int type,
                                         int counter,
                                         unsigned long long *errors)
{
    GPU(rig, gpu, device)
    (void)counter;
    *errors = type == 1 && gpu->cuda_error == 214; /* uncorrected */
    return NVML_SUCCESS;
}

/* "For Ampere or newer". */
nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current,
                                  unsigned *pending)
{
    GPU(rig, gpu, device)
    bool is_divided = rig_find_instance(rig, index_of(rig, device), 0) >= 0;
    if (gpu->parent >= 0 || (gpu->major < 8 && !is_divided)) {
        return NVML_ERROR_NOT_SUPPORTED;
    }
    *current = *pending = is_divided;
    return NVML_SUCCESS;
}

/* "Returns zero if MIG is not supported or enabled". */
nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device,
                                            unsigned *count)
{
    GPU(rig, gpu, device)
    *count =
        rig_find_instance(rig, index_of(rig, device), 0) >= 0 ? MIG_MOST : 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device,
                                                 unsigned index,
                                                 nvmlDevice_t *instance)
{
    GPU(rig, gpu, device)
    return give(rig, rig_find_instance(rig, index_of(rig, device), (int)index),
                NVML_ERROR_NOT_FOUND, instance);
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device,
                                         unsigned *is_instance)
{
    GPU(rig, gpu, device)
    *is_instance = gpu->parent >= 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t instance,
                                                          nvmlDevice_t *device)
{
    GPU(rig, gpu, instance)
    return give(rig, gpu->parent, NVML_ERROR_INVALID_ARGUMENT, device);
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned *id)
{
    GPU(rig, gpu, device)
    *id = (unsigned)gpu->number;
    return gpu->parent >= 0 ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

/* ---- events: those of the rig, in its order ---- */

static int watch_folder(void)
{
    const char *path = getenv("CUDASHIM_RIG");
    if (path == NULL) {
        return -1;
    }
    char *folder = strdup(path);
    char *slash = folder == NULL ? NULL : strrchr(folder, '/');
    if (slash != NULL) {
        slash[1] = '\0';
    }
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    inotify_add_watch(watch, slash != NULL ? folder : ".",
                      IN_CLOSE_WRITE | IN_MOVED_TO);
    free(folder);
    return watch;
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *made)
{
    RIG(rig)
    struct nvmlEventSet_st *set = calloc(1, sizeof *set);
    if (set == NULL) {
        return NVML_ERROR_MEMORY;
    }
    set->seen = rig->event_count;
    set->watch = watch_folder();
    *made = set;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    RIG(rig)
    if (set->watch >= 0) {
        close(set->watch);
    }
    free(set);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device,
                                              unsigned long long *types)
{
    GPU(rig, gpu, device)
    *types = 0x1f; /* ECC, power state, Xid, clock */
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device,
                                      unsigned long long types,
                                      nvmlEventSet_t set)
{
    GPU(rig, gpu, device)
    set->types[index_of(rig, device)] |= types;
    return NVML_SUCCESS;
}

/* The next event that the set is registered for. */
static bool next_event(struct nvmlEventSet_st *set, nvmlEventData_t *data)
{
    const struct rig *rig __attribute__((cleanup(unlock))) = locked();
    while (set->seen < rig->event_count) {
        const struct rig_event *event = &rig->events[set->seen++];
        if (set->types[event->gpu] & event->type) {
            *data = (nvmlEventData_t){&handles[event->gpu], event->type,
                                      event->data, 0xffffffffu, 0xffffffffu};
            return true;
        }
    }
    return false;
}

/* "Can return before the timeout": when the rig has changed otherwise. */
nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data,
                                 unsigned timeout_ms)
{
    char changes[4096];
    struct pollfd watch = {.fd = set->watch, .events = POLLIN};
    if (next_event(set, data)) {
        return NVML_SUCCESS;
    }
    if (poll(&watch, 1, (int)timeout_ms) < 0 && errno != EINTR) {
        return NVML_ERROR_UNKNOWN;
    }
    while (set->watch >= 0 && read(set->watch, changes, sizeof changes) > 0) {
    }
    return next_event(set, data) ? NVML_SUCCESS : NVML_ERROR_TIMEOUT;
}
