/* selftest_gradient.c: what one batch makes of every layer, from 1 hidden layer
 * on: as exact as precision and weights allow, and no less at any depth.
 *
 * After the first update a first moment is a tenth of its gradient.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "worker/selftest_inside.h"
#include "worker/selftest_outcome.h"

/* Above 31 hidden layers an update is more than one launch. */
enum { WIDTH = 33, DEEP = 8, DEEPEST = 40 };

static struct settings settings_of(const char *rule, const char *precision,
                                   int nb_layers, bool is_orthogonal)
{
    struct settings settings = selftest_settings(rule, precision);
    settings.nb_layers = nb_layers;
    settings.nb_epochs = 1;
    settings.batch_size = SELFTEST_BATCH;
    settings.gamma = 1.0; /* a unit that crosses its kink counts for no more */
    settings.orthogonal_reg = is_orthogonal ? 0.0 : 1e-3;
    return settings;
}

/* The worst layer's error, in units of the sum of the conditions of what its
 * error came through. */
static double gradients_off(const struct outcome *truth,
                            const struct outcome *got, int depth)
{
    double worst = 0.0, conditions = 1.0;
    for (int l = depth - 1; l >= 0; l--) {
        double weight = outcome_tensors_off(truth, got, l, "weight.m");
        double bias = outcome_tensors_off(truth, got, l, "bias.m");
        if (isnan(weight) || isnan(bias))
            return NAN;
        worst = fmax(worst, fmax(weight, bias) / conditions);
        conditions += outcome_condition(truth, l);
    }
    return worst;
}

static void check_depth(struct selftest *test, const char *rule, int nb_layers,
                        bool is_orthogonal)
{
    struct data data = selftest_data(test, SELFTEST_BATCH, WIDTH);
    struct settings settings =
        settings_of(rule, "float64", nb_layers, is_orthogonal);
    struct outcome truth, got;
    struct error error;
    settings.diagnostics = true;
    selftest_case(test, "%s, %d hidden, %s", rule, nb_layers,
                  is_orthogonal ? "orthogonal" : "Xavier");
    if (!outcome_train(&truth, test->cpu, &settings, &data, 0, &error)) {
        selftest_fail(test, &error);
        return;
    }
    for (int p = 0; p < 2; p++) {
        const char *precision = selftest_precisions[p];
        settings = settings_of(rule, precision, nb_layers, is_orthogonal);
        if (outcome_train(&got, test->gpu, &settings, &data, 0, &error))
            selftest_report(test, precision,
                            gradients_off(&truth, &got, nb_layers + 1),
                            10.0 * selftest_epsilon(precision));
        else
            selftest_fail(test, &error);
        outcome_release(&got);
    }
    outcome_release(&truth);
}

void selftest_gradients(struct selftest *test)
{
    static const char *const rules[] = {"BP", "GAIT", "TP"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        for (int nb_layers = 1; nb_layers <= DEEP; nb_layers++) {
            check_depth(test, rules[i], nb_layers, true);
            check_depth(test, rules[i], nb_layers, false);
        }
    check_depth(test, "BP", DEEPEST, true);
}
