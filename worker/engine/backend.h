/* backend.h: the operations a network is made of, whatever computes them.
 *
 * Network, rules, optimiser and trainer are written once against this table;
 * only a backend knows element types, libraries and hardware.  A matrix is a
 * handle: nobody outside the backend follows `values`.
 *
 * Operations take effect in the order they are called, but may return before
 * they are done: only those that hand numbers to the host (copy_out, norm and
 * its like) wait.  None of them allocates.  On a device one can fail: those
 * after it do nothing, what is handed to the host is 0, and `check` tells why.
 * Numbers that are not finite pass through and are found by `descend` and
 * `score`.  Sums have a fixed order, so results depend on the operands' values
 * and shapes only.
 *
 * A backend serves one thread.  B is the number of rows of a batch, n a
 * layer's width; all matrices are row-major, rows are samples.
 */
#ifndef ENGINE_BACKEND_H
#define ENGINE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/error.h"
#include "schema/settings.h"

struct matrix {
    void *values; /* in the backend's memory */
    int rows, cols;
    int stride; /* elements from one row to the next */
};

enum orientation { PLAIN, TRANSPOSED };

/* What becomes of the diagonal of W W^T. */
enum diagonal { DIAGONAL_KEPT, DIAGONAL_ZERO, DIAGONAL_LESS_ONE };

/* Rows as bytes, and the pixel that stands for 1.  What `load` has made of
 * one is in the backend's memory. */
struct source {
    const uint8_t *pixels; /* rows x width */
    const uint8_t *labels; /* rows */
    int64_t rows;
    int width;
    double largest;
};

/* How GAIT and TP ask the inverse which input would have moved an output y by
 * t = step c e: u = (g(y) - g(y - t)) / step, g being the inverse of f, whose
 * slope is k < 1 for negative z.  By cases, so that nothing cancels:
 *
 *     y >= 0 and y <  step e         u = e / k - (1/k - 1) y / step
 *     y <  0 and y >= step reach e   u = reach e + (1/k - 1) y / step
 *     otherwise                      u = e, or gain e where y < 0
 *
 * c is 1 for y >= 0 and `reach` for y < 0, and gain = reach / k. */
struct kink {
    double step, reach, gain;
};

/* What working memory of the backend's own is for. */
enum purpose { FOR_FACTOR, FOR_SINGULAR };

/* A factored n x n matrix: all of it working memory. */
struct factor {
    struct matrix values; /* n x n */
    int *pivots;          /* n, in the backend's memory */
    void *scratch;        /* scratch_bytes(FOR_FACTOR, n) or more */
};

/* Working memory for the singular values of an n x n matrix. */
struct singular {
    struct matrix copy; /* n x n */
    void *scratch;      /* scratch_bytes(FOR_SINGULAR, n) or more */
};

/* A parameter and its moments, the gradient to follow, and the layer that is
 * to be named when one of them leaves the finite numbers. */
struct update {
    struct matrix value, m, v, gradient; /* equal shapes, dense */
    int layer;
};

/* What `descend` ors into its flags. */
enum fault {
    FAULT_GRADIENT = 1,
    FAULT_MOMENT = 2,
    FAULT_PARAMETER = 4,
};

/* The first update that left something not finite, and what that was: in the
 * backend's memory, all 0 until then. */
struct faults {
    uint64_t step;              /* as `descend` was told */
    uint32_t flags[LAYERS_MAX]; /* enum fault, by layer */
};

/* What `score` adds to, in the backend's memory. */
struct tally {
    int64_t correct;
    double loss;
};

struct backend {
    const char *dtype; /* "F32" or "F64", as safetensors spells it */
    size_t element_bytes;
    /* `values` are addresses of this process, and operations are done when
     * they return.  Elsewhere starting one has its price, so that fewer and
     * larger ones are better, and waiting for one is worse. */
    bool is_host;
    /* Of a device's memory: what has been asked for, all together. */
    size_t taken_bytes;

    void (*close)(struct backend *);

    /* False once an operation has failed, as far as is known without waiting:
     * ERROR_MEMORY, or ERROR_IO for anything else.  It stays so. */
    bool (*check)(struct backend *, struct error *);

    /* What a struct factor or singular for an n x n matrix needs, no less for
     * a larger n. */
    size_t (*scratch_bytes)(const struct backend *, enum purpose, int n);

    /* Zeroed memory for all of a trainer's matrices; NULL: ERROR_MEMORY. */
    void *(*allocate)(struct backend *, size_t bytes, struct error *);
    void (*release)(struct backend *, void *memory); /* NULL-safe */
    void (*copy_in)(struct backend *, void *to, const void *host, size_t bytes);
    void (*copy_out)(struct backend *, void *host, const void *from,
                     size_t bytes);
    void (*clear)(struct backend *, void *memory, size_t bytes); /* to 0 */

    /* Brings rows to where `gather` reads them; they are borrowed meanwhile.
     * False: ERROR_MEMORY, ERROR_IO.  What has not been loaded (all 0) may be
     * unloaded. */
    bool (*load)(struct backend *, const struct source *from,
                 struct source *loaded, struct error *);
    void (*unload)(struct backend *, struct source *loaded);

    /* Rounds doubles (row-major, dense) into a dense matrix. */
    void (*assign)(struct backend *, struct matrix to, const double *from);

