/* shim_inside.h: the inside of the replacement runtime. */
#ifndef TESTS_CUDA_SHIM_INSIDE_H
#define TESTS_CUDA_SHIM_INSIDE_H

#include <cuda_runtime_api.h>

#include "tests/cuda/shim.h"

enum { DEVICES = 32, NO_DEVICE = -1, PINNED = -2 };

/* ---- memory (shim_memory.c) ---- */

enum residence { LIVE, LEAVING, FREED };

/* Device memory is a region without access rights that is opened while an
 * operation of its device runs.  Addresses are never used twice; an allocation
 * ends at its own page's end but for the alignment, and a page without rights
 * follows.  New memory is NaN.  Pinned host memory is the same, but open. */
struct allocation {
    char *address;
    size_t bytes;
    char *map; /* whole pages */
    size_t map_bytes;
    int device; /* or PINNED */
    enum residence residence;
    unsigned number; /* from 1, as messages call it */
};

/* NULL: the arena is full. */
struct allocation *memory_new(int device, size_t bytes);
void memory_free(struct allocation *allocation);
/* The allocation whose pages hold an address, whatever became of it; NULL. */
struct allocation *memory_find(const void *address);
bool memory_is_pinned(const void *address);
/* Opens the memory of a device, closes that of others; NO_DEVICE: closes. */
void memory_open(int device);
/* Finds what wrote between an allocation's end and its page's. */
void memory_check_ends(const char *after);
void memory_report_leaks(void);
/* Where device memory lies, all of it. */
void memory_range(const char **from, size_t *bytes);
/* Names an address for a message. */
void memory_describe(const void *address, char *text, size_t room);

/* ---- devices (shim_device.c) ---- */

int device_count(void);
int device_rig(int device); /* its index in the rig */
/* Records an error that stays: the process cannot use the device any more. */
void device_fail(int device, cudaError_t error);
/* Whether there is a driver and at least one device; else the error. */
cudaError_t device_available(void);
void device_create_context(int device);
bool device_has_context(int device);
/* Reserves bytes on a device; false: there are not so many. */
bool device_take(int device, size_t bytes);
void device_give(int device, size_t bytes);
size_t device_free_bytes(int device);
size_t device_total_bytes(int device);

/* The calling thread's last error. */
cudaError_t error_note(cudaError_t error);

/* ---- streams (shim_stream.c) ---- */

struct operation {
    struct operation *next;
    char label[128];
    void (*run)(void *context);
    void *context;
    struct CUstream_st *awaited; /* not NULL: wait until it has done .. */
    uint64_t awaited_count;
    bool is_host; /* runs without access to device memory */
};

struct CUstream_st {
    struct operation *head, *tail;
    uint64_t enqueued, done;
    unsigned flags;
    int device, number;
    bool is_live;
    struct CUstream_st *next;
};

struct CUevent_st {
    struct CUstream_st *stream; /* NULL: never recorded */
    uint64_t count;             /* operations of it that come before */
    unsigned flags;
    int device;
    double recorded_ms;
    bool is_live;
    struct CUevent_st *next;
};

/* The stream a handle means on the current device; NULL and a defect where it
 * means none. */
struct CUstream_st *stream_of(cudaStream_t handle, const char *function);
cudaError_t stream_enqueue(struct CUstream_st *stream,
                           const struct operation *operation);
void stream_run(struct CUstream_st *stream, uint64_t until);
void stream_run_device(int device); /* NO_DEVICE: all */
/* A random schedule advances; others do nothing. */
void stream_jitter(void);
bool stream_is_eager(void);
bool stream_is_any_order(uint64_t one_in); /* a random decision */
void stream_report_leaks(void);
void event_report_leaks(void);

/* ---- copies (cudart_copy.c) ---- */

/* Whether an operation that has not run yet reads or writes host memory. */
bool copy_is_pending(const void *address, size_t bytes);
/* Work that will never run, whatever it is. */
void copy_drop(const void *context);

/* What runs now, for messages; NULL: the host. */
extern const char *shim_running;

#endif
