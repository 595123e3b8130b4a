/* selftest_failure.c: what cannot go on says so, as on the CPU, and costs the
 * next job nothing.
 */
#include <math.h>
#include <string.h>

#include "schema/gpu_memory.h"
#include "worker/engine/device.h"
#include "worker/selftest_inside.h"
#include "worker/selftest_outcome.h"

enum { WIDTH = 33, ROWS = 120, HUGE_WIDTH = 32768 };

/* Puts a number into the first value of a tensor. */
static bool poison(struct trainer *trainer, int tensor, float value,
                   struct error *error)
{
    struct progress start = {.evaluated_step = -1};
    int count;
    const struct tensor *tensors = trainer_tensors(trainer, &count, error);
    if (!tensors)
        return false;
    memcpy(tensors[tensor].values, &value, sizeof value);
    trainer_restore(trainer, &start);
    return true;
}

/* How a training ends in which that number stands there. */
static void diverge(struct selftest *test, struct device *device, int tensor,
                    float value, struct error *error)
{
    struct settings settings = selftest_settings("GAIT", "float32");
    struct data data = selftest_data(test, ROWS, WIDTH);
    struct trainer_hooks hooks = {0};
    *error = (struct error){0};
    struct trainer *trainer = trainer_new(&settings, &data, device, error);
    if (trainer && poison(trainer, tensor, value, error) &&
        trainer_run(trainer, 2, &hooks, error))
        error_set(error, ERROR_NONE, "it did not diverge");
    trainer_free(trainer);
}

static void check_divergence(struct selftest *test, int tensor, float value)
{
    struct error expected, got;
    diverge(test, test->cpu, tensor, value, &expected);
    diverge(test, test->gpu, tensor, value, &got);
    selftest_case(test, "a value of tensor %d is %g", tensor, (double)value);
    selftest_report_is(test, got.text,
                       got.code == ERROR_DIVERGED &&
                           strcmp(got.text, expected.text) == 0);
}

static bool train(struct selftest *test, struct outcome *outcome,
                  struct error *error)
{
    struct settings settings = selftest_settings("GAIT", "float32");
    struct data data = selftest_data(test, ROWS, WIDTH);
    settings.nb_epochs = 1;
    return outcome_train(outcome, test->gpu, &settings, &data, 0, error);
}

/* 64 layers, of 25 GB each. */
static void check_size(struct selftest *test)
{
    struct settings settings = selftest_settings("GAIT", "float64");
    struct data data = selftest_data(test, 2, HUGE_WIDTH);
    struct dataset_shape shape = {
        .train_rows = 2, .test_rows = 2, .width = HUGE_WIDTH};
    struct error error = {0};
    settings.nb_layers = LAYERS_MAX - 1;
    settings.batch_size = 1;
    selftest_case(test, "a job of %.1f TB",
                  (double)gpu_memory_bytes(&settings, &shape) / 1e12);
    struct trainer *trainer = trainer_new(&settings, &data, test->gpu, &error);
    selftest_report_is(test, error.text,
                       !trainer && error.code == ERROR_MEMORY);
    trainer_free(trainer);
}

void selftest_failures(struct selftest *test)
{
    struct outcome before = {0}, after = {0};
    struct error error;
    bool is_trained = train(test, &before, &error);
    check_divergence(test, 0, NAN);
    check_divergence(test, 2, INFINITY);
    check_divergence(test, 10, INFINITY);
    check_size(test);
    selftest_case(test, "the next job");
    if (is_trained && train(test, &after, &error))
        selftest_report_is(test, "gives the same bits as before",
                           outcome_is_same(&before, &after));
    else
        selftest_fail(test, &error);
    outcome_release(&before);
    outcome_release(&after);
}
