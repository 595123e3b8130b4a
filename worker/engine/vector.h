/* vector.h: element loops that use what the CPU has.
 *
 * A function marked VECTORISED is compiled for the baseline, for AVX2 and for
 * AVX-512, and the loader picks one, so one binary serves all machines.  All
 * give the same bits: elements are independent, sums name their order, and
 * -ffp-contract=off keeps a * b + c two roundings everywhere.
 */
#ifndef ENGINE_VECTOR_H
#define ENGINE_VECTOR_H

/* What would keep loops scalar: that sqrt sets errno for negative numbers, and
 * that a comparison with NaN could trap.  Neither changes a value. */
#if defined(__GNUC__) && !defined(__clang__)
#define VECTORISED_ANY                                                         \
    __attribute__((optimize("O3", "no-math-errno", "no-trapping-math")))
#else
#define VECTORISED_ANY
#endif

/* The loader picks before a sanitizer's runtime is up. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&         \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VECTORISED                                                             \
    VECTORISED_ANY                                                             \
    __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define VECTORISED VECTORISED_ANY
#endif

#endif
