/* Gradients of BP, GAIT and TP against 512 bits of the published arithmetic,
 * kinks included, for 1 to 8 hidden layers: off by rounding times the condition
 * of the matrices that errors came through, and by nothing that grows with
 * depth or with 1 / gamma. */
#include "worker_engine_fixture.h"

#include <float.h>

#include "worker/engine/initial.h"
#include "worker/engine/stream.h"
#include "worker_engine_big.h"

static const double leak = 0.1;

enum start { ORTHOGONAL, PERTURBED, XAVIER, TOWER, STARTS };
static const char *const start_names[] = {"orthogonal", "perturbed", "Xavier",
                                          "tower"};

static const double gammas[] = {1e-3, 0.1, 0.5, 1.0};
enum { GAMMAS = sizeof gammas / sizeof gammas[0] };

/* --- cases --------------------------------------------------------------- */

static void choose_widths(struct big_network *network, enum start start)
{
    for (int l = 0; l < network->depth; l++)
        network->widths[l] =
            start == TOWER ? BIG_WIDTH - 2 * l : 12 + 4 * (network->depth % 6);
}

/* Numbers that float32 holds, so that one truth serves both precisions. */
static void draw_weights(struct big_network *network, enum start start)
{
    double noise[BIG_WIDTH * BIG_WIDTH];
    for (int l = 0; l < network->depth; l++) {
        double *w = network->weights[l];
        int n = network->widths[l];
        uint32_t seed = (uint32_t)(100 * network->depth + l);
        assert_true(initial_weights(seed, start != XAVIER, n, w));
        assert_true(initial_weights(seed + 50, false, n, noise));
        for (int i = 0; i < n * n; i++)
            w[i] = (float)(w[i] + (start == PERTURBED ? 0.2 * noise[i] : 0.0));
    }
}

static void draw_batch(struct big_network *network, uint32_t seed)
{
    struct stream stream;
    stream_init(&stream, seed);
    for (int i = 0; i < BIG_ROWS * BIG_WIDTH; i++)
        network->pixels[i] = (uint8_t)(stream_word(&stream) % 256);
    for (int i = 0; i < BIG_ROWS; i++)
        network->labels[i] = (uint8_t)(stream_word(&stream) % CLASSES);
    for (int l = 0; l < network->depth; l++)
        for (int j = 0; j < network->widths[l]; j++)
            network->biases[l][j] = (float)(0.3 * stream_normal(&stream));
}

/* No unit is so near to 0 that float32 might see it on the other side. */
static void draw_clear_batch(struct big_network *network)
{
    uint32_t seed = (uint32_t)network->depth;
    do {
        draw_batch(network, seed += 10);
        big_forward(network);
    } while (network->slope != 1.0 && big_margin(network) < 5e-6);
}

static void load(struct model *model, const struct big_network *network)
{
    struct backend *backend = model->backend;
    struct source source = {network->pixels, network->labels, BIG_ROWS,
                            BIG_WIDTH, 255.0};
    for (int l = 0; l < network->depth; l++) {
        const struct layer *layer = &model->network.layers[l];
        backend->assign(backend, layer->weight.value, network->weights[l]);
        backend->assign(backend, layer->bias.value, network->biases[l]);
    }
    fixture_gather(backend, &source, 0, model->network.input,
                   model->network.labels);
    step_forward(&model->step);
}

static struct settings settings_of(const struct big_network *network,
                                   const char *algorithm, const char *form,
                                   const char *precision, double gamma)
{
    struct settings settings;
    settings_init(&settings);
    snprintf(settings.algorithm, SETTING_TEXT_BYTES, "%s", algorithm);
    snprintf(settings.gait_form, SETTING_TEXT_BYTES, "%s", form);
    snprintf(settings.precision, SETTING_TEXT_BYTES, "%s", precision);
    settings.linear = network->slope == 1.0;
    settings.gamma = gamma;
    settings.batch_size = BIG_ROWS;
    return settings;
}

/* --- errors -------------------------------------------------------------- */

/* What may be off at layer l, in units of the precision: the sum of the
 * conditions above; where a unit above crosses its kink, u holds y / step, so
 * that the forward pass's rounding counts 1 / step-fold.  The published form
 * divides everything by all its steps. */
static double amplification(const struct big_network *network,
                            const struct settings *settings, int l)
{
    bool is_gait = strcmp(settings->algorithm, "GAIT") == 0;
    double sum = 1.0, step = 1.0, least = 1.0;
    for (int above = network->depth - 1; above > l; above--) {
        sum += network->condition[above];
        step *= is_gait ? settings->gamma : 1.0;
        if (network->crossings[above] || settings_is_published(settings))
            least = step;
    }
    return sum / least;
}

static double off(struct model *model, struct matrix matrix,
                  const double *expected)
{
    size_t count = matrix_size(matrix);
    double *got = model_doubles(model, matrix);
    double relative = distance(got, expected, count) / norm(expected, count);
    free(got);
    return relative;
}

struct errors {
    double most;   /* of any layer's gradients, in units of its bound's */
    double lowest; /* of the lowest layer's weights, likewise */
};

static struct errors measure(const struct big_network *network,
                             const struct settings *settings)
{
    bool is_double = strcmp(settings->precision, "float64") == 0;
    double epsilon = is_double ? DBL_EPSILON : FLT_EPSILON;
    struct model model;
    struct errors errors = {0};
    model_open(&model, settings, network->widths, network->depth);
    load(&model, network);
    for (int l = network->depth - 1; l >= 0; l--) {
        double unit = epsilon * amplification(network, settings, l);
        step_gradient(&model.step, l);
        double weight = off(&model, model.step.gradients[l].weight,
                            network->weight_gradient[l]);
        double bias = off(&model, model.step.gradients[l].bias,
                          network->bias_gradient[l]);
        errors.lowest = weight / unit;
        errors.most = fmax(errors.most, fmax(weight, bias) / unit);
        if (isnan(weight) || isnan(bias))
            errors.most = INFINITY;
    }
    model_close(&model);
    return errors;
}

