/* cuda_kernels.cuh: everything that runs on the GPU, in either precision.
 *
 * Device code only: launches are in backend_cuda_kernels.cu.  The tests compile
 * this file for the CPU too and find kernels by their names, so none is static.
 *
 * An element-wise kernel has a thread for each of `count` elements of matrices
 * with `cols` columns; a stride is the elements from one row to the next.  The
 * arithmetic is the CPU backend's, operation for operation (no contraction), so
 * these give the same bits.  Sums go through shared memory in a fixed order.
 */
#ifndef ENGINE_CUDA_KERNELS_CUH
#define ENGINE_CUDA_KERNELS_CUH

#include <stddef.h>
#include <stdint.h>

enum {
    CUDA_THREADS = 256,                    /* of every block */
    MEAN_COLS = 32,                        /* columns of a block, */
    MEAN_LANES = CUDA_THREADS / MEAN_COLS, /* and threads for each */
    DESCENT_PARTS = 64,                    /* tensors of one launch */
    DESCENT_EACH = 4,                      /* elements of a thread */
    DESCENT_BLOCK = CUDA_THREADS * DESCENT_EACH,
};

/* One tensor of an update: `size` elements from block `first_block` on. */
template <class REAL> struct descent_part {
    REAL *value, *m, *v;
    const REAL *gradient;
    unsigned size, first_block;
    int layer;
};

template <class REAL> struct descent {
    descent_part<REAL> parts[DESCENT_PARTS];
    int count;
};

/* Constants of the inversion by cases (struct kink), rounded by the host. */
template <class REAL> struct crossing {
    REAL step, reach, gain, inverse, jump;
};

/* Where faults are noted: struct faults. */
struct fault_note {
    unsigned long long *step;
    unsigned *flags;
};

__device__ inline bool is_finite(float x)
{
    return fabsf(x) <= 3.402823466e+38f;
}

__device__ inline bool is_finite(double x)
{
    return fabs(x) <= 1.7976931348623157e+308;
}

__device__ inline float root(float x)
{
    return sqrtf(x);
}

__device__ inline double root(double x)
{
    return sqrt(x);
}

__device__ inline unsigned element(void)
{
    return blockIdx.x * blockDim.x + threadIdx.x;
}

/* Element i of a matrix. */
template <class REAL>
__device__ inline REAL &at(REAL *values, unsigned i, int cols, int stride)
{
    unsigned row = i / (unsigned)cols, col = i % (unsigned)cols;
    return values[(size_t)row * (size_t)stride + col];
}

template <class REAL> __device__ inline REAL gated(REAL y, REAL e, REAL slope)
{
    REAL low = slope * e;
    return y >= 0 ? e : low;
}

/* Only the first step that has any is noted: with all that its threads find. */
__device__ inline void note_fault(fault_note to, unsigned long long step,
                                  int layer, unsigned flags)
{
    unsigned long long seen = atomicCAS(to.step, 0ULL, step);
    if (seen == 0 || seen == step)
        atomicOr(to.flags + layer, flags);
}

/* Values of enum fault; see struct update. */
template <class REAL>
__device__ inline unsigned descend_one(const descent_part<REAL> &part,
                                       unsigned i, REAL rate)
{
    const REAL keep_m = (REAL)0.9, take_m = (REAL)(1.0 - 0.9);
    const REAL keep_v = (REAL)0.99, take_v = (REAL)(1.0 - 0.99);
    REAL g = part.gradient[i];
    REAL m = keep_m * part.m[i] + take_m * g;
    REAL v = keep_v * part.v[i] + take_v * g * g;
    REAL p = part.value[i] - rate * m / ((REAL)1e-8 + root(v));
    part.m[i] = m;
    part.v[i] = v;
    part.value[i] = p;
    return (is_finite(g) ? 0u : 1u) | (is_finite(m) && is_finite(v) ? 0u : 2u) |
           (is_finite(p) ? 0u : 4u);
}

/* Adds up what the block's threads hold; thread 0 has the sum. */
template <class NUMBER> __device__ inline void add_up(NUMBER *held)
{
    for (unsigned half = CUDA_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            held[threadIdx.x] += held[threadIdx.x + half];
    }
}

/* nvcc sees the launch bounds of no template, so the precisions are compiled as
 * the CPU's are. */
#define REAL float
#define KERNEL(name) __global__ void __launch_bounds__(CUDA_THREADS) name##_f32
#include "worker/engine/cuda_kernels.inc"
#undef KERNEL
#undef REAL

#define REAL double
#define KERNEL(name) __global__ void __launch_bounds__(CUDA_THREADS) name##_f64
#include "worker/engine/cuda_kernels.inc"
#undef KERNEL
#undef REAL

#endif
