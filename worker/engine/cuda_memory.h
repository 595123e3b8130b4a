/* cuda_memory.h: what the CUDA backend takes beside the matrices and the rows
 * that it is asked to hold; what of it is on the device is in gpu_memory.h.
 */
#ifndef ENGINE_CUDA_MEMORY_H
#define ENGINE_CUDA_MEMORY_H

#include <stddef.h>

#include "schema/gpu_memory.h"
#include "worker/engine/backend.h"

enum {
    CUDA_WORKSPACE_BYTES = GPU_WORKSPACE_BYTES,
    CUDA_PARTIALS = 256, /* doubles: sums on their way */
    CUDA_OWN_BYTES = GPU_OWN_BYTES,
    CUDA_STAGE_BYTES = 1 << 20, /* of pinned host memory, twice */
};

static inline size_t cuda_scratch_bytes(enum purpose purpose, int n,
                                        size_t element_bytes)
{
    return purpose == FOR_FACTOR ? gpu_factor_bytes(n, element_bytes)
                                 : gpu_singular_bytes(n, element_bytes);
}

static inline size_t cuda_rows_bytes(int64_t rows, int width)
{
    return gpu_rows_bytes(rows, width);
}

#endif
