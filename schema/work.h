/* work.h: how much there is to compute, counted in FLOPs before it is done.
 *
 * A product of m x k and k x n counts 2 m k n.  Per layer of n units and batch
 * of B rows: forward, weight gradient and error 2 n^2 B each (no error below
 * layer 0); a rule that inverts 2/3 n^3 for the factors; the regulariser n^3
 * for W W^T, which is symmetric, and 2 n^3 for the product with W.  An
 * evaluation computes 2 n^2 for each layer and row, but of the last layer only
 * CLASSES columns; with diagnostics, also a batch's forward, its errors and
 * gradients by the rule and by BP, and each layer's W W^T and singular values
 * (8/3 n^3).
 * Element-wise work, which is linear in what is counted, is not counted.
 *
 * The counts are nominal: an engine that gets the same from fewer does less.
 */
#ifndef SCHEMA_WORK_H
#define SCHEMA_WORK_H

#include "schema/settings.h"

struct work {
    double training_flops;   /* of all epochs */
    double evaluation_flops; /* of all evaluations, that of step 0 too */
    double once_flops;       /* what those would be at eval_every 0 */
    int64_t evaluations_per_epoch;
    int64_t evaluation_rows; /* that one evaluation goes through */
};

/* Adds the next job's work to a sum that begins with the first's.  The last
 * two members become 0 when jobs differ in them. */
void work_add(struct work *sum, const struct work *work, bool is_first);

/* The work of a job as if its run had not begun.  For settings that were
 * checked. */
void work_init(struct work *work, const struct settings *settings,
               const struct dataset_shape *shape);

/* FLOPs of the largest piece after which a worker looks up: making the
 * network (counted as 4 n^3 for each layer's orthogonal start), an update,
 * `chunk_rows` rows of an evaluation, the diagnostics of a row. */
double work_piece(const struct settings *settings, int width,
                  int64_t chunk_rows);

/* Evaluations of an epoch of `steps` updates: those of eval_every and
 * eval_offset, and the one at its end. */
int64_t work_evaluations(const struct settings *settings, int64_t steps);

#endif
