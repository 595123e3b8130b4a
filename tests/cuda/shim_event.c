/* shim_event.c: events, the only order between streams. */
#include <stdlib.h>
#include <time.h>

#include "tests/cuda/shim_inside.h"

static struct CUevent_st *events; /* all, destroyed ones too */

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct CUevent_st *event_of(cudaEvent_t handle, const char *function)
{
    for (struct CUevent_st *it = events; it != NULL; it = it->next) {
        if (it == handle && it->is_live) {
            return it;
        }
    }
    shim_defect("%s: %p is no event", function, (void *)handle);
    return NULL;
}

static cudaError_t create(cudaEvent_t *made, unsigned flags)
{
    cudaError_t error = (cudaError_t)shim_device_error(shim_device());
    struct CUevent_st *event = error == 0 ? calloc(1, sizeof *event) : NULL;
    if (event == NULL) {
        return error_note(error != 0 ? error : cudaErrorMemoryAllocation);
    }
    device_create_context(shim_device());
    *event = (struct CUevent_st){.flags = flags,
                                 .device = shim_device(),
                                 .is_live = true,
                                 .next = events};
    events = event;
    *made = event;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *made, unsigned flags)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code) : create(made, flags);
}

cudaError_t cudaEventCreate(cudaEvent_t *made)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code)
                     : create(made, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    struct CUevent_st *event = event_of(handle, __func__);
    if (event == NULL) {
        return error_note(cudaErrorInvalidResourceHandle);
    }
    event->is_live = false;
    return error_note((cudaError_t)code);
}

static cudaError_t record(cudaEvent_t handle, cudaStream_t where)
{
    struct CUevent_st *event = event_of(handle, "cudaEventRecord");
    struct CUstream_st *stream = stream_of(where, "cudaEventRecord");
    if (event == NULL || stream == NULL) {
        return error_note(cudaErrorInvalidResourceHandle);
    }
    /* "event and stream must be on the same CUDA context" */
    if (event->device != stream->device) {
        shim_defect("cudaEventRecord: event of device %d, stream of device %d",
                    event->device, stream->device);
        return error_note(cudaErrorInvalidResourceHandle);
    }
    event->stream = stream;
    event->count = stream->enqueued;
    event->recorded_ms = now_ms();
    return error_note((cudaError_t)shim_device_error(event->device));
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    return code != 0 ? error_note((cudaError_t)code) : record(event, stream);
}

/* "If cudaEventRecord has not been called on event, the call is a functional
 * no-op"; "event may be on a different device than stream". */
cudaError_t cudaStreamWaitEvent(cudaStream_t where, cudaEvent_t handle,
                                unsigned flags)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    (void)flags;
    struct CUevent_st *event = event_of(handle, __func__);
    struct CUstream_st *stream = stream_of(where, __func__);
    if (code != 0 || event == NULL || stream == NULL) {
        return error_note(code != 0 ? (cudaError_t)code
                                    : cudaErrorInvalidResourceHandle);
    }
    if (event->stream == NULL) {
        return cudaSuccess;
    }
    return stream_enqueue(stream, &(struct operation){
                                      .label = "wait for an event",
                                      .awaited = event->stream,
                                      .awaited_count = event->count,
                                  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    struct CUevent_st *event = event_of(handle, __func__);
    if (code != 0 || event == NULL) {
        return error_note(code != 0 ? (cudaError_t)code
                                    : cudaErrorInvalidResourceHandle);
    }
    if (event->stream != NULL &&
        shim_device_error(event->device) == cudaSuccess) {
        stream_run(event->stream, event->count);
    }
    return error_note((cudaError_t)shim_device_error(event->device));
}

cudaError_t cudaEventQuery(cudaEvent_t handle)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    struct CUevent_st *event = event_of(handle, __func__);
    if (code != 0 || event == NULL) {
        return error_note(code != 0 ? (cudaError_t)code
                                    : cudaErrorInvalidResourceHandle);
    }
    cudaError_t error = (cudaError_t)shim_device_error(event->device);
    if (error != cudaSuccess || event->stream == NULL ||
        event->stream->done >= event->count) {
        return error_note(error);
    }
    stream_run(event->stream, event->stream->done + 1);
    return cudaErrorNotReady;
}

/* The times are those of the calls: they show nothing but that it is called
 * in the right order. */
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from,
                                 cudaEvent_t to)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    struct CUevent_st *first = event_of(from, __func__);
    struct CUevent_st *second = event_of(to, __func__);
    if (code != 0 || first == NULL || second == NULL || first->stream == NULL ||
        second->stream == NULL ||
        ((first->flags | second->flags) & cudaEventDisableTiming)) {
        return error_note(code != 0 ? (cudaError_t)code
                                    : cudaErrorInvalidResourceHandle);
    }
    if (first->stream->done < first->count ||
        second->stream->done < second->count) {
        return cudaErrorNotReady;
    }
    *milliseconds = (float)(second->recorded_ms - first->recorded_ms);
    return cudaSuccess;
}

void event_report_leaks(void)
{
    for (const struct CUevent_st *it = events; it != NULL; it = it->next) {
        if (it->is_live) {
            shim_defect("leak: an event of device %d", it->device);
        }
    }
}
