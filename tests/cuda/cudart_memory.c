/* cudart_memory.c: allocation, as cudart's callers see it. */
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/shim_inside.h"

/* cudaMalloc: "the allocated memory is suitably aligned for any kind of
 * variable.  The memory is not cleared." */
static cudaError_t allocate(void **made, size_t bytes)
{
    const int device = shim_device();
    cudaError_t error = (cudaError_t)shim_device_error(device);
    if (error != cudaSuccess) {
        return error_note(error);
    }
    device_create_context(device);
    if (bytes == 0) {
        *made = NULL;
        return cudaSuccess;
    }
    if (!device_take(device, bytes)) {
        return error_note(cudaErrorMemoryAllocation);
    }
    struct allocation *allocation = memory_new(device, bytes);
    if (allocation == NULL) {
        device_give(device, bytes);
        return error_note(cudaErrorMemoryAllocation);
    }
    *made = allocation->address;
    return cudaSuccess;
}

static void release(struct allocation *allocation)
{
    if (allocation->device != PINNED) {
        device_give(allocation->device, allocation->bytes);
    }
    memory_free(allocation);
}

/* The live allocation that begins at an address; NULL, and a defect. */
static struct allocation *beginning(const void *address, bool is_pinned,
                                    const char *function)
{
    struct allocation *it = memory_find(address);
    if (it == NULL || it->address != address || it->residence != LIVE ||
        (it->device == PINNED) != is_pinned) {
        shim_defect("%s: %p is %s", function, address,
                    it != NULL && it->residence != LIVE
                        ? "already freed"
                        : "not what it has allocated");
        return NULL;
    }
    return it;
}

cudaError_t cudaMalloc(void **made, size_t bytes)
{
    SHIM_ENTER(code, cudaErrorMemoryAllocation);
    return code != 0 ? error_note((cudaError_t)code) : allocate(made, bytes);
}

cudaError_t cudaMallocAsync(void **made, size_t bytes, cudaStream_t stream)
{
    SHIM_ENTER(code, cudaErrorMemoryAllocation);
    if (code == 0 && stream_of(stream, __func__) == NULL) {
        return error_note(cudaErrorInvalidResourceHandle);
    }
    return code != 0 ? error_note((cudaError_t)code) : allocate(made, bytes);
}

/* "This API may perform implicit synchronization": a caller may rely neither
 * on its doing so nor on its not doing so, and memory that queued work still
 * uses is gone. */
cudaError_t cudaFree(void *address)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    if (address == NULL) {
        return error_note((cudaError_t)code);
    }
    struct allocation *it = beginning(address, false, __func__);
    if (it == NULL) {
        return error_note(cudaErrorInvalidValue);
    }
    const int device = it->device;
    if (stream_is_any_order(2)) {
        stream_run_device(device);
    }
    release(it);
    return error_note(code != 0 ? (cudaError_t)code
                                : (cudaError_t)shim_device_error(device));
}

static void free_later(void *context)
{
    struct allocation *const *it = context;
    release(*it);
}

/* "Accessing the memory after the free in stream order is undefined": what is
 * queued from here on does not find it any more. */
cudaError_t cudaFreeAsync(void *address, cudaStream_t stream)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    if (address == NULL) {
        return error_note((cudaError_t)code);
    }
    struct allocation *it = beginning(address, false, __func__);
    struct allocation **context = malloc(sizeof *context);
    if (it == NULL || context == NULL) {
        free(context);
        return error_note(cudaErrorInvalidValue);
    }
    it->residence = LEAVING;
    *context = it;
    cudaError_t error =
        (cudaError_t)shim_enqueue(stream, __func__, free_later, context);
    if (error != cudaSuccess) {
        release(it);
    }
    return error_note(code != 0 ? (cudaError_t)code : error);
}

static cudaError_t allocate_pinned(void **made, size_t bytes)
{
    cudaError_t error = (cudaError_t)shim_device_error(shim_device());
    if (error != cudaSuccess || bytes == 0) {
        *made = error == cudaSuccess ? NULL : *made;
        return error_note(error);
    }
    device_create_context(shim_device());
    struct allocation *allocation = memory_new(PINNED, bytes);
    if (allocation == NULL) {
        return error_note(cudaErrorMemoryAllocation);
    }
    *made = allocation->address;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **made, size_t bytes)
{
    SHIM_ENTER(code, cudaErrorMemoryAllocation);
    return code != 0 ? error_note((cudaError_t)code)
                     : allocate_pinned(made, bytes);
}

cudaError_t cudaHostAlloc(void **made, size_t bytes, unsigned flags)
{
    SHIM_ENTER(code, cudaErrorMemoryAllocation);
    if (code == 0 && (flags & ~(unsigned)(cudaHostAllocPortable |
                                          cudaHostAllocWriteCombined)) != 0) {
        shim_defect("%s: flags %#x: mapped memory is not replaced", __func__,
                    flags);
        return error_note(cudaErrorInvalidValue);
    }
    return code != 0 ? error_note((cudaError_t)code)
                     : allocate_pinned(made, bytes);
}

cudaError_t cudaFreeHost(void *address)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    if (address == NULL) {
        return error_note((cudaError_t)code);
    }
    struct allocation *it = beginning(address, true, __func__);
    if (it == NULL) {
        return error_note(cudaErrorInvalidValue);
    }
    if (copy_is_pending(it->address, it->bytes)) {
        shim_defect("%s: a copy that has not run uses pinned allocation %u",
                    __func__, it->number);
        stream_run_device(NO_DEVICE);
    }
    release(it);
    return error_note((cudaError_t)code);
}

cudaError_t cudaMemGetInfo(size_t *unused, size_t *total)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    cudaError_t error = (cudaError_t)shim_device_error(shim_device());
    if (code != 0 || error != cudaSuccess) {
        return error_note(code != 0 ? (cudaError_t)code : error);
    }
    device_create_context(shim_device());
    *unused = device_free_bytes(shim_device());
    *total = device_total_bytes(shim_device());
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes,
                                     const void *address)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    struct allocation *it = memory_find(address);
    if (code != 0) {
        return error_note((cudaError_t)code);
    }
    *attributes = (struct cudaPointerAttributes){
        .type = cudaMemoryTypeUnregistered, .device = -2};
    if (it != NULL && it->residence == LIVE && it->device == PINNED) {
        attributes->type = cudaMemoryTypeHost;
        attributes->device = shim_device();
        attributes->hostPointer = (void *)address;
    } else if (it != NULL && it->residence == LIVE) {
        attributes->type = cudaMemoryTypeDevice;
        attributes->device = it->device;
        attributes->devicePointer = (void *)address;
    }
    return cudaSuccess;
}
