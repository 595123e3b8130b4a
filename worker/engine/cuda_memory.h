/* cuda_memory.h: what the CUDA backend takes of a device beside the matrices
 * and the rows that it is asked to hold.
 *
 * Libraries say what they want only where there is a device.  These bounds are
 * functions of the shape alone, so that the memory of a job is known before it
 * is placed; a library that wants more makes the job fail and says how much.
 */
#ifndef ENGINE_CUDA_MEMORY_H
#define ENGINE_CUDA_MEMORY_H

#include <stddef.h>

#include "worker/engine/backend.h"

enum {
    CUDA_WORKSPACE_BYTES = 4 << 20, /* cuBLAS's */
    CUDA_PARTIALS = 256,            /* doubles: sums on their way */
    CUDA_OWN_BYTES = CUDA_WORKSPACE_BYTES + 4096,
    CUDA_STAGE_BYTES = 1 << 20, /* of pinned host memory, twice */
    CUDA_SCRATCH_LEAST = 1 << 16,
};

/* LU wants some columns; singular values by QR about two matrices. */
static inline size_t cuda_scratch_bytes(enum purpose purpose, int n,
                                        size_t element_bytes)
{
    size_t square = (size_t)n * (size_t)n;
    size_t count = (purpose == FOR_FACTOR ? 2 : 4) * square;
    return (count + CUDA_SCRATCH_LEAST) * element_bytes;
}

/* Rows as `load` holds them: pixels, then labels. */
static inline size_t cuda_rows_bytes(int64_t rows, int width)
{
    return (size_t)rows * ((size_t)width + 1);
}

#endif
