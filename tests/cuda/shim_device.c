/* shim_device.c: the devices of the rig that this process sees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/rig.h"
#include "tests/cuda/shim_inside.h"

struct device {
    int rig;
    size_t used_bytes;
    cudaError_t error;
    bool has_context;
};

static struct device devices[DEVICES];
static int count = -1; /* not looked yet */
static __thread int current;
static __thread cudaError_t last_error;

static void add(int rig)
{
    for (int i = 0; i < count; i++) {
        if (devices[i].rig == rig) {
            return;
        }
    }
    if (count < DEVICES) {
        devices[count++] = (struct device){.rig = rig};
    }
}

/* A GPU, or of one that is divided its first instance: "CUDA can only
 * enumerate a single compute instance" (MIG user guide). */
static int usable(const struct rig *rig, int gpu)
{
    int instance = rig_find_instance(rig, gpu, 0);
    return instance >= 0 ? instance : gpu;
}

/* What one word of CUDA_VISIBLE_DEVICES names: a number, or the beginning of
 * a UUID (CUDA C++ programming guide, "CUDA Environment Variables"). */
static int named(const struct rig *rig, const char *word, size_t length)
{
    char *end;
    long number = strtol(word, &end, 10);
    if (end == word + length && length > 0) {
        int gpu = number < 0 ? -1 : rig_find_gpu(rig, (int)number);
        return gpu < 0 ? -1 : usable(rig, gpu);
    }
    for (int i = 0; length > 4 && i < rig->gpu_count; i++) {
        if (strncmp(rig->gpus[i].uuid, word, length) == 0) {
            return rig->gpus[i].parent < 0 ? usable(rig, i) : i;
        }
    }
    return -1;
}

static void look(void)
{
    const struct rig *rig = rig_now();
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    count = 0;
    for (int i = 0; visible == NULL && i < rig->gpu_count; i++) {
        if (rig->gpus[i].parent < 0) {
            add(usable(rig, i));
        }
    }
    /* "Devices whose index is before the invalid one are visible." */
    while (visible != NULL && *visible != '\0') {
        size_t length = strcspn(visible, ",");
        int gpu = named(rig, visible, length);
        if (gpu < 0) {
            return;
        }
        add(gpu);
        visible += length + (visible[length] == ',');
    }
}

int device_count(void)
{
    if (count < 0) {
        look();
    }
    return count;
}

int device_rig(int device)
{
    return devices[device].rig;
}

cudaError_t device_available(void)
{
    if (rig_now()->cuda_version < CUDART_VERSION / 1000 * 1000) {
        return cudaErrorInsufficientDriver;
    }
    return device_count() == 0 ? cudaErrorNoDevice : cudaSuccess;
}

int shim_device(void)
{
    return current;
}

int shim_device_error(int device)
{
    cudaError_t error = device_available();
    if (error != cudaSuccess) {
        return error;
    }
    int lost = rig_now()->gpus[devices[device].rig].cuda_error;
    if (lost != 0) {
        device_fail(device, (cudaError_t)lost);
    }
    return devices[device].error;
}

void device_fail(int device, cudaError_t error)
{
    if (devices[device].error == cudaSuccess) {
        devices[device].error = error;
    }
}

void device_create_context(int device)
{
    if (!devices[device].has_context) {
        devices[device].has_context = true;
        rig_use(devices[device].rig, 0);
    }
    current = device;
}

bool device_has_context(int device)
{
    return devices[device].has_context;
}

size_t device_free_bytes(int device)
{
    struct device *it = &devices[device];
    uint64_t total = rig_now()->gpus[it->rig].memory_bytes;
    uint64_t used = rig_used_by_others(it->rig) + it->used_bytes;
    return used < total ? total - used : 0;
}

size_t device_total_bytes(int device)
{
    return rig_now()->gpus[devices[device].rig].memory_bytes;
}

bool device_take(int device, size_t bytes)
{
    struct device *it = &devices[device];
    if (bytes > device_free_bytes(device)) {
        return false;
    }
    it->used_bytes += bytes;
    rig_use(it->rig, it->used_bytes);
    return true;
}

void device_give(int device, size_t bytes)
{
    struct device *it = &devices[device];
    it->used_bytes -= bytes;
    rig_use(it->rig, it->used_bytes);
}

cudaError_t error_note(cudaError_t error)
{
    if (error != cudaSuccess && error != cudaErrorNotReady) {
        last_error = error;
    }
    return error;
}

cudaError_t cudaGetLastError(void)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    cudaError_t error = code != 0 ? (cudaError_t)code : last_error;
    last_error = cudaSuccess;
    if (error == cudaSuccess && device_available() == cudaSuccess) {
        error = (cudaError_t)shim_device_error(current);
    }
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? (cudaError_t)code : last_error;
}
