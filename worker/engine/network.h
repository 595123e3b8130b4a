/* network.h: layers of invertible units, and what one batch leaves in them.
 *
 *     z[l] = y[l][:, :n] W[l] + b[l],   y[l+1] = f(z[l])
 *
 * W[l] is n x n, n the width of layer l; y[0] = x.  f is the leaky ReLU with
 * slope 0.1, or the identity.  Widths never increase; a layer reads the first
 * n columns of what is below it, the others are auxiliary.
 */
#ifndef ENGINE_NETWORK_H
#define ENGINE_NETWORK_H

#include <stdbool.h>

#include "schema/settings.h"
#include "worker/engine/backend.h"

/* A trained tensor and its moments: equal shapes, dense. */
struct parameter {
    struct matrix value, m, v;
};

struct layer {
    int width;               /* n */
    struct parameter weight; /* n x n */
    struct parameter bias;   /* 1 x n */
    struct matrix output;    /* B x n: y[l+1] */
    struct matrix error;     /* B x n: e[l]; 0 in columns no layer reads */
};

struct network {
    struct backend *backend; /* borrowed */
    int depth;               /* L */
    int batch_rows;          /* B */
    double slope;            /* of f for negative z; 1: linear */
    struct matrix input;     /* B x n[0]: y[0] */
    uint8_t *labels;         /* B, in the backend's memory */
    struct layer layers[LAYERS_MAX];
};

void network_init(struct network *network, struct backend *backend,
                  const int *widths, int depth, int batch_rows, bool is_linear);

/* Places parameters first, values before moments, then a batch's matrices. */
void network_place(struct network *network, struct layout *layout);

/* Initial weights, zero biases; moments are zero as allocated.  False:
 * ERROR_MEMORY. */
bool network_start(struct network *network, int64_t seed, bool is_orthogonal,
                   struct error *error);

/* y = f(input[:, :n] W[:, :k] + b[:k]) of layer l, k being y's columns. */
void network_apply(const struct network *network, int l, struct matrix input,
                   struct matrix y);

/* Outputs of all layers for the batch in `input`. */
void network_forward(const struct network *network);

/* y[l][:, :n], what layer l reads: B x n. */
struct matrix network_read(const struct network *network, int l);

/* The part of e[l-1] that layer l answers for: B x n, l > 0. */
struct matrix network_error_below(const struct network *network, int l);

#endif
