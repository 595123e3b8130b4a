/* cudart_copy.c: copies and fills, and what the host may do meanwhile.
 *
 * "API synchronization behavior" (cuda_runtime_api.h): between device memory
 * and pinned memory a copy is asynchronous; with pageable memory it *might* be
 * synchronous, so a caller may rely on neither.  Both are done when the
 * schedule says so.  A host buffer that is not as it was left when its copy
 * runs was changed or freed too early; one that waits for data is NaN. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/shim_inside.h"

struct copy {
    char *to;
    const char *from; /* NULL: fill with `value` */
    size_t to_pitch, from_pitch, width, height;
    int value;
    int other_device; /* of a copy between devices; NO_DEVICE: no other */
    const char *host; /* the operand in host memory; NULL: none */
    bool is_checked;
    uint64_t host_hash;
    struct copy *next, **previous; /* among those that have not run */
};

static struct copy *pending;

static size_t extent(size_t pitch, size_t width, size_t height)
{
    return width == 0 || height == 0 ? 0 : (height - 1) * pitch + width;
}

static size_t host_pitch(const struct copy *copy)
{
    return copy->host == copy->to ? copy->to_pitch : copy->from_pitch;
}

/* FNV-1a over words */
static uint64_t hash(const struct copy *copy)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t row = 0; row < copy->height; row++) {
        const char *at = copy->host + row * host_pitch(copy);
        for (size_t i = 0; i < copy->width; i += sizeof(uint64_t)) {
            uint64_t word = 0;
            size_t left = copy->width - i;
            memcpy(&word, at + i, left < sizeof word ? left : sizeof word);
            sum = (sum ^ word) * 0x100000001b3u;
        }
    }
    return sum;
}

bool copy_is_pending(const void *address, size_t bytes)
{
    const char *from = address;
    for (const struct copy *it = pending; it != NULL; it = it->next) {
        size_t used = extent(host_pitch(it), it->width, it->height);
        if (it->host < from + bytes && from < it->host + used) {
            return true;
        }
    }
    return false;
}

static void unlink_pending(struct copy *copy)
{
    if (copy->host != NULL) {
        *copy->previous = copy->next;
        if (copy->next != NULL) {
            copy->next->previous = copy->previous;
        }
    }
}

static void link_pending(struct copy *copy)
{
    copy->next = pending;
    copy->previous = &pending;
    if (pending != NULL) {
        pending->previous = &copy->next;
    }
    pending = copy;
}

void copy_drop(const void *context)
{
    for (struct copy *it = pending; it != NULL; it = it->next) {
        if (it == context) {
            unlink_pending(it);
            return;
        }
    }
}

/* What another copy writes or has written meanwhile is not the host's doing. */
static void distrust_overlapping(const struct copy *ran)
{
    size_t bytes = extent(host_pitch(ran), ran->width, ran->height);
    for (struct copy *it = pending; it != NULL; it = it->next) {
        size_t used = extent(host_pitch(it), it->width, it->height);
        if (it->host < ran->host + bytes && ran->host < it->host + used) {
            it->is_checked = false;
        }
    }
}

static void move(const struct copy *copy)
{
    for (size_t row = 0; row < copy->height; row++) {
        char *to = copy->to + row * copy->to_pitch;
        if (copy->from == NULL) {
            memset(to, copy->value, copy->width);
        } else {
            memmove(to, copy->from + row * copy->from_pitch, copy->width);
        }
    }
}

/* The memory of one device is open at a time. */
static void move_between(const struct copy *copy)
{
    char *row = malloc(copy->width);
    const int here = memory_find(copy->to)->device;
    for (size_t i = 0; row != NULL && i < copy->height; i++) {
        memory_open(copy->other_device);
        memcpy(row, copy->from + i * copy->from_pitch, copy->width);
        memory_open(here);
        memcpy(copy->to + i * copy->to_pitch, row, copy->width);
    }
    free(row);
}

