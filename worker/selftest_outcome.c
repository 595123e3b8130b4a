#include "worker/selftest_outcome.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"
#include "worker/engine/agreement.h"

/* --- training ------------------------------------------------------------ */

static void keep_row(void *user, const struct evaluation *row)
{
    struct outcome *outcome = user;
    if (outcome->count < OUTCOME_ROWS)
        outcome->rows[outcome->count++] = *row;
}

static bool is_due(void *user, int64_t step)
{
    struct outcome *outcome = user;
    bool is = outcome->stop_at > 0 && step >= outcome->stop_at;
    outcome->stop_at = is ? 0 : outcome->stop_at;
    return is;
}

static bool hand_over(struct trainer *from, struct trainer *to,
                      struct error *error)
{
    struct progress progress;
    int count;
    const struct tensor *left = trainer_tensors(from, &count, error);
    const struct tensor *taken =
        left ? trainer_tensors(to, &count, error) : NULL;
    for (int i = 0; taken && i < count; i++)
        memcpy(taken[i].values, left[i].values, left[i].bytes);
    trainer_progress(from, &progress);
    if (taken)
        trainer_restore(to, &progress);
    return taken;
}

static void keep_tensors(struct outcome *outcome, const struct tensor *tensors,
                         int count)
{
    outcome->tensor_count = count;
    for (int i = 0; i < count; i++) {
        bool is_single = strcmp(tensors[i].dtype, "F32") == 0;
        const float *singles = tensors[i].values;
        const double *doubles = tensors[i].values;
        size_t size = tensors[i].bytes / (is_single ? 4 : 8);
        double *values = xcalloc(size, sizeof *values);
        for (size_t j = 0; j < size; j++)
            values[j] = is_single ? (double)singles[j] : doubles[j];
        snprintf(outcome->tensors[i].name, TENSOR_NAME_BYTES, "%s",
                 tensors[i].name);
        outcome->tensors[i].count = size;
        outcome->tensors[i].values = values;
    }
}

/* Whether it has come to its end, or to where it is to be interrupted. */
static bool run(struct trainer *trainer, struct outcome *outcome,
                const struct settings *settings, struct error *error)
{
    struct trainer_hooks hooks = {outcome, keep_row, is_due};
    return trainer_run(trainer, settings->nb_epochs, &hooks, error) ||
           error->code == ERROR_STOPPED;
}

bool outcome_train(struct outcome *outcome, struct device *device,
                   const struct settings *settings, const struct data *data,
                   int64_t stop_at, struct error *error)
{
    const struct tensor *tensors = NULL;
    int count = 0;
    *outcome = (struct outcome){.stop_at = stop_at};
    struct trainer *trainer = trainer_new(settings, data, device, error);
    struct trainer *next =
        trainer && stop_at ? trainer_new(settings, data, device, error) : NULL;
    bool is_done = trainer && run(trainer, outcome, settings, error);
    if (stop_at)
        is_done = is_done && next && hand_over(trainer, next, error) &&
                  run(next, outcome, settings, error);
    if (is_done)
        tensors = trainer_tensors(stop_at ? next : trainer, &count, error);
    if (tensors) {
        keep_tensors(outcome, tensors, count);
        outcome->taken_bytes = trainer_taken_bytes(trainer);
    }
    trainer_free(next);
    trainer_free(trainer);
    return tensors;
}

void outcome_release(struct outcome *outcome)
{
    for (int i = 0; i < outcome->tensor_count; i++)
        free(outcome->tensors[i].values);
    outcome->tensor_count = 0;
}

/* --- comparing ----------------------------------------------------------- */

static double worse(double a, double b)
{
    return a >= b || isnan(a) ? a : b;
}

static bool is_of(const char *name, int layer, const char *ending)
{
    char beginning[TENSOR_NAME_BYTES] = "";
    size_t length = strlen(name), tail = strlen(ending);
    if (layer >= 0)
        snprintf(beginning, sizeof beginning, "layers.%d.", layer);
    return strncmp(name, beginning, strlen(beginning)) == 0 && length >= tail &&
           strcmp(name + length - tail, ending) == 0;
}

double outcome_tensors_off(const struct outcome *expected,
                           const struct outcome *got, int layer,
                           const char *ending)
{
    double worst = 0.0;
    for (int i = 0; i < expected->tensor_count; i++)
        if (is_of(expected->tensors[i].name, layer, ending))
            worst =
                worse(worst, agreement_distance(expected->tensors[i].values,
                                                got->tensors[i].values,
                                                expected->tensors[i].count));
    return worst;
}

/* There may be no rows to have a loss, on both sides. */
static double loss_off(double expected, double got)
{
    return isnan(expected) && isnan(got) ? 0.0 : fabs(got / expected - 1.0);
}

double outcome_losses_off(const struct outcome *expected,
                          const struct outcome *got)
{
    double worst = expected->count == got->count ? 0.0 : NAN;
    for (int i = 0; i < expected->count && !isnan(worst); i++) {
        const struct evaluation *a = &expected->rows[i], *b = &got->rows[i];
        worst = worse(worst, loss_off(a->train_loss, b->train_loss));
        worst = worse(worst, loss_off(a->valid_loss, b->valid_loss));
        worst = worse(worst, loss_off(a->test_loss, b->test_loss));
    }
    return worst;
}

static double value_off(double expected, double got)
{
    return fabs(got - expected) / (1.0 + fabs(expected));
}

static double layer_off(const struct diagnostic *a, const struct diagnostic *b)
{
    return worse(worse(value_off(a->angle / 180.0, b->angle / 180.0),
                       value_off(a->off_diagonal, b->off_diagonal)),
                 worse(value_off(a->condition, b->condition),
                       value_off(a->error_rms, b->error_rms)));
}

double outcome_diagnostics_off(const struct outcome *expected,
                               const struct outcome *got)
{
    double worst = expected->count == got->count ? 0.0 : NAN;
    for (int i = 0; i < expected->count && !isnan(worst); i++)
        for (int l = 0; l < expected->rows[i].layer_count; l++)
            worst = worse(worst, layer_off(&expected->rows[i].layers[l],
                                           &got->rows[i].layers[l]));
    return worst;
}

bool outcome_is_same(const struct outcome *a, const struct outcome *b)
{
    bool is =
        outcome_losses_off(a, b) == 0.0 && outcome_diagnostics_off(a, b) == 0.0;
    for (int i = 0; is && i < a->count; i++)
        is = a->rows[i].step == b->rows[i].step &&
             memcmp(a->rows[i].state_hash, b->rows[i].state_hash,
                    sizeof a->rows[i].state_hash) == 0;
    return is;
}

double outcome_condition(const struct outcome *outcome, int layer)
{
    double most = 1.0;
    for (int i = 0; i < outcome->count; i++)
        most = fmax(most, outcome->rows[i].layers[layer].condition);
    return most;
}
