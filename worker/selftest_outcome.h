/* selftest_outcome.h: what a small training came to: rows, tensors, bytes.
 */
#ifndef WORKER_SELFTEST_OUTCOME_H
#define WORKER_SELFTEST_OUTCOME_H

#include "worker/engine/snapshot.h"
#include "worker/engine/trainer.h"

enum { OUTCOME_ROWS = 16 };

struct outcome {
    int count; /* of rows */
    struct evaluation rows[OUTCOME_ROWS];
    int tensor_count;
    struct {
        char name[TENSOR_NAME_BYTES];
        size_t count;
        double *values;
    } tensors[TENSORS_MAX];
    int64_t taken_bytes;
    int64_t stop_at; /* the step at which it was, or is to be, interrupted */
};

/* Trains nb_epochs; with `stop_at`, which is 0 for never, a second trainer goes
 * on from there with what the first has left.  False: why, and there is nothing
 * to release. */
bool outcome_train(struct outcome *outcome, struct device *device,
                   const struct settings *settings, const struct data *data,
                   int64_t stop_at, struct error *error);
void outcome_release(struct outcome *outcome);

/* Tensors whose name ends so, relative to their norm: the worst one's; those
 * of one layer, or with -1 of all. */
double outcome_tensors_off(const struct outcome *expected,
                           const struct outcome *got, int layer,
                           const char *ending);
double outcome_losses_off(const struct outcome *expected,
                          const struct outcome *got);
/* Relative to the value and 1, so that rounding of a zero is small; an angle is
 * a part of a half-turn. */
double outcome_diagnostics_off(const struct outcome *expected,
                               const struct outcome *got);
/* Rows and states, to the bit. */
bool outcome_is_same(const struct outcome *a, const struct outcome *b);

/* Of all rows, with diagnostics: the largest condition of a layer's weights. */
double outcome_condition(const struct outcome *outcome, int layer);

#endif
