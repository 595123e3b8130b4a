/* shim.h: what the replacement libraries share, held by libcudart.so.13.
 *
 * A defect is something that a correct program never does: it is printed,
 * appended to the file that CUDASHIM_DEFECTS names, and makes the process end
 * with SHIM_EXIT however it meant to end.  An error that the environment
 * provoked (a call made to fail, a lost GPU, no memory) is only returned.
 *
 * The APIs that are replaced have no context to pass, so each library keeps
 * its state in statics; one lock, taken by `shim_enter`, guards them.
 */
#ifndef TESTS_CUDA_SHIM_H
#define TESTS_CUDA_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHIM_EXIT = 98,       /* there were defects */
    SHIM_FAULT_EXIT = 97, /* device memory was touched from where it cannot */
};

struct CUstream_st;

void shim_defect(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Begins a call of the API: takes the lock, counts it, lets a random schedule
 * advance.  Returns 0 or the code that CUDASHIM_FAIL wants it to answer, in the
 * library's own numbers; `usual` is what it answers where none is named. */
int shim_enter(const char *function, int usual);
void shim_leave(const int *code);

/* The rest of an entry point: `code` is 0 or the error to return. */
#define SHIM_ENTER(code, usual)                                                \
    int code __attribute__((cleanup(shim_leave))) = shim_enter(__func__, usual)

/* What one operation reads or writes. */
struct shim_operand {
    const char *name;
    const void *address;
    size_t bytes; /* 0: not touched, whatever the address */
    bool is_written;
};

/* Whether an address is in device memory, whoever's. */
bool shim_is_device(const void *address);
/* Whether all of an operand is live memory of the device; if not, a defect. */
bool shim_check(const char *function, int device,
                const struct shim_operand *operand);
/* A written operand may not overlap another one. */
bool shim_check_overlap(const char *function,
                        const struct shim_operand *operands, int count);

int shim_device(void);             /* the calling thread's */
int shim_device_error(int device); /* cudaError_t it answers; 0: it works */
bool shim_is_stream_of(struct CUstream_st *stream, int device);

/* Queues work on a stream of the device.  `run` is called with `context`,
 * device memory accessible, when the schedule says so; `context` is freed
 * after it, or at once if 0 is not returned. */
int shim_enqueue(struct CUstream_st *stream, const char *label,
                 void (*run)(void *context), void *context);

/* Handles of the libraries that must be given back before the end. */
void shim_handle_opened(const void *handle, const char *kind);
/* False, and a defect: it is not open. */
bool shim_handle_closed(const void *handle, const char *kind);
bool shim_handle_check(const void *handle, const char *kind,
                       const char *function);

/* From the environment; whole numbers. */
long shim_setting(const char *name, long otherwise);

#endif
