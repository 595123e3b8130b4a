/* worker_engine_big.h: BP, TP and GAIT-prop as published, in 512 bits.
 *
 * Every layer's activity is moved towards its target, taken through the exact
 * inverse, subtracted, and divided by what it was moved by.  That loses ten
 * bits a layer at gamma 1e-3, so the truth that a double is held against needs
 * hundreds of them.  MPFR rounds correctly: the truth is the same everywhere.
 */
#ifndef WORKER_ENGINE_BIG_H
#define WORKER_ENGINE_BIG_H

#include "worker_engine_fixture.h"

#include <mpfr.h>

enum { BIG_BITS = 512, BIG_DEPTH = 9, BIG_WIDTH = 32, BIG_ROWS = 5 };
#define BIG_ROUND MPFR_RNDN

/* rows x cols numbers, row-major. */
struct big {
    int rows, cols;
    mpfr_t *values;
};

/* A network, one batch, and what a rule makes of it.  The caller sets what is
 * above the line; a layer's weights are n x n, dense. */
struct big_network {
    int depth, widths[BIG_DEPTH];
    double slope;
    uint8_t pixels[BIG_ROWS * BIG_WIDTH], labels[BIG_ROWS];
    double weights[BIG_DEPTH][BIG_WIDTH * BIG_WIDTH];
    double biases[BIG_DEPTH][BIG_WIDTH];
    /* --- */
    struct big w[BIG_DEPTH], inverse[BIG_DEPTH];
    struct big y[BIG_DEPTH + 1]; /* y[0] is the input */
    struct big t[BIG_DEPTH + 1]; /* targets of y */
    struct big delta;            /* of one layer */
    double condition[BIG_DEPTH]; /* |W| |W^-1| / n, Frobenius */
    /* Of the last big_backward: */
    double e[BIG_DEPTH][BIG_ROWS * BIG_WIDTH]; /* rows x n */
    int crossings[BIG_DEPTH];                  /* of the kink, by layer */
    double weight_gradient[BIG_DEPTH][BIG_WIDTH * BIG_WIDTH];
    double bias_gradient[BIG_DEPTH][BIG_WIDTH];
};

/* --- matrices ------------------------------------------------------------ */

static inline mpfr_ptr big_at(struct big a, int i, int j)
{
    return a.values[i * a.cols + j];
}

static inline struct big big_new(int rows, int cols)
{
    size_t count = (size_t)rows * (size_t)cols;
    struct big a = {rows, cols, malloc(count * sizeof *a.values)};
    assert_non_null(a.values);
    for (size_t i = 0; i < count; i++) {
        mpfr_init2(a.values[i], BIG_BITS);
        mpfr_set_zero(a.values[i], 1);
    }
    return a;
}

static inline void big_free(struct big a)
{
    for (int i = 0; i < a.rows * a.cols; i++)
        mpfr_clear(a.values[i]);
    free(a.values);
}

static inline double big_norm(struct big a)
{
    double sum = 0.0;
    for (int i = 0; i < a.rows * a.cols; i++)
        sum += pow(mpfr_get_d(a.values[i], BIG_ROUND), 2);
    return sqrt(sum);
}

/* to += sign a b */
static inline void big_add(mpfr_ptr to, int sign, mpfr_ptr a, mpfr_ptr b)
{
    if (sign > 0)
        mpfr_fma(to, a, b, to, BIG_ROUND);
    else
        mpfr_fms(to, a, b, to, BIG_ROUND), mpfr_neg(to, to, BIG_ROUND);
}

/* row i of a -= factor row k */
static inline void big_eliminate(struct big a, int i, int k, mpfr_ptr factor)
{
    for (int j = 0; j < a.cols; j++)
        big_add(big_at(a, i, j), -1, factor, big_at(a, k, j));
}

static inline void big_swap(struct big a, int i, int k)
{
    for (int j = 0; j < a.cols; j++)
        mpfr_swap(big_at(a, i, j), big_at(a, k, j));
}

