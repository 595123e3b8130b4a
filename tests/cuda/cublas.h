/* cublas.h: the inside of the replacement cuBLAS. */
#ifndef TESTS_CUDA_CUBLAS_H
#define TESTS_CUDA_CUBLAS_H

#include <cublas_v2.h>

#include "tests/cuda/shim.h"

struct cublasContext {
    cudaStream_t stream;
    int device; /* current when it was created */
    cublasMath_t math;
    cublasPointerMode_t pointers;
    void *workspace; /* NULL: the library's own */
    size_t workspace_bytes;
};

/* A column-major matrix as an operand: ld elements from column to column. */
size_t blas_extent(int rows, int cols, int ld, size_t element_bytes);

/* Begins a call that computes: is the handle open, its device current, are its
 * stream and workspace of that device?  CUBLAS_STATUS_SUCCESS, or what to
 * answer. */
cublasStatus_t blas_begin(struct cublasContext *handle, const char *function);

/* A scalar by the pointer mode: read now from the host, or when the call runs
 * from the device. */
struct blas_scalar {
    const void *on_device; /* NULL: `bytes` has it */
    unsigned char bytes[8];
};
bool blas_scalar(const struct cublasContext *handle, const char *function,
                 const char *name, const void *from, size_t element_bytes,
                 struct blas_scalar *to);

/* Checks that all operands are there, apart where written, and aligned;
 * CUBLAS_STATUS_SUCCESS, or what to answer. */
cublasStatus_t blas_check(const struct cublasContext *handle,
                          const char *function,
                          const struct shim_operand *operands, int count,
                          size_t element_bytes);

/* Everything about a call that its operation needs later. */
struct blas_job {
    struct cublasContext *handle; /* its settings at the time of the call */
    struct cublasContext with;
    int side, uplo, op_a, op_b, diagonal; /* as CBLAS numbers them */
    int m, n, k, lda, ldb, ldc, count;
    long long step_a, step_b, step_c; /* elements between matrices of a batch */
    const void *a, *b;
    void *c;
    struct blas_scalar alpha, beta;
    bool is_tf32;
    size_t a_count, b_count; /* elements from first to last, for rounding */
};
cublasStatus_t blas_enqueue(const char *function, struct blas_job job,
                            void (*run)(void *job));

/* As CBLAS numbers them; 0 and a defect for what is none. */
int blas_op(cublasOperation_t op);
int blas_uplo(cublasFillMode_t uplo);
int blas_side(cublasSideMode_t side);
int blas_diagonal(cublasDiagType_t diagonal);

#endif
