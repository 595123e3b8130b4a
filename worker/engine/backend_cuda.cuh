/* backend_cuda.cuh: what the parts of the CUDA backend share.
 *
 * backend_cuda.cu          the plugin: finding, opening, memory and copies
 * backend_cuda_kernels.cu  element-wise operations: all launches
 * backend_cuda_algebra.cu  products, solves and measures: cuBLAS and cuSOLVER
 *
 * A backend has a stream, library handles and workspaces of its own, so that
 * results do not depend on other jobs.  Nothing in a step waits for the device.
 * A call that fails is kept as the backend's failure, and ends all work.
 */
#ifndef ENGINE_BACKEND_CUDA_CUH
#define ENGINE_BACKEND_CUDA_CUH

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

extern "C" {
#include "worker/engine/backend.h"
#include "worker/engine/cuda_memory.h"
#include "worker/engine/device.h"
#include "worker/engine/plugin.h"
}

/* Pinned host memory on the way to or from the device. */
struct stage {
    char *memory;     /* CUDA_STAGE_BYTES */
    cudaEvent_t done; /* the copy that uses it */
    bool is_busy;     /* `done` was recorded */
};

struct gpu {
    struct backend table; /* first: this is the struct backend */
    struct error failure; /* ERROR_NONE while all is well */
    cudaStream_t stream;
    cublasHandle_t blas;
    cusolverDnHandle_t solver;
    cublasMath_t math; /* TF32 where a job asks for it */
    char *own;         /* CUDA_OWN_BYTES: workspace, partials, info */
    double *partials;  /* CUDA_PARTIALS */
    int *info;         /* the solver's */
    struct stage stages[2];
};

static inline struct gpu *gpu_of(struct backend *backend)
{
    return (struct gpu *)backend;
}

static inline bool gpu_is_well(const struct gpu *gpu)
{
    return gpu->failure.code == ERROR_NONE;
}

/* False, after keeping the first failure; `call` is the text of the call. */
bool gpu_fail(struct gpu *gpu, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The plugin's `open`. */
struct backend *gpu_open(const struct device_info *info, bool is_double,
                         bool tf32, struct error *error);
bool gpu_check(struct gpu *gpu, const char *call, cudaError_t status);
bool gpu_check(struct gpu *gpu, const char *call, cublasStatus_t status);
bool gpu_check(struct gpu *gpu, const char *call, cusolverStatus_t status);

/* Makes the call if all was well before it, and says whether it still is. */
#define GPU_TRY(gpu, call) (gpu_is_well(gpu) && gpu_check(gpu, #call, call))

/* to = from; to += from, for equal shapes. */
template <class REAL>
void gpu_copy(struct gpu *gpu, struct matrix from, struct matrix to);
template <class REAL>
void gpu_add(struct gpu *gpu, struct matrix from, struct matrix to);
/* The diagonal of s becomes 0, or 1 less. */
template <class REAL>
void gpu_diagonal(struct gpu *gpu, struct matrix s, bool is_zero);
/* Waits: the sum of squares of alpha a + beta b. */
template <class REAL>
double gpu_squares(struct gpu *gpu, double alpha, struct matrix a, double beta,
                   struct matrix b, bool is_off_diagonal);

/* Each fills its operations in. */
void gpu_fill_elements(struct backend *table, bool is_double);
void gpu_fill_algebra(struct backend *table, bool is_double);

#endif