    /* x[i,:] = pixels / largest and labels[i], for x.rows rows from row
     * `first` on, or for rows order[first...] when there is an order, which
     * is in the backend's memory as everything here. */
    void (*gather)(struct backend *, const struct source *loaded,
                   const int32_t *order, int64_t first, struct matrix x,
                   uint8_t *labels);

    /* c = alpha op(a) op(b) + beta c; c is not read when beta is 0. */
    void (*product)(struct backend *, double alpha, struct matrix a,
                    enum orientation a_is, struct matrix b,
                    enum orientation b_is, double beta, struct matrix c);
    /* s = a a^T, its diagonal kept, zeroed, or less 1.  A symmetric matrix is
     * read by `symmetric_product` and `divide` only: half of it may be left
     * unwritten. */
    void (*gram)(struct backend *, struct matrix a, enum diagonal diagonal,
                 struct matrix s);
    void (*symmetric_product)(struct backend *, double alpha, struct matrix s,
                              struct matrix a, double beta, struct matrix c);

    /* z = f(z + bias), f(z) = z >= 0 ? z : slope z; bias is 1 x cols. */
    void (*activate)(struct backend *, struct matrix z, struct matrix bias,
                     double slope);
    /* delta = e where y >= 0, slope e elsewhere; mean[0,j] = mean over i of
     * delta[i,j] */
    void (*gate)(struct backend *, struct matrix y, struct matrix e,
                 double slope, struct matrix delta);
    void (*gate_mean)(struct backend *, struct matrix y, struct matrix e,
                      double slope, struct matrix delta, struct matrix mean);
    /* u as above */
    void (*invert)(struct backend *, struct matrix y, struct matrix e,
                   double slope, const struct kink *kink, struct matrix u);
    /* c = alpha (a - b) */
    void (*difference)(struct backend *, double alpha, struct matrix a,
                       struct matrix b, struct matrix c);
    /* z = g((1 - c) y + c t) - bias, c = gamma where y >= 0 and gamma slope^2
     * elsewhere: what would have had its output moved from y towards t. */
    void (*retrace)(struct backend *, struct matrix y, struct matrix t,
                    struct matrix bias, double slope, double gamma,
                    struct matrix z);
    /* e = y - one-hot(labels) in the first `classes` columns, 0 elsewhere */
    void (*output_error)(struct backend *, struct matrix y,
                         const uint8_t *labels, int classes, struct matrix e);

    /* e = e a^-1 by rows: factor(a), then solve.  A singular matrix makes e
     * infinite or NaN. */
    void (*factor)(struct backend *, struct matrix a, struct factor *to);
    void (*solve)(struct backend *, const struct factor *by, struct matrix e);
    /* e = u a^-1 by rows, refined.  Where `gram` has left a a^T in `gram`
     * (whatever became of its diagonal), that is used if it gives an answer as
     * good; without values there is none.  `spare` has u's shape, and e is
     * another matrix than u. */
    void (*divide)(struct backend *, struct matrix a, struct matrix gram,
                   struct factor *work, struct matrix u, struct matrix spare,
                   struct matrix e);

    /* m = 0.9 m + 0.1 g; v = 0.99 v + 0.01 g^2;
     * p = p - rate m / (1e-8 + sqrt(v)), for each of the updates.  What is not
     * finite afterwards is noted, unless an earlier step (they count from 1)
     * has already noted something. */
    void (*descend)(struct backend *, const struct update *updates, int count,
                    double rate, uint64_t step, struct faults *faults);

    /* Adds to the tally's `correct` the rows of y whose largest column (the
     * first of equals) is the label, and to its `loss` the squared errors
     * over all rows. */
    void (*score)(struct backend *, struct matrix y, const uint8_t *labels,
                  struct tally *tally);

    /* For diagnostics; these wait too.  The Frobenius norms of alpha a + beta
     * b, and of a a^T without its diagonal (`spare` has a's shape); the largest
     * singular value of a square a over its smallest, not finite when that is
     * 0 or a is not finite. */
    double (*norm)(struct backend *, double alpha, struct matrix a, double beta,
                   struct matrix b);
    double (*off_diagonal)(struct backend *, struct matrix a,
                           struct matrix spare);
    double (*condition)(struct backend *, struct matrix a,
                        struct singular *work);
};

/* The m x n corner of a matrix: the same memory, fewer rows and columns. */
static inline struct matrix matrix_corner(struct matrix from, int rows,
                                          int cols)
{
    struct matrix corner = {from.values, rows, cols, from.stride};
    return corner;
}

/* Working memory seen as a dense matrix of a smaller shape. */
static inline struct matrix matrix_shaped(struct matrix from, int rows,
                                          int cols)
{
    struct matrix shaped = {from.values, rows, cols, cols};
    return shaped;
}

/* A copy as doubles, row-major and dense, which the caller frees.  NULL: out of
 * memory. */
double *matrix_doubles(struct backend *backend, struct matrix matrix);

/* Places matrices one after another in a single allocation.  Run the same
 * placing code twice: with base NULL to learn `bytes`, then with the memory. */
struct layout {
    size_t element_bytes;
    char *base;
    size_t bytes; /* used so far */
};

void *layout_bytes(struct layout *layout, size_t bytes);
struct matrix layout_matrix(struct layout *layout, int rows, int cols);

#endif
