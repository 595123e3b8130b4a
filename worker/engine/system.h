/* system.h: one linear system e a = u, and how well a backend solves it.
 *
 *     system_open(&system, backend, n, weights, 1.0, &error)
 *     system_solve(&system);
 *     off = system_residual(&system);
 *     system_close(&system);
 */
#ifndef ENGINE_SYSTEM_H
#define ENGINE_SYSTEM_H

#include "worker/engine/backend.h"

enum { SYSTEM_ROWS = 7 };

struct system {
    struct backend *backend; /* borrowed */
    double epsilon;          /* of its precision */
    int n;
    void *memory;          /* of all below */
    struct matrix a, gram; /* n x n */
    struct matrix u, e;    /* SYSTEM_ROWS x n; e is a part of wider rows */
    struct matrix spare;
    struct factor factor;
};

/* a is `weights`, n x n, times `scale`; u is random.  False: ERROR_MEMORY, or
 * what became of the backend. */
bool system_open(struct system *system, struct backend *backend, int n,
                 const double *weights, double scale, struct error *error);
void system_close(struct system *system);

/* Writes e; the second lets the backend take a short way by a a^T. */
void system_solve(struct system *system);
void system_solve_by_gram(struct system *system);

/* |e a - u| / |u|, the worst row's.  NaN: out of memory. */
double system_residual(const struct system *system);

/* Whether both ways give the same bits, which is to say: one way was taken. */
bool system_is_same(struct system *system);

#endif
