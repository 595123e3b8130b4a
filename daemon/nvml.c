/* Numbers and layouts are those of the NVML API reference, version 13; NVIDIA's
 * header does not come with every toolkit, and is not needed. */
#include "daemon/nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"

enum {
    SUCCESS = 0,
    UNCORRECTED = 1, /* nvmlMemoryErrorType_t */
    VOLATILE = 0,    /* nvmlEccCounterType_t */
    XID_EVENT = 8,   /* nvmlEventTypeXidCriticalError */
    NAME_BYTES = 1024,
    PROCESSES_MOST = 1024, /* that use one GPU */
};

struct memory {
    unsigned long long total, free, used;
};

struct process_info {
    unsigned pid;
    unsigned long long bytes;
    unsigned gpu_instance, compute_instance;
};

struct event {
    struct nvml_gpu *gpu;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};

struct event_set;

/* X(needed, field, symbol, arguments): the calls there are. */
#define CALLS(X)                                                               \
    X(true, init, nvmlInit_v2, (void))                                         \
    X(true, shut_down, nvmlShutdown, (void))                                   \
    X(true, driver_version, nvmlSystemGetDriverVersion,                        \
      (char *text, unsigned bytes))                                            \
    X(true, count, nvmlDeviceGetCount_v2, (unsigned *count))                   \
    X(true, find, nvmlDeviceGetHandleByIndex_v2,                               \
      (unsigned index, struct nvml_gpu **gpu))                                 \
    X(true, name, nvmlDeviceGetName,                                           \
      (struct nvml_gpu * gpu, char *text, unsigned bytes))                     \
    X(true, uuid, nvmlDeviceGetUUID,                                           \
      (struct nvml_gpu * gpu, char *text, unsigned bytes))                     \
    X(true, memory, nvmlDeviceGetMemoryInfo,                                   \
      (struct nvml_gpu * gpu, struct memory * memory))                         \
    X(true, capability, nvmlDeviceGetCudaComputeCapability,                    \
      (struct nvml_gpu * gpu, int *major, int *minor))                         \
    X(true, processes, nvmlDeviceGetComputeRunningProcesses_v3,                \
      (struct nvml_gpu * gpu, unsigned *count, struct process_info *to))       \
    X(false, ecc, nvmlDeviceGetTotalEccErrors,                                 \
      (struct nvml_gpu * gpu, int type, int counter,                           \
       unsigned long long *errors))                                            \
    X(false, instances, nvmlDeviceGetMaxMigDeviceCount,                        \
      (struct nvml_gpu * gpu, unsigned *count))                                \
    X(false, instance, nvmlDeviceGetMigDeviceHandleByIndex,                    \
      (struct nvml_gpu * gpu, unsigned number, struct nvml_gpu **instance))    \
    X(false, process_name, nvmlSystemGetProcessName,                           \
      (unsigned pid, char *text, unsigned bytes))                              \
    X(false, make_events, nvmlEventSetCreate, (struct event_set * *set))       \
    X(false, free_events, nvmlEventSetFree, (struct event_set * set))          \
    X(false, want_events, nvmlDeviceRegisterEvents,                            \
      (struct nvml_gpu * gpu, unsigned long long types,                        \
       struct event_set *set))                                                 \
    X(false, next_event, nvmlEventSetWait_v2,                                  \
      (struct event_set * set, struct event * event, unsigned timeout_ms))

#define CALL_FIELD(needed, field, symbol, arguments) int(*field) arguments;

struct nvml {
    void *library;
    CALLS(CALL_FIELD)
    const char *(*error_text)(int status);
    char driver[NVML_TEXT_BYTES];
    struct event_set *events; /* NULL: there are none */
};

static bool fail(const struct nvml *nvml, const char *what, int status,
                 struct error *error)
{
    return error_set(error, ERROR_IO, "%s: %s (NVML error %d)", what,
                     nvml->error_text(status), status);
}

/* dlsym gives a pointer to data, as POSIX has it. */
static bool bind(const struct nvml *nvml, const char *symbol, bool is_needed,
                 void *call, struct error *error)
{
    void *address = dlsym(nvml->library, symbol);
    memcpy(call, &address, sizeof address);
    return address || !is_needed ||
           error_set(error, ERROR_NOT_FOUND,
                     "libnvidia-ml.so.1 has no \"%s\": it is too old", symbol);
}

