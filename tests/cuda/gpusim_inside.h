/* gpusim_inside.h: what the simulator tells its checks. */
#ifndef TESTS_CUDA_GPUSIM_INSIDE_H
#define TESTS_CUDA_GPUSIM_INSIDE_H

#include <stddef.h>
#include <stdint.h>

#include "tests/cuda/gpusim.h"

/* Where the running thread is: accesses of one block are ordered by barriers
 * and, within a warp, by __syncwarp. */
struct gpusim_place {
    uint64_t launch;
    uint64_t block;
    unsigned thread;
    unsigned barriers, warp_barriers; /* passed so far */
};

struct gpusim_region {
    char *from;
    size_t bytes;
};

/* What is running; NULL: nothing is. */
extern const struct gpusim_host *gpusim_running_host;
extern const struct gpusim_kernel *gpusim_running_kernel;
extern struct gpusim_place gpusim_place;

/* The block's shared memory, and of it what no launch has asked for. */
struct gpusim_region gpusim_shared();
struct gpusim_region gpusim_beyond_dynamic();
/* Whether an address is on the stack of the running thread. */
bool gpusim_is_local(const void *address);

/* The checked build's; the plain one does nothing. */
void gpusim_check_begin();
void gpusim_check_access(const void *address, size_t bytes, bool is_write,
                         bool is_atomic, const void *where);

#endif
