/* agreement.h: how far two backends are apart, operation by operation.
 *
 * Both get the same operands.  Element-wise operations are to give the same
 * bits; sums and products the same values but for rounding, solves but for
 * rounding times a condition number that is kept small here.
 */
#ifndef ENGINE_AGREEMENT_H
#define ENGINE_AGREEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "schema/error.h"

struct backend;

struct agreement {
    const char *operation;
    double error; /* |got - expected| / |expected|, in the Frobenius norm */
    double bound; /* what error may be; NaN is more than any */
};

/* |got - expected| / |expected|: 0 for equals, whatever they are. */
double agreement_distance(const double *expected, const double *got,
                          size_t count);

/* Measures every operation on batches of `rows` and matrices of n columns,
 * CLASSES or more.  The backends are of one precision.  False: out of memory,
 * or one of them has failed. */
bool agreement_measure(struct backend *expected, struct backend *got, int rows,
                       int n,
                       void (*on_result)(void *user, const struct agreement *),
                       void *user, struct error *error);

#endif