static void check(struct big_network *network, enum start start,
                  const struct settings *settings)
{
    double bound = settings_is_published(settings) ? 200.0 : 10.0;
    double got = measure(network, settings).most;
    if (!(got <= bound))
        fail_msg("%s (%s), gamma %g, %s, %s, %d layers: off by %g times eps "
                 "and conditions, expected at most %g",
                 settings->algorithm, settings->gait_form, settings->gamma,
                 settings->precision, start_names[start], network->depth, got,
                 bound);
}

static void check_forms(struct big_network *network, enum start start,
                        const char *algorithm, double gamma)
{
    static const struct {
        const char *form, *precision;
    } variants[] = {
        {"exact", "float32"}, {"exact", "float64"}, {"published", "float64"}};
    bool is_gait = strcmp(algorithm, "GAIT") == 0;
    big_backward(network, algorithm, gamma);
    for (int i = 0; i < (is_gait ? 3 : 2); i++) {
        struct settings settings = settings_of(
            network, algorithm, variants[i].form, variants[i].precision, gamma);
        check(network, start, &settings);
    }
}

static void open_case(struct big_network *network, enum start start,
                      int nb_layers)
{
    *network = (struct big_network){.depth = nb_layers + 1};
    choose_widths(network, start);
    draw_weights(network, start);
    big_open(network);
}

static int count_crossings(const struct big_network *network)
{
    int count = 0;
    for (int l = 1; l < network->depth; l++)
        count += network->crossings[l];
    return count;
}

/* --- tests --------------------------------------------------------------- */

static void every_depth_is_exact(void **state)
{
    (void)state;
    static struct big_network network;
    int crossings[GAMMAS] = {0};
    for (int c = 0; c < 8 * STARTS; c++) {
        enum start start = (enum start)(c % STARTS);
        open_case(&network, start, c / STARTS + 1);
        for (int is_linear = 0; is_linear < 2; is_linear++) {
            network.slope = is_linear ? 1.0 : leak;
            draw_clear_batch(&network);
            check_forms(&network, start, "BP", 1e-3);
            check_forms(&network, start, "TP", 1e-3);
            for (int g = 0; g < GAMMAS; g++) {
                check_forms(&network, start, "GAIT", gammas[g]);
                crossings[g] += count_crossings(&network);
            }
        }
        big_close(&network);
    }
    print_message("crossings at gamma 0.1, 0.5, 1: %d %d %d\n", crossings[1],
                  crossings[2], crossings[3]);
    for (int g = 1; g < GAMMAS; g++)
        assert_true(crossings[g] > 10);
}

/* Sets a bias so that the unit with row 0's largest error crosses its kink:
 * half-way between 0 and the end of its step. */
static void arrange(struct big_network *network, int l, double gamma)
{
    int n = network->widths[l], unit = 0;
    double step = pow(gamma, network->depth - l);
    big_forward(network);
    big_backward(network, "GAIT", gamma);
    for (int j = 0; j < n; j++)
        if (fabs(network->e[l][j]) > fabs(network->e[l][unit]))
            unit = j;
    if (l == network->depth - 1)
        unit = network->labels[0];
    double e = network->e[l][unit];
    double z = e > 0.0 ? 0.5 * step * e : 0.5 * step * leak * e;
    double y = mpfr_get_d(big_at(network->y[l + 1], 0, unit), BIG_ROUND);
    network->biases[l][unit] += z - (y < 0.0 ? y / leak : y);
}

/* At small steps crossings are rare, so they are arranged: in each of the
 * three highest layers that send errors down. */
static void check_arranged(double gamma)
{
    static struct big_network network;
    int crossings = 0;
    for (int c = 0; c < 8 * STARTS; c++) {
        enum start start = (enum start)(c % STARTS);
        open_case(&network, start, c / STARTS + 1);
        network.slope = leak;
        draw_clear_batch(&network);
        for (int sweep = 0; sweep < 2; sweep++)
            for (int l = network.depth > 3 ? network.depth - 3 : 1;
                 l < network.depth; l++)
                arrange(&network, l, gamma);
        big_forward(&network);
        big_backward(&network, "GAIT", gamma);
        crossings += count_crossings(&network);
        struct settings settings =
            settings_of(&network, "GAIT", "exact", "float64", gamma);
        check(&network, start, &settings);
        big_close(&network);
    }
    print_message("crossings at gamma %g: %d\n", gamma, crossings);
    assert_true(crossings > 8 * STARTS * 2);
}

static void crossings_at_small_steps_are_exact(void **state)
{
    (void)state;
    check_arranged(1e-3);
    check_arranged(0.1);
}

/* A thousandfold a layer, which is what makes it the published form. */
static void the_published_form_loses_its_digits(void **state)
{
    (void)state;
    static struct big_network network;
    for (int nb_layers = 1; nb_layers <= 8; nb_layers++) {
        open_case(&network, ORTHOGONAL, nb_layers);
        network.slope = leak;
        draw_clear_batch(&network);
        big_backward(&network, "GAIT", 1e-3);
        struct settings settings =
            settings_of(&network, "GAIT", "published", "float64", 1e-3);
        assert_true(measure(&network, &settings).lowest > 1e-3);
        big_close(&network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_depth_is_exact),
        cmocka_unit_test(crossings_at_small_steps_are_exact),
        cmocka_unit_test(the_published_form_loses_its_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