static void run(void *context)
{
    struct copy *copy = context;
    unlink_pending(copy);
    if (copy->is_checked && hash(copy) != copy->host_hash) {
        shim_defect("%s: its %s host buffer %p was changed or freed before it "
                    "ran",
                    shim_running,
                    memory_is_pinned(copy->host) ? "pinned" : "pageable",
                    (const void *)copy->host);
    }
    if (copy->other_device != NO_DEVICE) {
        move_between(copy);
    } else {
        move(copy);
    }
    if (copy->host != NULL && copy->host == copy->to) {
        distrust_overlapping(copy);
    }
}

/* A destination must not be read, nor a source written, before it is done. */
static void guard_host(struct copy *copy)
{
    if (copy->host == NULL) {
        return;
    }
    if (!stream_is_eager()) {
        if (copy->host == copy->to) {
            distrust_overlapping(copy);
            for (size_t row = 0; row < copy->height; row++) {
                memset(copy->to + row * copy->to_pitch, 0xff, copy->width);
            }
        }
        copy->is_checked =
            copy->host == copy->to ||
            !copy_is_pending(copy->host, extent(copy->from_pitch, copy->width,
                                                copy->height));
        copy->host_hash = copy->is_checked ? hash(copy) : 0;
    }
    link_pending(copy);
}

/* Which ends are on the device, by cudaMemcpyKind; "cudaMemcpyDefault" infers
 * it from the addresses. */
static bool is_kind(enum cudaMemcpyKind kind, bool is_to, bool is_from)
{
    static const struct {
        bool to, from;
    } ends[] = {
        [cudaMemcpyHostToHost] = {false, false},
        [cudaMemcpyHostToDevice] = {true, false},
        [cudaMemcpyDeviceToHost] = {false, true},
        [cudaMemcpyDeviceToDevice] = {true, true},
    };
    return kind == cudaMemcpyDefault ||
           (kind <= cudaMemcpyDeviceToDevice && ends[kind].to == is_to &&
            ends[kind].from == is_from);
}

static int device_of(const void *address)
{
    const struct allocation *it = memory_find(address);
    return it != NULL ? it->device : NO_DEVICE;
}

/* Both ends lie in what they say they lie in. */
static bool is_sound(const struct copy *copy, const char *function)
{
    struct shim_operand ends[] = {
        {"the destination", copy->to,
         extent(copy->to_pitch, copy->width, copy->height), true},
        {"the source", copy->from,
         extent(copy->from_pitch, copy->width, copy->height), false},
    };
    if (copy->to_pitch < copy->width ||
        (copy->from != NULL && copy->from_pitch < copy->width)) {
        shim_defect("%s: a pitch is smaller than the width %zu", function,
                    copy->width);
        return false;
    }
    for (int i = 0; i < (copy->from == NULL ? 1 : 2); i++) {
        const struct allocation *it = memory_find(ends[i].address);
        size_t offset =
            it == NULL ? 0
                       : (size_t)((const char *)ends[i].address - it->address);
        if (it != NULL && it->device == PINNED) {
            if (it->residence != LIVE || offset + ends[i].bytes > it->bytes) {
                shim_defect("%s: %s of %zu bytes is not within pinned "
                            "allocation %u of %zu",
                            function, ends[i].name, ends[i].bytes, it->number,
                            it->bytes);
                return false;
            }
        } else if (shim_is_device(ends[i].address) &&
                   !shim_check(function, it == NULL ? 0 : it->device,
                               &ends[i])) {
            return false;
        }
    }
    return copy->from == NULL || shim_check_overlap(function, ends, 2);
}

