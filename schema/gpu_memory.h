/* gpu_memory.h: what a job takes of a GPU's memory, known from its settings.
 *
 * gaitd places jobs by it and the engine allocates by it, so the numbers below
 * are those of the engine's CUDA backend; what its parts place, in which order
 * and how padded, is followed to the byte.  The driver's context and the
 * libraries' code, a few hundred megabytes a process, come on top.
 */
#ifndef SCHEMA_GPU_MEMORY_H
#define SCHEMA_GPU_MEMORY_H

#include <stddef.h>

#include "schema/settings.h"

enum {
    GPU_ALIGNMENT = 64,            /* of every matrix */
    GPU_CHUNK_ROWS = 1000,         /* that an evaluation takes at once */
    GPU_WORKSPACE_BYTES = 4 << 20, /* cuBLAS's */
    GPU_OWN_BYTES = GPU_WORKSPACE_BYTES + 4096,
    GPU_SCRATCH_LEAST = 1 << 16, /* elements */
};

/* Working memory of cuSOLVER's, for a matrix of n x n: LU wants some columns;
 * singular values by QR about two matrices.  Libraries say what they want only
 * where there is a device; one that wants more makes the job fail and says how
 * much. */
static inline size_t gpu_factor_bytes(int n, size_t element_bytes)
{
    size_t square = (size_t)n * (size_t)n;
    return (2 * square + GPU_SCRATCH_LEAST) * element_bytes;
}

static inline size_t gpu_singular_bytes(int n, size_t element_bytes)
{
    size_t square = (size_t)n * (size_t)n;
    return (4 * square + GPU_SCRATCH_LEAST) * element_bytes;
}

/* Rows as a GPU holds them: pixels, then labels. */
static inline size_t gpu_rows_bytes(int64_t rows, int width)
{
    return (size_t)rows * ((size_t)width + 1);
}

/* The sum of what training with settings that settings_check passes allocates
 * on a GPU; -1: their widths cannot be read. */
int64_t gpu_memory_bytes(const struct settings *settings,
                         const struct dataset_shape *shape);

/* "3.1 GiB", as sentences say it. */
enum { GPU_SIZE_BYTES = 32 };
const char *gpu_size(int64_t bytes, char text[GPU_SIZE_BYTES]);

#endif
