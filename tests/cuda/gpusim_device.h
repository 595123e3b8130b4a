/* gpusim_device.h: device code as g++ sees it.
 *
 * NVIDIA's headers give the types; the rest of the language is here: a thread
 * is a fiber, a block's shared memory is the thread-local storage of the
 * library of kernels (which holds nothing else), and what threads do together
 * ends in the simulator.  What is not here does not compile.
 */
#ifndef TESTS_CUDA_GPUSIM_DEVICE_H
#define TESTS_CUDA_GPUSIM_DEVICE_H

#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/cuda/gpusim.h"

#undef __shared__
#undef __launch_bounds__
#undef __forceinline__
#define __shared__ thread_local
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))

struct gpusim_thread {
    uint3 thread, block;
    dim3 block_size, grid_size;
    unsigned lane;
};
extern struct gpusim_thread gpusim_self;

#define threadIdx (gpusim_self.thread)
#define blockIdx (gpusim_self.block)
#define blockDim (gpusim_self.block_size)
#define gridDim (gpusim_self.grid_size)
#define warpSize 32

/* All of the block, or the lanes of a mask, come to the same line; what they
 * bring is combined or exchanged there. */
enum gpusim_vote { GPUSIM_NONE, GPUSIM_COUNT, GPUSIM_BALLOT };
unsigned gpusim_barrier(enum gpusim_vote vote, bool value, const char *file,
                        int line);
unsigned gpusim_warp_vote(unsigned mask, bool value, const char *file,
                          int line);
void gpusim_warp_sync(unsigned mask, const char *file, int line);
uint64_t gpusim_shuffle(unsigned mask, uint64_t value, unsigned from,
                        const char *file, int line);
[[noreturn]] void gpusim_trap(const char *what, const char *file, int line);

#define __syncthreads()                                                        \
    ((void)gpusim_barrier(GPUSIM_NONE, false, __FILE__, __LINE__))
#define __syncthreads_count(p)                                                 \
    ((int)gpusim_barrier(GPUSIM_COUNT, (p), __FILE__, __LINE__))
#define __syncthreads_or(p)                                                    \
    (gpusim_barrier(GPUSIM_COUNT, (p), __FILE__, __LINE__) != 0)
#define __syncthreads_and(p)                                                   \
    (gpusim_barrier(GPUSIM_COUNT, !(p), __FILE__, __LINE__) == 0)
#define GPUSIM_MASK(...) GPUSIM_FIRST(__VA_ARGS__ __VA_OPT__(, ) 0xffffffffu)
#define GPUSIM_FIRST(mask, ...) (mask)
#define __syncwarp(...)                                                        \
    gpusim_warp_sync(GPUSIM_MASK(__VA_ARGS__), __FILE__, __LINE__)
#define __ballot_sync(m, p) gpusim_warp_vote((m), (p), __FILE__, __LINE__)
#define __any_sync(m, p) (gpusim_warp_vote((m), (p), __FILE__, __LINE__) != 0)
#define __all_sync(m, p) (gpusim_warp_vote((m), !(p), __FILE__, __LINE__) == 0)
#define __trap() gpusim_trap("__trap", __FILE__, __LINE__)

/* "Warp Shuffle Functions": the lane asked for, within groups of `width`; one
 * outside of its group gets its own value. */