/* Gauss and Jordan, with the largest of each column as its pivot. */
static inline void big_invert(struct big from, struct big to)
{
    struct big a = big_new(from.rows, from.cols), scale = big_new(1, 1);
    for (int i = 0; i < a.rows * a.cols; i++)
        mpfr_set(a.values[i], from.values[i], BIG_ROUND);
    for (int i = 0; i < a.rows; i++)
        mpfr_set_ui(big_at(to, i, i), 1, BIG_ROUND);
    for (int k = 0; k < a.rows; k++) {
        int pivot = k;
        for (int i = k + 1; i < a.rows; i++)
            if (mpfr_cmpabs(big_at(a, i, k), big_at(a, pivot, k)) > 0)
                pivot = i;
        big_swap(a, k, pivot);
        big_swap(to, k, pivot);
        mpfr_ui_div(scale.values[0], 1, big_at(a, k, k), BIG_ROUND);
        for (int j = 0; j < a.cols; j++) {
            mpfr_mul(big_at(a, k, j), big_at(a, k, j), scale.values[0],
                     BIG_ROUND);
            mpfr_mul(big_at(to, k, j), big_at(to, k, j), scale.values[0],
                     BIG_ROUND);
        }
        for (int i = 0; i < a.rows; i++) {
            if (i == k)
                continue;
            mpfr_set(scale.values[0], big_at(a, i, k), BIG_ROUND);
            big_eliminate(a, i, k, scale.values[0]);
            big_eliminate(to, i, k, scale.values[0]);
        }
    }
    big_free(a);
    big_free(scale);
}

/* --- networks ------------------------------------------------------------ */

static inline bool big_is_low(const struct big_network *network, mpfr_ptr y)
{
    return network->slope != 1.0 && mpfr_sgn(y) < 0;
}

/* Allocates for `depth` and `widths`, and inverts `weights`. */
static inline void big_open(struct big_network *network)
{
    for (int l = 0; l < network->depth; l++) {
        int n = network->widths[l];
        network->w[l] = big_new(n, n);
        network->inverse[l] = big_new(n, n);
        for (int i = 0; i < n * n; i++)
            mpfr_set_d(network->w[l].values[i], network->weights[l][i],
                       BIG_ROUND);
        big_invert(network->w[l], network->inverse[l]);
        network->condition[l] =
            big_norm(network->w[l]) * big_norm(network->inverse[l]) / n;
    }
    for (int l = 0; l <= network->depth; l++) {
        int n = network->widths[l ? l - 1 : 0];
        network->y[l] = big_new(BIG_ROWS, n);
        network->t[l] = big_new(BIG_ROWS, n);
    }
    network->delta = big_new(BIG_ROWS, network->widths[0]);
}

static inline void big_close(struct big_network *network)
{
    for (int l = 0; l < network->depth; l++) {
        big_free(network->w[l]);
        big_free(network->inverse[l]);
    }
    for (int l = 0; l <= network->depth; l++) {
        big_free(network->y[l]);
        big_free(network->t[l]);
    }
    big_free(network->delta);
    mpfr_free_cache();
}

/* Outputs of the batch at the current biases. */
static inline void big_forward(struct big_network *network)
{
    for (int i = 0; i < BIG_ROWS; i++)
        for (int j = 0; j < network->widths[0]; j++) {
            mpfr_ptr x = big_at(network->y[0], i, j);
            mpfr_set_ui(x, network->pixels[i * BIG_WIDTH + j], BIG_ROUND);
            mpfr_div_ui(x, x, 255, BIG_ROUND);
        }
    for (int l = 0; l < network->depth; l++)
        for (int i = 0; i < BIG_ROWS; i++)
            for (int j = 0; j < network->widths[l]; j++) {
                mpfr_ptr y = big_at(network->y[l + 1], i, j);
                mpfr_set_d(y, network->biases[l][j], BIG_ROUND);
                for (int k = 0; k < network->widths[l]; k++)
                    big_add(y, 1, big_at(network->y[l], i, k),
                            big_at(network->w[l], k, j));
                if (big_is_low(network, y))
                    mpfr_mul_d(y, y, network->slope, BIG_ROUND);
            }
}

/* The least |y| of any unit: how near the batch comes to a kink. */
static inline double big_margin(const struct big_network *network)
{
    double least = INFINITY;
    for (int l = 1; l <= network->depth; l++)
        for (int i = 0; i < BIG_ROWS * network->widths[l - 1]; i++)
            least = fmin(least,
                         fabs(mpfr_get_d(network->y[l].values[i], BIG_ROUND)));
    return least;
}

static inline void big_set_target(struct big_network *network)
{
    struct big y = network->y[network->depth], t = network->t[network->depth];
    for (int i = 0; i < BIG_ROWS; i++)
        for (int j = 0; j < y.cols; j++)
            if (j < CLASSES)
                mpfr_set_ui(big_at(t, i, j), j == network->labels[i],
                            BIG_ROUND);
            else
                mpfr_set(big_at(t, i, j), big_at(y, i, j), BIG_ROUND);
}

