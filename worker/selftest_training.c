/* selftest_training.c: the engine's small trainings (engine/sample.h) on both
 * devices: rows, diagnostics, parameters and moments; then interrupted, which
 * must not show in a single bit; and the memory they are said to take.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "schema/gpu_memory.h"
#include "worker/engine/sample.h"
#include "worker/selftest_inside.h"
#include "worker/selftest_outcome.h"

enum { WIDTH = 33, ROWS = 130, STOP_AT = 6 };

static struct settings settings_of(int sample)
{
    struct settings settings = selftest_settings("BP", "float32");
    settings.nb_layers = 2;
    settings.nb_epochs = 2;
    settings.batch_size = 30;
    settings.valid_rows = 7;
    settings.eval_every = 2;
    settings.eval_offset = 1;
    settings.diagnostics = true;
    settings.gamma = 0.1;
    sample_vary(&settings, sample, WIDTH);
    return settings;
}

static void name_case(struct selftest *test, const struct settings *settings)
{
    selftest_case(test, "%s %s%s%s%s%s%s", settings->algorithm,
                  settings->precision, settings->tower ? " tower" : "",
                  settings->linear ? " linear" : "",
                  settings->shuffle ? " shuffled" : "",
                  settings_is_published(settings) ? " published" : "",
                  settings->orthogonal_reg == 0.0              ? ""
                  : !strcmp(settings->orthogonal_form, "full") ? " Xavier full"
                                                               : " Xavier");
}

/* What rounding may come to: conditions, since errors go through inverses and
 * diagnostics are as good; and what the published form loses at every layer. */
static double bound_of(const struct settings *settings,
                       const struct outcome *expected)
{
    int depth = expected->rows[0].layer_count;
    double sum = 0.0;
    for (int l = 0; l < depth; l++)
        sum += outcome_condition(expected, l);
    if (settings_is_published(settings))
        sum *= pow(settings->gamma, 1 - depth);
    return 100.0 * sum * selftest_epsilon(settings->precision);
}

static void compare(struct selftest *test, const struct settings *settings,
                    const struct outcome *expected, const struct outcome *got,
                    const struct outcome *again)
{
    struct dataset_shape shape = {
        .train_rows = ROWS, .test_rows = ROWS, .width = WIDTH};
    double bound = bound_of(settings, expected);
    selftest_report(test, "losses", outcome_losses_off(expected, got), bound);
    selftest_report(test, "diagnostics", outcome_diagnostics_off(expected, got),
                    bound);
    selftest_report(test, "weights",
                    outcome_tensors_off(expected, got, -1, "weight"), bound);
    selftest_report(test, "biases",
                    outcome_tensors_off(expected, got, -1, "bias"), bound);
    selftest_report(test, "first moments",
                    outcome_tensors_off(expected, got, -1, ".m"), bound);
    selftest_report(test, "second moments",
                    outcome_tensors_off(expected, got, -1, ".v"), bound);
    selftest_report_is(test, "the same bits, interrupted",
                       outcome_is_same(got, again));
    selftest_report_is(test, "the bytes it is said to take",
                       got->taken_bytes == gpu_memory_bytes(settings, &shape));
}

static void check_sample(struct selftest *test, int sample)
{
    struct settings settings = settings_of(sample);
    struct data data = selftest_data(test, ROWS, WIDTH);
    struct outcome expected = {0}, got = {0}, again = {0};
    struct error error;
    name_case(test, &settings);
    if (outcome_train(&expected, test->cpu, &settings, &data, 0, &error) &&
        outcome_train(&got, test->gpu, &settings, &data, 0, &error) &&
        outcome_train(&again, test->gpu, &settings, &data, STOP_AT, &error))
        compare(test, &settings, &expected, &got, &again);
    else
        selftest_fail(test, &error);
    outcome_release(&expected);
    outcome_release(&got);
    outcome_release(&again);
}

void selftest_trainings(struct selftest *test)
{
    for (int i = 0; i < SAMPLES; i++)
        check_sample(test, i);
}