template <typename T>
static inline T gpusim_exchange(unsigned mask, T value, int from, int width,
                                const char *file, int line)
{
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle of 4 or 8 bytes");
    int lane = (int)gpusim_self.lane, first = lane / width * width;
    uint64_t bits = 0;
    if (from < first || from >= first + width) {
        from = lane;
    }
    memcpy(&bits, &value, sizeof value);
    bits = gpusim_shuffle(mask, bits, (unsigned)from, file, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}
#define GPUSIM_WIDTH(...) GPUSIM_FIRST(__VA_ARGS__ __VA_OPT__(, ) 32)
#define GPUSIM_LANE ((int)gpusim_self.lane)
#define __shfl_sync(m, v, from, ...)                                           \
    gpusim_exchange((m), (v),                                                  \
                    (int)(GPUSIM_LANE / GPUSIM_WIDTH(__VA_ARGS__) *            \
                              GPUSIM_WIDTH(__VA_ARGS__) +                      \
                          (int)(from) % GPUSIM_WIDTH(__VA_ARGS__)),            \
                    GPUSIM_WIDTH(__VA_ARGS__), __FILE__, __LINE__)
#define __shfl_up_sync(m, v, by, ...)                                          \
    gpusim_exchange((m), (v), GPUSIM_LANE - (int)(by),                         \
                    GPUSIM_WIDTH(__VA_ARGS__), __FILE__, __LINE__)
#define __shfl_down_sync(m, v, by, ...)                                        \
    gpusim_exchange((m), (v), GPUSIM_LANE + (int)(by),                         \
                    GPUSIM_WIDTH(__VA_ARGS__), __FILE__, __LINE__)
#define __shfl_xor_sync(m, v, by, ...)                                         \
    gpusim_exchange((m), (v), GPUSIM_LANE ^ (int)(by),                         \
                    GPUSIM_WIDTH(__VA_ARGS__), __FILE__, __LINE__)

/* One OS thread runs all of a device, so that an atomic operation need only
 * be told from others by the checked build. */
void gpusim_touch_atomically(const void *address, size_t bytes);

#define GPUSIM_ATOMIC(name, T, expression)                                     \
    static __attribute__((no_sanitize("thread"))) inline T name(T *at, T v)    \
    {                                                                          \
        T old;                                                                 \
        gpusim_touch_atomically(at, sizeof *at);                               \
        old = *at;                                                             \
        *at = (T)(expression);                                                 \
        return old;                                                            \
    }
#define GPUSIM_ATOMIC_INTEGERS(name, expression)                               \
    GPUSIM_ATOMIC(name, int, expression)                                       \
    GPUSIM_ATOMIC(name, unsigned, expression)                                  \
    GPUSIM_ATOMIC(name, unsigned long long, expression)
GPUSIM_ATOMIC_INTEGERS(atomicAdd, old + v)
GPUSIM_ATOMIC(atomicAdd, float, old + v)
GPUSIM_ATOMIC(atomicAdd, double, old + v)
GPUSIM_ATOMIC(atomicSub, int, old - v)
GPUSIM_ATOMIC(atomicSub, unsigned, old - v)
GPUSIM_ATOMIC_INTEGERS(atomicMax, old > v ? old : v)
GPUSIM_ATOMIC_INTEGERS(atomicMin, old < v ? old : v)
GPUSIM_ATOMIC_INTEGERS(atomicOr, old | v)
GPUSIM_ATOMIC_INTEGERS(atomicAnd, old &v)
GPUSIM_ATOMIC_INTEGERS(atomicXor, old ^ v)
GPUSIM_ATOMIC_INTEGERS(atomicExch, v)
GPUSIM_ATOMIC(atomicExch, float, v)

#define GPUSIM_SWAP(T)                                                         \
    static __attribute__((no_sanitize("thread"))) inline T atomicCAS(          \
        T *at, T expected, T v)                                                \
    {                                                                          \
        gpusim_touch_atomically(at, sizeof *at);                               \
        T old = *at;                                                           \
        *at = old == expected ? v : old;                                       \
        return old;                                                            \
    }
GPUSIM_SWAP(int)
GPUSIM_SWAP(unsigned)
GPUSIM_SWAP(unsigned long long)

/* They order a thread's own accesses, which happen in order here. */
static inline void __threadfence()
{
}
static inline void __threadfence_block()
{
}

template <typename T> static inline T __ldg(const T *at)
{
    return *at;
}

template <typename To, typename From> static inline To gpusim_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline int __float_as_int(float x)
{
    return gpusim_bits<int>(x);
}
static inline unsigned __float_as_uint(float x)
{
    return gpusim_bits<unsigned>(x);
}
static inline float __int_as_float(int x)
{
    return gpusim_bits<float>(x);
}
static inline float __uint_as_float(unsigned x)
{
    return gpusim_bits<float>(x);
}
static inline long long __double_as_longlong(double x)
{
    return gpusim_bits<long long>(x);
}
static inline double __longlong_as_double(long long x)
{
    return gpusim_bits<double>(x);
}
static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
static inline int __clz(int x)
{
    return x == 0 ? 32 : __builtin_clz((unsigned)x);
}
static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
static inline unsigned __brev(unsigned x)
{
    unsigned y = 0;
    for (int i = 0; i < 32; i++) {
        y |= (x >> i & 1u) << (31 - i);
    }
    return y;
}

/* "Intrinsic functions": the _rn ones are the operation without contraction. */
static inline float __fadd_rn(float a, float b)
{
    return a + b;
}
static inline float __fsub_rn(float a, float b)
{
    return a - b;
}
static inline float __fmul_rn(float a, float b)
{
    return a * b;
}
static inline float __fdiv_rn(float a, float b)
{
    return a / b;
}
static inline float __fsqrt_rn(float a)
{
    return sqrtf(a);
}
static inline float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}
static inline double __dadd_rn(double a, double b)
{
    return a + b;
}
static inline double __dsub_rn(double a, double b)
{
    return a - b;
}
static inline double __dmul_rn(double a, double b)
{
    return a * b;
}
static inline double __ddiv_rn(double a, double b)
{
    return a / b;
}
static inline double __dsqrt_rn(double a)
{
    return sqrt(a);
}
static inline double __fma_rn(double a, double b, double c)
{
    return fma(a, b, c);
}
static inline float __double2float_rn(double a)
{
    return (float)a;
}
static inline float __int2float_rn(int a)
{
    return (float)a;
}
static inline double __int2double_rn(int a)
{
    return (double)a;
}
static inline float __uint2float_rn(unsigned a)
{
    return (float)a;
}
#define __expf expf
#define __logf logf
static inline float __fdividef(float a, float b)
{
    return a / b;
}
static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}
static inline double rsqrt(double x)
{
    return 1 / sqrt(x);
}