static bool bind_all(struct nvml *nvml, struct error *error)
{
#define CALL_BIND(needed, field, symbol, arguments)                            \
    if (!bind(nvml, #symbol, needed, &nvml->field, error))                     \
        return false;
    CALLS(CALL_BIND)
    return bind(nvml, "nvmlErrorString", true, &nvml->error_text, error);
}

static bool start(struct nvml *nvml, struct error *error)
{
    int status = nvml->init();
    if (status != SUCCESS) {
        nvml->shut_down = NULL;
        return fail(nvml, "the NVIDIA driver does not answer", status, error);
    }
    nvml->driver_version(nvml->driver, sizeof nvml->driver);
    if (nvml->make_events && nvml->want_events && nvml->next_event &&
        nvml->free_events && nvml->make_events(&nvml->events) != SUCCESS)
        nvml->events = NULL;
    return true;
}

struct nvml *nvml_open(struct error *error)
{
    struct nvml *nvml = xcalloc(1, sizeof *nvml);
    nvml->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!nvml->library)
        error_set(error, ERROR_NOT_FOUND, "%s", dlerror());
    else if (bind_all(nvml, error) && start(nvml, error))
        return nvml;
    else
        nvml->shut_down = NULL;
    nvml_close(nvml);
    return NULL;
}

void nvml_close(struct nvml *nvml)
{
    if (!nvml)
        return;
    if (nvml->events)
        nvml->free_events(nvml->events);
    if (nvml->shut_down)
        nvml->shut_down();
    if (nvml->library)
        dlclose(nvml->library);
    free(nvml);
}

const char *nvml_driver(const struct nvml *nvml)
{
    return nvml->driver;
}

int nvml_count(const struct nvml *nvml)
{
    unsigned count = 0;
    return nvml->count(&count) == SUCCESS ? (int)count : 0;
}

struct nvml_gpu *nvml_find(const struct nvml *nvml, int index,
                           struct error *error)
{
    struct nvml_gpu *gpu = NULL;
    int status = nvml->find((unsigned)index, &gpu);
    if (status == SUCCESS)
        return gpu;
    fail(nvml, "it does not answer", status, error);
    return NULL;
}

int nvml_instances(const struct nvml *nvml, struct nvml_gpu *gpu)
{
    unsigned count = 0;
    bool is_told = nvml->instances && nvml->instance &&
                   nvml->instances(gpu, &count) == SUCCESS;
    return is_told ? (int)count : 0;
}

struct nvml_gpu *nvml_instance(const struct nvml *nvml, struct nvml_gpu *gpu,
                               int number)
{
    struct nvml_gpu *instance = NULL;
    int status = nvml->instance(gpu, (unsigned)number, &instance);
    return status == SUCCESS ? instance : NULL;
}

bool nvml_describe(const struct nvml *nvml, struct nvml_gpu *gpu,
                   struct nvml_facts *facts, struct error *error)
{
    struct memory memory = {0};
    int major = 0, minor = 0;
    int status = nvml->uuid(gpu, facts->uuid, sizeof facts->uuid);
    if (status == SUCCESS)
        status = nvml->name(gpu, facts->model, sizeof facts->model);
    if (status == SUCCESS)
        status = nvml->memory(gpu, &memory);
    if (status != SUCCESS)
        return fail(nvml, "it does not answer", status, error);
    if (nvml->capability(gpu, &major, &minor) == SUCCESS)
        facts->capability = major * 10 + minor;
    facts->memory_bytes = (int64_t)memory.total;
    return true;
}

/* A screen's processes are not listed: they share a GPU with everybody. */
static void list_users(const struct nvml *nvml, struct nvml_gpu *gpu,
                       struct nvml_state *state)
{
    struct process_info processes[PROCESSES_MOST];
    unsigned count = PROCESSES_MOST;
    if (nvml->processes(gpu, &count, processes) != SUCCESS)
        return;
    for (unsigned i = 0; i < count && i < NVML_USERS; i++)
        state->users[state->user_count++] = (struct nvml_user){
            .pid = (pid_t)processes[i].pid,
            .bytes = processes[i].bytes > INT64_MAX
                         ? -1
                         : (int64_t)processes[i].bytes,
        };
}

bool nvml_look(const struct nvml *nvml, struct nvml_gpu *gpu,
               struct nvml_state *state, struct error *error)
{
    struct memory memory;
    unsigned long long errors = 0;
    *state = (struct nvml_state){0};
    int status = nvml->memory(gpu, &memory);
    if (status != SUCCESS)
        return fail(nvml, "it does not answer", status, error);
    state->free_bytes = (int64_t)memory.free;
    if (nvml->ecc && nvml->ecc(gpu, UNCORRECTED, VOLATILE, &errors) == SUCCESS)
        state->ecc_errors = (int64_t)errors;
    list_users(nvml, gpu, state);
    return true;
}

void nvml_watch(struct nvml *nvml, struct nvml_gpu *gpu)
{
    if (nvml->events)
        nvml->want_events(gpu, XID_EVENT, nvml->events);
}

/* Of "XID Errors", those that say nothing against the GPU: a fault in a
 * program, a program ended, a context switch that took too long. */
static bool is_programs(unsigned long long xid)
{
    static const unsigned char own[] = {13, 31, 43, 45, 68, 109};
    return memchr(own, (int)xid, sizeof own) != NULL;
}

bool nvml_next_failure(const struct nvml *nvml, struct nvml_gpu **gpu, int *xid)
{
    struct event event;
    while (nvml->events &&
           nvml->next_event(nvml->events, &event, 0) == SUCCESS) {
        if (event.type != XID_EVENT || is_programs(event.data))
            continue;
        *gpu = event.gpu;
        *xid = (int)event.data;
        return true;
    }
    return false;
}

void nvml_process_name(const struct nvml *nvml, pid_t pid,
                       char name[NVML_TEXT_BYTES])
{
    char path[NAME_BYTES] = "";
    if (!nvml->process_name ||
        nvml->process_name((unsigned)pid, path, sizeof path) != SUCCESS)
        path[0] = '\0';
    const char *slash = strrchr(path, '/');
    snprintf(name, NVML_TEXT_BYTES, "%.90s", slash ? slash + 1 : path);
}
