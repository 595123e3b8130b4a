/* shim_stream.c: streams as queues that are worked through as late as allowed.
 *
 * CUDASHIM_MODE says when work runs: `lazy` (the default), only when something
 * waits for it; `eager`, at once; or a number that seeds a random schedule, in
 * which any stream may advance whenever the API is called.  All are orders that
 * hardware may choose: a stream's operations run one after another, and
 * streams are ordered by events and by the default stream alone
 * (CUDA C++ programming guide, "Streams", "Default Stream"). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/shim_inside.h"

/* Launches block when so many are queued; the driver's limit is of this size
 * and not documented. */
enum { QUEUE_MOST = 1024 };

static struct CUstream_st defaults[DEVICES]; /* cudaStreamLegacy of each */
static struct CUstream_st *streams;          /* all others, dead ones too */
static int stream_count;
static uint64_t random_state;
static enum { UNKNOWN, LAZY, EAGER, RANDOM } mode;

static void choose_mode(void)
{
    const char *text = getenv("CUDASHIM_MODE");
    if (text == NULL || strcmp(text, "lazy") == 0) {
        mode = LAZY;
    } else if (strcmp(text, "eager") == 0) {
        mode = EAGER;
    } else {
        mode = RANDOM;
        random_state = 0x9e3779b97f4a7c15u *
                       ((uint64_t)shim_setting("CUDASHIM_MODE", 1) + 1);
    }
}

/* xorshift64 (Marsaglia 2003) */
static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

bool stream_is_eager(void)
{
    if (mode == UNKNOWN) {
        choose_mode();
    }
    return mode == EAGER;
}

bool stream_is_any_order(uint64_t one_in)
{
    return !stream_is_eager() && mode == RANDOM && draw() % one_in == 0;
}

static void perform(struct CUstream_st *stream, struct operation *operation)
{
    if (operation->awaited != NULL) {
        stream_run(operation->awaited, operation->awaited_count);
    } else if (shim_device_error(stream->device) == cudaSuccess) {
        shim_running = operation->label;
        int code = shim_enter("operation", cudaErrorLaunchFailure);
        shim_leave(&code);
        memory_open(operation->is_host ? NO_DEVICE : stream->device);
        operation->run(operation->context);
        shim_running = NULL;
        memory_check_ends(operation->label);
        if (code != 0) {
            device_fail(stream->device, (cudaError_t)code);
        }
    } else {
        copy_drop(operation->context);
    }
    free(operation->context);
    free(operation);
}

void stream_run(struct CUstream_st *stream, uint64_t until)
{
    static int depth;
    depth++;
    while (stream->done < until && stream->head != NULL) {
        struct operation *first = stream->head;
        stream->head = first->next;
        if (stream->head == NULL) {
            stream->tail = NULL;
        }
        perform(stream, first);
        stream->done++;
    }
    if (--depth == 0) {
        memory_open(NO_DEVICE);
    }
}

void stream_run_device(int device)
{
    for (struct CUstream_st *it = streams; it != NULL; it = it->next) {
        if (device == NO_DEVICE || it->device == device) {
            stream_run(it, it->enqueued);
        }
    }
    for (int i = 0; i < DEVICES; i++) {
        if (device == NO_DEVICE || i == device) {
            stream_run(&defaults[i], defaults[i].enqueued);
        }
    }
}

void stream_jitter(void)
{
    if (shim_running != NULL || stream_is_eager() || mode != RANDOM) {
        return;
    }
    for (struct CUstream_st *it = streams; it != NULL; it = it->next) {
        uint64_t waiting = it->enqueued - it->done;
        if (waiting != 0 && draw() % 3 == 0) {
            stream_run(it, it->done + draw() % (waiting + 1));
        }
    }
}

static struct CUstream_st *default_of(int device)
{
    defaults[device].device = device;
    defaults[device].is_live = true;
    return &defaults[device];
}

struct CUstream_st *stream_of(cudaStream_t handle, const char *function)
{
    if (handle == NULL || handle == cudaStreamLegacy) {
        return default_of(shim_device());
    }
    for (struct CUstream_st *it = streams; it != NULL; it = it->next) {
        if (it == handle && it->is_live) {
            return it;
        }
    }
    shim_defect("%s: %p is no stream", function, (void *)handle);
    return NULL;
}

bool shim_is_stream_of(struct CUstream_st *handle, int device)
{
    struct CUstream_st *stream = stream_of(handle, "stream");
    return stream != NULL && stream->device == device;
}

/* Work of the default stream waits for that of all blocking streams, and
 * theirs for it. */
static void respect_default(struct CUstream_st *stream)
{
    struct CUstream_st *first = default_of(stream->device);
    if (stream != first) {
        if (!(stream->flags & cudaStreamNonBlocking)) {
            stream_run(first, first->enqueued);
        }
        return;
    }
    for (struct CUstream_st *it = streams; it != NULL; it = it->next) {
        if (it->device == stream->device &&
            !(it->flags & cudaStreamNonBlocking)) {
            stream_run(it, it->enqueued);
        }
    }
}