/* delta = f' scale (y - t), and the layer's gradients from it. */
static inline void big_gradient(struct big_network *network, int l,
                                mpfr_ptr scale)
{
    int n = network->widths[l];
    struct big sum = big_new(1, 1), y = network->y[l + 1];
    for (int i = 0; i < BIG_ROWS; i++)
        for (int j = 0; j < n; j++) {
            mpfr_ptr delta = big_at(network->delta, i, j);
            mpfr_sub(delta, big_at(y, i, j), big_at(network->t[l + 1], i, j),
                     BIG_ROUND);
            mpfr_mul(delta, delta, scale, BIG_ROUND);
            network->e[l][i * n + j] = mpfr_get_d(delta, BIG_ROUND);
            if (big_is_low(network, big_at(y, i, j)))
                mpfr_mul_d(delta, delta, network->slope, BIG_ROUND);
        }
    for (int k = 0; k < n; k++)
        for (int j = -1; j < n; j++) { /* -1: the bias */
            mpfr_set_zero(sum.values[0], 1);
            for (int i = 0; i < BIG_ROWS; i++)
                if (j < 0)
                    mpfr_add(sum.values[0], sum.values[0],
                             big_at(network->delta, i, k), BIG_ROUND);
                else
                    big_add(sum.values[0], 1, big_at(network->y[l], i, j),
                            big_at(network->delta, i, k));
            mpfr_div_ui(sum.values[0], sum.values[0], BIG_ROWS, BIG_ROUND);
            double *to = j < 0 ? &network->bias_gradient[l][k]
                               : &network->weight_gradient[l][j * n + k];
            *to = mpfr_get_d(sum.values[0], BIG_ROUND);
        }
    big_free(sum);
}

/* z = g((1 - c) y + c t) - b, c = gamma f'^2 or, for TP, 1. */
static inline void big_move(struct big_network *network, int l, double gamma,
                            int i, int j, mpfr_ptr part, mpfr_ptr z)
{
    mpfr_ptr y = big_at(network->y[l + 1], i, j);
    bool is_low = big_is_low(network, y);
    mpfr_set_d(part, gamma > 0.0 ? gamma : 1.0, BIG_ROUND);
    for (int power = 0; is_low && gamma > 0.0 && power < 2; power++)
        mpfr_mul_d(part, part, network->slope, BIG_ROUND);
    mpfr_sub(z, big_at(network->t[l + 1], i, j), y, BIG_ROUND);
    mpfr_fma(z, part, z, y, BIG_ROUND);
    network->crossings[l] += big_is_low(network, z) != is_low;
    if (big_is_low(network, z))
        mpfr_div_d(z, z, network->slope, BIG_ROUND);
    mpfr_sub_d(z, z, network->biases[l][j], BIG_ROUND);
}

/* t[l] through the inverse; units that layer l does not read stay. */
static inline void big_retrace(struct big_network *network, int l, double gamma)
{
    int n = network->widths[l];
    struct big part = big_new(1, 1), z = big_new(1, n), t = network->t[l];
    for (int i = 0; i < BIG_ROWS; i++) {
        for (int j = 0; j < n; j++)
            big_move(network, l, gamma, i, j, part.values[0], z.values[j]);
        for (int j = 0; j < t.cols; j++) {
            mpfr_set(big_at(t, i, j), big_at(network->y[l], i, j), BIG_ROUND);
            if (j < n)
                mpfr_set_zero(big_at(t, i, j), 1);
            for (int k = 0; j < n && k < n; k++)
                big_add(big_at(t, i, j), 1, z.values[k],
                        big_at(network->inverse[l], k, j));
        }
    }
    big_free(part);
    big_free(z);
}

/* t[l] = y[l] - delta W^T */
static inline void big_backpropagate(struct big_network *network, int l)
{
    struct big t = network->t[l];
    for (int i = 0; i < BIG_ROWS; i++)
        for (int j = 0; j < t.cols; j++) {
            mpfr_set(big_at(t, i, j), big_at(network->y[l], i, j), BIG_ROUND);
            for (int k = 0; j < network->widths[l] && k < network->widths[l];
                 k++)
                big_add(big_at(t, i, j), -1, big_at(network->delta, i, k),
                        big_at(network->w[l], j, k));
        }
}

/* Errors and gradients of BP, GAIT or TP, from the outputs. */
static inline void big_backward(struct big_network *network,
                                const char *algorithm, double gamma)
{
    bool is_bp = strcmp(algorithm, "BP") == 0;
    bool is_gait = strcmp(algorithm, "GAIT") == 0;
    struct big scale = big_new(1, 1);
    mpfr_set_ui(scale.values[0], 1, BIG_ROUND);
    big_set_target(network);
    for (int l = network->depth - 1; l >= 0; l--) {
        network->crossings[l] = 0;
        big_gradient(network, l, scale.values[0]);
        if (l > 0 && is_bp)
            big_backpropagate(network, l);
        else if (l > 0)
            big_retrace(network, l, is_gait ? gamma : 0.0);
        if (is_gait)
            mpfr_div_d(scale.values[0], scale.values[0], gamma, BIG_ROUND);
    }
    big_free(scale);
}

#endif
