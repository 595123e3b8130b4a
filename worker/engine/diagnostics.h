/* diagnostics.h: how a rule's errors and weights are doing, layer by layer.
 *
 * Measured at the present weights on one fixed batch, the first batch_size
 * training rows, so what comes out depends on weights and data only; nothing
 * that trains on is touched but the network's batch, which the next update
 * brings along.
 *
 *   angle         degrees from 0 to 180 between two n x n gradients of W[l],
 *                 the rule's and BP's, of the data alone (no regulariser):
 *                 2 atan2(|a - b|, |a + b|) for a and b of length 1, which is
 *                 exact for small angles too (Kahan); 0 for BP
 *   off_diagonal  Frobenius norm of W W^T without its diagonal
 *   condition     largest singular value of W over the smallest, all of them
 *                 computed: no estimate, but its relative error is about
 *                 itself times the rounding of the run's precision
 *   error_rms     root mean square of the rule's e[l] over the batch's rows and
 *                 the layer's n units (auxiliary ones have error 0)
 *
 * What is not a finite number is NaN.  Costs a batch's forward, errors and
 * gradients by both rules, and 11/3 n^3 per layer.
 */
#ifndef ENGINE_DIAGNOSTICS_H
#define ENGINE_DIAGNOSTICS_H

#include "schema/diagnostic.h"
#include "worker/engine/step.h"

struct diagnostics {
    const struct step *step;          /* borrowed, with its network and rule */
    struct matrix deltas[LAYERS_MAX]; /* B x n: the rule's */
    struct matrix squares[2];         /* n x n, for one layer at a time */
    struct singular singular;         /* of n x n, its copy being a square */
};

void diagnostics_init(struct diagnostics *diagnostics, const struct step *step);
void diagnostics_place(struct diagnostics *diagnostics, struct layout *layout);

/* Writes `layers[0..depth)`; `train` is what the first batch is gathered from.
 * Overwrites the network's batch and the step's working memory. */
void diagnostics_measure(struct diagnostics *diagnostics,
                         const struct source *train, struct diagnostic *layers);

#endif
