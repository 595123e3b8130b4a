/* backend.h: the operations a network is made of, whatever computes them.
 *
 * Network, rules, optimiser and trainer are written once against this table;
 * only a backend knows element types, libraries and hardware.  A matrix is a
 * handle: nobody outside the backend follows `values`.
 *
 * Operations take effect in the order they are called, but may return before
 * they are done: only those that hand numbers to the host (copy_out, score)
 * wait.  None of them allocates or fails; numbers that are not finite pass
 * through and are found by `descend` and `score`.  Sums have a fixed order, so
 * results depend on the operands' values and shapes only.
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

struct matrix {
    void *values; /* in the backend's memory */
    int rows, cols;
    int stride; /* elements from one row to the next */
};

enum orientation { PLAIN, TRANSPOSED };

/* What becomes of the diagonal of W W^T. */
enum diagonal { DIAGONAL_KEPT, DIAGONAL_ZERO, DIAGONAL_LESS_ONE };

/* Rows as bytes in host memory, and the pixel that stands for 1. */
struct source {
    const uint8_t *pixels; /* rows x width */
    const uint8_t *labels; /* rows */
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

/* A factored n x n matrix.  `values` and `pivots` are working memory. */
struct factor {
    struct matrix values; /* n x n */
    int *pivots;          /* n, in the backend's memory */
};

/* Working memory for the singular values of an n x n matrix. */
enum { SINGULAR_ROWS = 100, SINGULAR_INTEGERS = 8 };
struct singular {
    struct matrix copy; /* n x n */
    struct matrix room; /* SINGULAR_ROWS x n */
    int *integers;      /* SINGULAR_INTEGERS n, in the backend's memory */
};

/* A parameter and its moments, and the gradient to follow. */
struct update {
    struct matrix value, m, v, gradient; /* equal shapes, dense */
};

/* What `descend` ors into its flags. */
enum fault {
    FAULT_GRADIENT = 1,
    FAULT_MOMENT = 2,
    FAULT_PARAMETER = 4,
};

struct backend {
    const char *dtype; /* "F32" or "F64", as safetensors spells it */
    size_t element_bytes;
    bool is_host; /* `values` are addresses of this process */

    void (*close)(struct backend *);

    /* Zeroed memory for all of a trainer's matrices; NULL: ERROR_MEMORY. */
    void *(*allocate)(struct backend *, size_t bytes, struct error *);
    void (*release)(struct backend *, void *memory); /* NULL-safe */
    void (*copy_in)(struct backend *, void *to, const void *host, size_t bytes);
    void (*copy_out)(struct backend *, void *host, const void *from,
                     size_t bytes);

    /* Rounds doubles (row-major, dense) into a dense matrix. */
    void (*assign)(struct backend *, struct matrix to, const double *from);

    /* x[i,:] = pixels / largest and labels[i], for x.rows rows from row
     * `first` on, or for rows order[first...] when there is an order. */
    void (*gather)(struct backend *, const struct source *from,
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
    /* delta = e where y >= 0, slope e elsewhere */
    void (*gate)(struct backend *, struct matrix y, struct matrix e,
                 double slope, struct matrix delta);
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
    /* mean[0,j] = mean over i of a[i,j] */
    void (*column_mean)(struct backend *, struct matrix a, struct matrix mean);
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
     * p = p - rate m / (1e-8 + sqrt(v)); ors what is not finite afterwards
     * into *flags, in the backend's memory. */
    void (*descend)(struct backend *, const struct update *update, double rate,
                    uint32_t *flags);

    /* Adds to *correct the rows of y whose largest column (the first of
     * equals) is the label, and to *loss the squared errors over all rows. */
    void (*score)(struct backend *, struct matrix y, const uint8_t *labels,
                  int64_t *correct, double *loss);

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
    return (struct matrix){from.values, rows, cols, from.stride};
}

/* Working memory seen as a dense matrix of a smaller shape. */
static inline struct matrix matrix_shaped(struct matrix from, int rows,
                                          int cols)
{
    return (struct matrix){from.values, rows, cols, cols};
}

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