static cudaError_t enqueue(const struct copy *wished, enum cudaMemcpyKind kind,
                           const char *function, cudaStream_t stream)
{
    bool is_to = shim_is_device(wished->to);
    bool is_from = wished->from == NULL ? is_to : shim_is_device(wished->from);
    cudaError_t error = (cudaError_t)shim_device_error(shim_device());
    if (error != cudaSuccess || wished->width == 0 || wished->height == 0) {
        return error_note(error);
    }
    if (!is_kind(kind, is_to, is_from)) {
        shim_defect("%s: kind %d, but the destination is on the %s and the "
                    "source on the %s",
                    function, kind, is_to ? "device" : "host",
                    is_from ? "device" : "host");
        return error_note(cudaErrorInvalidValue);
    }
    if (!is_sound(wished, function)) {
        return error_note(cudaErrorInvalidValue);
    }
    struct copy *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        abort();
    }
    *copy = *wished;
    copy->host = is_to == is_from ? NULL : is_to ? copy->from : copy->to;
    copy->other_device = is_to && is_from && copy->from != NULL &&
                                 device_of(copy->from) != device_of(copy->to)
                             ? device_of(copy->from)
                             : NO_DEVICE;
    if (!is_to && !is_from) {
        /* "Between any host memory fully synchronous." */
        cudaStreamSynchronize(stream);
        move(copy);
        free(copy);
        return cudaSuccess;
    }
    guard_host(copy);
    error = (cudaError_t)shim_enqueue(stream, function, run, copy);
    return error_note(error);
}

static cudaError_t copy_2d(void *to, size_t to_pitch, const void *from,
                           size_t from_pitch, size_t width, size_t height,
                           enum cudaMemcpyKind kind, cudaStream_t stream,
                           const char *function)
{
    return enqueue(&(struct copy){.to = to,
                                  .from = from,
                                  .to_pitch = to_pitch,
                                  .from_pitch = from_pitch,
                                  .width = width,
                                  .height = height},
                   kind, function, stream);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes,
                            enum cudaMemcpyKind kind, cudaStream_t stream)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code)
                     : copy_2d(to, bytes, from, bytes, bytes, 1, kind, stream,
                               __func__);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from,
                              size_t from_pitch, size_t width, size_t height,
                              enum cudaMemcpyKind kind, cudaStream_t stream)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code)
                     : copy_2d(to, to_pitch, from, from_pitch, width, height,
                               kind, stream, __func__);
}

/* "From device memory to device memory, no host-side synchronization." */
static cudaError_t finish(cudaError_t error, bool is_waiting)
{
    struct CUstream_st *stream = stream_of(NULL, "cudaMemcpy");
    if (error == cudaSuccess && is_waiting) {
        stream_run(stream, stream->enqueued);
        error = (cudaError_t)shim_device_error(shim_device());
    }
    return error_note(error);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes,
                       enum cudaMemcpyKind kind)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    if (code != 0) {
        return error_note((cudaError_t)code);
    }
    return finish(
        copy_2d(to, bytes, from, bytes, bytes, 1, kind, NULL, __func__),
        !shim_is_device(to) || !shim_is_device(from));
}

cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from,
                         size_t from_pitch, size_t width, size_t height,
                         enum cudaMemcpyKind kind)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    if (code != 0) {
        return error_note((cudaError_t)code);
    }
    return finish(copy_2d(to, to_pitch, from, from_pitch, width, height, kind,
                          NULL, __func__),
                  !shim_is_device(to) || !shim_is_device(from));
}

static cudaError_t fill(void *to, size_t pitch, int value, size_t width,
                        size_t height, cudaStream_t stream,
                        const char *function)
{
    if (!shim_is_device(to) && width != 0 && height != 0) {
        shim_defect("%s: %p is not device memory", function, to);
        return error_note(cudaErrorInvalidValue);
    }
    return enqueue(&(struct copy){.to = to,
                                  .to_pitch = pitch,
                                  .value = value,
                                  .width = width,
                                  .height = height},
                   cudaMemcpyDefault, function, stream);
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes,
                            cudaStream_t stream)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code)
                     : fill(to, bytes, value, bytes, 1, stream, __func__);
}

cudaError_t cudaMemset2DAsync(void *to, size_t pitch, int value, size_t width,
                              size_t height, cudaStream_t stream)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code)
                     : fill(to, pitch, value, width, height, stream, __func__);
}

/* "Asynchronous with respect to the host". */
cudaError_t cudaMemset(void *to, int value, size_t bytes)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code)
                     : fill(to, bytes, value, bytes, 1, NULL, __func__);
}