cudaError_t stream_enqueue(struct CUstream_st *stream,
                           const struct operation *operation)
{
    cudaError_t error = (cudaError_t)shim_device_error(stream->device);
    if (error != cudaSuccess) {
        copy_drop(operation->context);
        free(operation->context);
        return error_note(error);
    }
    respect_default(stream);
    struct operation *queued = malloc(sizeof *queued);
    if (queued == NULL) {
        abort();
    }
    *queued = *operation;
    queued->next = NULL;
    if (stream->tail != NULL) {
        stream->tail->next = queued;
    } else {
        stream->head = queued;
    }
    stream->tail = queued;
    stream->enqueued++;
    if (stream_is_eager()) {
        stream_run(stream, stream->enqueued);
    } else if (stream->enqueued - stream->done > QUEUE_MOST) {
        stream_run(stream, stream->enqueued - QUEUE_MOST);
    }
    return cudaSuccess;
}

int shim_enqueue(struct CUstream_st *handle, const char *label,
                 void (*run)(void *context), void *context)
{
    struct CUstream_st *stream = stream_of(handle, label);
    struct operation operation = {.run = run, .context = context};
    if (stream == NULL) {
        copy_drop(context);
        free(context);
        return error_note(cudaErrorInvalidResourceHandle);
    }
    snprintf(operation.label, sizeof operation.label,
             "%s (operation %llu of stream %d, device %d)", label,
             (unsigned long long)stream->enqueued, stream->number,
             stream->device);
    return stream_enqueue(stream, &operation);
}

/* Streams are kept when they are destroyed: what was queued still runs, and
 * events may name them. */
static cudaError_t create(cudaStream_t *made, unsigned flags)
{
    cudaError_t error = (cudaError_t)shim_device_error(shim_device());
    if (error != cudaSuccess) {
        return error_note(error);
    }
    if ((flags & ~(unsigned)cudaStreamNonBlocking) != 0) {
        return error_note(cudaErrorInvalidValue);
    }
    struct CUstream_st *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return error_note(cudaErrorMemoryAllocation);
    }
    device_create_context(shim_device());
    *stream = (struct CUstream_st){.flags = flags,
                                   .device = shim_device(),
                                   .number = ++stream_count,
                                   .is_live = true,
                                   .next = streams};
    streams = stream;
    *made = stream;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *made, unsigned flags)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code) : create(made, flags);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *made, unsigned flags,
                                         int priority)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    (void)priority;
    return code != 0 ? error_note((cudaError_t)code) : create(made, flags);
}

cudaError_t cudaStreamCreate(cudaStream_t *made)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code) : create(made, 0);
}

/* "Returns immediately and the resources are released once the device has
 * completed all work in the stream" (cudaStreamDestroy). */
cudaError_t cudaStreamDestroy(cudaStream_t handle)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    struct CUstream_st *stream =
        handle == NULL ? NULL : stream_of(handle, __func__);
    if (stream == NULL) {
        return error_note(cudaErrorInvalidResourceHandle);
    }
    stream->is_live = false;
    return error_note(code != 0
                          ? (cudaError_t)code
                          : (cudaError_t)shim_device_error(stream->device));
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    struct CUstream_st *stream = stream_of(handle, __func__);
    if (stream == NULL) {
        return error_note(cudaErrorInvalidResourceHandle);
    }
    if (code != 0) { /* what an earlier operation has come to */
        device_fail(stream->device, (cudaError_t)code);
    }
    if (shim_device_error(shim_device()) == cudaSuccess) {
        respect_default(stream);
    }
    stream_run(stream, stream->enqueued); /* or drops it: see perform */
    return error_note((cudaError_t)shim_device_error(stream->device));
}

/* Whoever asks often enough finds the work done. */
cudaError_t cudaStreamQuery(cudaStream_t handle)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    struct CUstream_st *stream = stream_of(handle, __func__);
    if (code != 0 || stream == NULL) {
        return error_note(code != 0 ? (cudaError_t)code
                                    : cudaErrorInvalidResourceHandle);
    }
    cudaError_t error = (cudaError_t)shim_device_error(stream->device);
    if (error != cudaSuccess || stream->done == stream->enqueued) {
        return error_note(error);
    }
    stream_run(stream, stream->done + 1);
    return cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    if (code != 0) {
        return error_note((cudaError_t)code);
    }
    cudaError_t error = (cudaError_t)shim_device_error(shim_device());
    if (error == cudaSuccess) {
        stream_run_device(shim_device());
        error = (cudaError_t)shim_device_error(shim_device());
    }
    return error_note(error);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    *least = 0;
    *greatest = -5;
    return error_note((cudaError_t)code);
}

void stream_report_leaks(void)
{
    for (struct CUstream_st *it = streams; it != NULL; it = it->next) {
        if (it->is_live) {
            shim_defect("leak: stream %d", it->number);
        }
    }
    event_report_leaks();
}