using std::isfinite;
using std::isinf;
using std::isnan;

template <typename A, typename B>
static inline std::common_type_t<A, B> min(A a, B b)
{
    using T = std::common_type_t<A, B>;
    return (T)a < (T)b ? (T)a : (T)b;
}
template <typename A, typename B>
static inline std::common_type_t<A, B> max(A a, B b)
{
    using T = std::common_type_t<A, B>;
    return (T)a > (T)b ? (T)a : (T)b;
}

/* Makes a kernel callable with a stub's arguments. */
template <auto Kernel> struct gpusim_entry;
template <typename... A, void (*Kernel)(A...)> struct gpusim_entry<Kernel> {
    static_assert(sizeof...(A) <= GPUSIM_ARGUMENTS, "more room needed");

    template <size_t... I>
    static __attribute__((no_sanitize("thread"))) void
    apply(void **arguments, std::index_sequence<I...>)
    {
        (void)arguments;
        Kernel(*(std::remove_cv_t<A> *)arguments[I]...);
    }
    static void call(void **arguments)
    {
        apply(arguments, std::index_sequence_for<A...>{});
    }
    static struct gpusim_kernel describe(const char *mangled, const char *name,
                                         int block_most)
    {
        return {mangled,
                name,
                block_most,
                (int)sizeof...(A),
                {(unsigned)sizeof(A)...},
                call};
    }
};

/* The list that `kernels_of` writes is made of these. */
#define GPUSIM_KERNEL(mangled, block_most, ...)                                \
    gpusim_entry<(__VA_ARGS__)>::describe(mangled, #__VA_ARGS__, block_most),

/* extern __shared__ T name[]: memory of the size that a launch asks for. */
enum { GPUSIM_DYNAMIC_BYTES = 49152 };
#define GPUSIM_DYNAMIC(name)                                                   \
    __asm__(".pushsection .tbss,\"awT\",@nobits\n.globl " #name                \
            "\n.type " #name ", @tls_object\n.p2align 4\n" #name               \
            ":\n.zero 49152\n.size " #name ", 49152\n.popsection\n");

#endif
