/* cublas_calls.c: matrix products and their like, by OpenBLAS.
 *
 * It rounds otherwise than cuBLAS does, so results are compared with
 * tolerances; everything else is checked as cuBLAS documents it. */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/cublas.h"

#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Single precision may be done with TF32's 10 bits after the point: only when
 * it is asked for ("CUBLAS_TF32_TENSOR_OP_MATH"), and only where the test says
 * that it may be. */
static bool is_tf32_f32(const struct cublasContext *handle,
                        const char *function)
{
    bool is_asked = (handle->math & 0xf) == CUBLAS_TF32_TENSOR_OP_MATH;
    if (is_asked && shim_setting("CUDASHIM_TF32", 0) == 0) {
        shim_defect("%s: TF32, without CUDASHIM_TF32=1", function);
    }
    return is_asked;
}

static bool is_tf32_f64(const struct cublasContext *handle,
                        const char *function)
{
    (void)handle, (void)function;
    return false;
}

/* A copy rounded to TF32, to nearest; freed by the caller. */
static float *as_tf32_f32(const float *from, size_t count)
{
    float *to = malloc((count + 1) * sizeof *to);
    if (to == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof bits);
        if ((bits & 0x7f800000u) != 0x7f800000u) {
            bits = (bits + 0xfffu + (bits >> 13 & 1u)) & ~0x1fffu;
        }
        memcpy(&to[i], &bits, sizeof bits);
    }
    return to;
}

static double *as_tf32_f64(const double *from, size_t count)
{
    (void)from, (void)count;
    return NULL;
}

#define REAL float
#define NAME(call) cublasS##call
#define V2(call) cublasS##call##_v2
#define BLAS(call) cblas_s##call
#define LOCAL(name) name##_f32
#include "tests/cuda/cublas.inc"
#undef REAL
#undef NAME
#undef V2
#undef BLAS
#undef LOCAL

#define REAL double
#define NAME(call) cublasD##call
#define V2(call) cublasD##call##_v2
#define BLAS(call) cblas_d##call
#define LOCAL(name) name##_f64
#include "tests/cuda/cublas.inc"
