/* defects.cuh: kernels that are right, and ones with a defect each, to test
 * what the simulator catches.  Device code only, as the product's. */
#ifndef TESTS_CUDA_DEFECTS_CUH
#define TESTS_CUDA_DEFECTS_CUH

#include <stddef.h>
#include <stdint.h>

#define LANES 0xffffffffu

enum { ROW_THREADS = 256, TILE = 16 };

template <class T>
__global__ void __launch_bounds__(256) k_fill(T *x, T value, int count)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count)
        x[i] = value;
}
template __global__ void k_fill<float>(float *, float, int);
template __global__ void k_fill<double>(double *, double, int);

/* to = to + by x: grids of any size */
__global__ void __launch_bounds__(256)
    k_add(float *to, const float *x, float by, int count)
{
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < count;
         i += (int)(gridDim.x * blockDim.x))
        to[i] += by * x[i];
}

/* Vectors of four; their addresses are multiples of 16. */
__global__ void __launch_bounds__(128)
    k_scale4(float4 *to, const float4 *from, float by, int count)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count) {
        float4 v = from[i];
        to[i] = make_float4(v.x * by, v.y * by, v.z * by, v.w * by);
    }
}

__device__ inline float warp_sum(float x)
{
    for (int by = 16; by > 0; by /= 2)
        x += __shfl_down_sync(LANES, x, by);
    return x;
}

/* A row's sum by warps' sums; the barrier between them is a parameter. */
template <bool HAS_BARRIER>
__global__ void __launch_bounds__(ROW_THREADS)
    k_row_sum(float *sums, const float *x, int cols)
{
    __shared__ float parts[32];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    float sum = 0;
    for (int j = (int)threadIdx.x; j < cols; j += (int)blockDim.x)
        sum += x[(size_t)blockIdx.x * (size_t)cols + (size_t)j];
    sum = warp_sum(sum);
    if (lane == 0)
        parts[warp] = sum;
    if (HAS_BARRIER)
        __syncthreads();
    if (warp > 0)
        return;
    sum = warp_sum(lane < (int)blockDim.x / 32 ? parts[lane] : 0);
    if (lane == 0)
        sums[blockIdx.x] = sum;
}
template __global__ void k_row_sum<true>(float *, const float *, int);
template __global__ void k_row_sum<false>(float *, const float *, int);

/* Lanes exchange through shared memory; __syncwarp or nothing between. */
template <bool HAS_SYNC>
__global__ void __launch_bounds__(32) k_reverse(float *x)
{
    __shared__ float held[32];
    held[threadIdx.x] = x[threadIdx.x];
    if (HAS_SYNC)
        __syncwarp();
    x[threadIdx.x] = held[31 - threadIdx.x];
}
template __global__ void k_reverse<true>(float *);
template __global__ void k_reverse<false>(float *);

extern __shared__ float tile[];

/* Blocks of TILE x TILE; `pitch` elements from one row of the tile to the
 * next: TILE + 1 of what the launch asks for. */
__global__ void __launch_bounds__(TILE *TILE)
    k_transpose(float *to, const float *from, int rows, int cols, int pitch)
{
    int i = (int)blockIdx.y * TILE + (int)threadIdx.y;
    int j = (int)blockIdx.x * TILE + (int)threadIdx.x;
    if (i < rows && j < cols)
        tile[(int)threadIdx.y * pitch + (int)threadIdx.x] =
            from[(size_t)i * (size_t)cols + (size_t)j];
    __syncthreads();
    i = (int)blockIdx.x * TILE + (int)threadIdx.y;
    j = (int)blockIdx.y * TILE + (int)threadIdx.x;
    if (i < cols && j < rows)
        to[(size_t)i * (size_t)rows + (size_t)j] =
            tile[(int)threadIdx.x * pitch + (int)threadIdx.y];
}

/* Counts into bins, with an atomic operation or without. */
template <bool IS_ATOMIC>
__global__ void __launch_bounds__(64)
    k_count(unsigned *bins, const uint8_t *labels, int count)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= count)
        return;
    if (IS_ATOMIC)
        atomicAdd(&bins[labels[i]], 1u);
    else
        bins[labels[i]] += 1;
}
template __global__ void k_count<true>(unsigned *, const uint8_t *, int);
template __global__ void k_count<false>(unsigned *, const uint8_t *, int);

/* Only half of the block comes to the barrier. */
__global__ void __launch_bounds__(64) k_divergent(float *x)
{
    if (threadIdx.x < 32) {
        x[threadIdx.x] = 1;
        __syncthreads();
    }
}

/* A lane that is gone is named in the mask. */
__global__ void __launch_bounds__(32) k_lost_lane(float *x)
{
    if (threadIdx.x == 31)
        return;
    x[threadIdx.x] = __shfl_xor_sync(LANES, x[threadIdx.x], 1);
}

/* Index 32 of 32, in shared memory. */
__global__ void __launch_bounds__(32) k_shared_end(float *x, int at)
{
    __shared__ float held[32];
    held[at] = x[0];
    __syncthreads();
    x[threadIdx.x] = held[threadIdx.x];
}

#endif
