/* gpusim.h: what a library of simulated kernels and the replacement runtime
 * know of each other.  C, so that both can read it. */
#ifndef TESTS_CUDA_GPUSIM_H
#define TESTS_CUDA_GPUSIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { GPUSIM_ARGUMENTS = 32 };

/* A kernel as compiled for the host. */
struct gpusim_kernel {
    const char *mangled, *name;
    int block_most; /* __launch_bounds__; 0: none stated */
    int argument_count;
    unsigned argument_bytes[GPUSIM_ARGUMENTS];
    void (*call)(void **arguments);
};

/* What the simulator asks of the runtime.  The checked build of the kernels
 * asks about every address that they touch. */
struct gpusim_host {
    void (*on_defect)(const char *format, ...);
    const char *memory; /* all device memory lies in here */
    size_t memory_bytes;
    /* The live allocation of the running device that holds an address: how
     * many bytes there are from there to its end, and from its beginning. */
    size_t (*bytes_from)(const void *address, size_t *before);
    /* Describes an address for a message. */
    void (*describe)(const void *address, char *text, size_t room);
};

struct gpusim_launch {
    unsigned grid[3], block[3];
    size_t shared_bytes; /* dynamic */
    void **arguments;
    uint64_t seed; /* 0: in order; 1: backwards; others: random orders */
};

/* NULL: no such kernel.  The name is nvcc's, which g++ shares. */
const struct gpusim_kernel *gpusim_find(const char *mangled);

/* Runs a launch to its end; what is wrong with it is reported as a defect.
 * Returns 0, or 1 if it could not be finished. */
int gpusim_run(const struct gpusim_host *host,
               const struct gpusim_kernel *kernel,
               const struct gpusim_launch *launch);

#ifdef __cplusplus
}
#endif

#endif
