/* Learning rules and regulariser against what defines them: BP where GAIT must
 * equal it, finite steps through the inverse, finite differences. */
#include "worker_engine_fixture.h"

#include <float.h>

#include "worker/engine/initial.h"
#include "worker/engine/regulariser.h"
#include "worker/engine/stream.h"

enum { WIDTH = 24, DEPTH = 4, ROWS = 40 };
static const double leak = 0.1;

struct batch {
    uint8_t pixels[ROWS * WIDTH], labels[ROWS];
};

static void fill_batch(struct batch *batch, uint32_t seed)
{
    struct stream stream;
    stream_init(&stream, seed);
    for (int i = 0; i < ROWS * WIDTH; i++)
        batch->pixels[i] = (uint8_t)(stream_word(&stream) % 256);
    for (int i = 0; i < ROWS; i++)
        batch->labels[i] = (uint8_t)(stream_word(&stream) % CLASSES);
}

/* Opens a model at initial weights with a batch in it, gone forward. */
static void open_at(struct model *model, const char *algorithm, double gamma,
                    bool is_orthogonal, const struct batch *batch)
{
    struct settings settings;
    int widths[DEPTH] = {WIDTH, WIDTH, WIDTH, WIDTH};
    struct source source = {batch->pixels, batch->labels, ROWS, WIDTH, 255.0};
    struct error error;
    settings_init(&settings);
    snprintf(settings.algorithm, sizeof settings.algorithm, "%s", algorithm);
    snprintf(settings.precision, sizeof settings.precision, "float64");
    settings.gamma = gamma;
    settings.batch_size = ROWS;
    model_open(model, &settings, widths, DEPTH);
    assert_true(network_start(&model->network, 1, is_orthogonal, &error));
    fixture_gather(model->backend, &source, 0, model->network.input,
                   model->network.labels);
    step_forward(&model->step);
}

static double inverse(double y)
{
    return y < 0.0 ? y / leak : y;
}

/* u by moving the output and asking the inverse, as published. */
static double finite_step(double y, double e, double step, int power,
                          int *crossings)
{
    double d = y < 0.0 ? leak : 1.0;
    double moved = y - step * pow(d, power) * e;
    *crossings += (y < 0.0) != (moved < 0.0);
    return (inverse(y) - inverse(moved)) / step;
}

/* Checks e[l-1] W[l] = u for all layers; returns how many units crossed. */
static int check_inversions(const char *algorithm, double gamma, int power,
                            double bound)
{
    struct batch batch;
    struct model model;
    int crossings = 0;
    double step = 1.0;
    fill_batch(&batch, 5);
    open_at(&model, algorithm, gamma, false, &batch);
    for (int l = DEPTH - 1; l > 0; l--) {
        const struct layer *layer = &model.network.layers[l];
        step *= gamma;
        step_gradient(&model.step, l);
        double *y = model_doubles(&model, layer->output);
        double *e = model_doubles(&model, layer->error);
        double *w = model_doubles(&model, layer->weight.value);
        double *below =
            model_doubles(&model, network_error_below(&model.network, l));
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < WIDTH; j++) {
                double u = 0.0, at_y = y[i * WIDTH + j];
                for (int k = 0; k < WIDTH; k++)
                    u += below[i * WIDTH + k] * w[k * WIDTH + j];
                double expected = finite_step(at_y, e[i * WIDTH + j], step,
                                              power, &crossings);
                assert_within(u, expected, bound * (1.0 + fabs(expected)));
            }
        free(y);
        free(e);
        free(w);
        free(below);
    }
    model_close(&model);
    return crossings;
}

static void gait_is_a_finite_step_through_the_inverse(void **state)
{
    (void)state;
    assert_true(check_inversions("GAIT", 0.1, 2, 1e-9) > 0);
    assert_true(check_inversions("GAIT", 0.5, 2, 1e-11) > 10);
    assert_true(check_inversions("GAIT", 1.0, 2, 1e-11) > 10);
}

static void tp_is_a_whole_step_through_the_inverse(void **state)
{
    (void)state;
    assert_true(check_inversions("TP", 1.0, 0, 1e-11) > 10);
}

/* No unit of the batch crosses the kink at this gamma. */
static void assert_no_crossing(struct model *model, double gamma)
{
    double step = 1.0;
    int crossings = 0;
    for (int l = DEPTH - 1; l > 0; l--) {
        step *= gamma;
        double *y = model_doubles(model, model->network.layers[l].output);
        double *e = model_doubles(model, model->network.layers[l].error);
        for (int i = 0; i < ROWS * WIDTH; i++)
            finite_step(y[i], e[i], step, 2, &crossings);
        free(y);
        free(e);
    }
    assert_int_equal(crossings, 0);
}

static void gait_is_bp_at_orthogonal_weights(void **state)
{
    (void)state;
    struct batch batch;
    struct model bp, gait;
    double gamma = 1e-6;
    fill_batch(&batch, 9);
    open_at(&bp, "BP", gamma, true, &batch);
    open_at(&gait, "GAIT", gamma, true, &batch);
    for (int l = DEPTH - 1; l >= 0; l--) {
        step_gradient(&bp.step, l);
        step_gradient(&gait.step, l);
        double *a = model_doubles(&bp, bp.step.gradients[l].weight);
        double *b = model_doubles(&gait, gait.step.gradients[l].weight);
        assert_near("gradient", b, a, WIDTH * WIDTH,
                    1e-12 * norm(a, WIDTH * WIDTH));
        free(a);
        free(b);
    }
    assert_no_crossing(&gait, gamma);
    model_close(&bp);
    model_close(&gait);
}

/* Of four units. */
static void invert(const float *y, const float *e, double slope,
                   const struct kink *kink, float *u)
{
    enum { BYTES = 4 * sizeof(float) };
    struct backend *backend = fixture_backend("float32");
    struct matrix far_y = {lend(backend, y, BYTES), 1, 4, 4};
    struct matrix far_e = {lend(backend, e, BYTES), 1, 4, 4};
    struct matrix far_u = {lend(backend, e, BYTES), 1, 4, 4};
    backend->invert(backend, far_y, far_e, slope, kink, far_u);
    take_back(backend, u, far_u.values, BYTES);
    backend->release(backend, far_y.values);
    backend->release(backend, far_e.values);
    backend->close(backend);
}

static void linear_units_pass_errors_unchanged(void **state)
{
    (void)state;
    float y[4] = {2.0f, -2.0f, 0.0f, -1e-6f}, e[4] = {9.0f, -9.0f, 1.0f, -1.0f};
    float u[4];
    struct kink kinks[2] = {{1e-3, 1.0, 1.0}, {1.0, 1.0, 1.0}};
    for (int i = 0; i < 2; i++) {
        invert(y, e, 1.0, &kinks[i], u);
        assert_memory_equal(u, e, sizeof e);
    }
}

/* gamma^65 is no float32; an output of exactly 0 still crosses downwards. */
static void a_vanishing_step_still_crosses_at_zero(void **state)
{
    (void)state;
    float y[4] = {0.0f, 0.0f, 1.0f, -1.0f}, e[4] = {1.0f, -1.0f, 1.0f, 1.0f};
    float u[4], expected[4] = {10.0f, -1.0f, 1.0f, 0.1f};
    struct kink kink = {1e-195, leak * leak, leak};
    invert(y, e, leak, &kink, u);
    for (int i = 0; i < 4; i++)
        assert_within(u[i], expected[i], 0.0);
}

static double regulariser(const double *w, int n, double strength)
{
    double sum = 0.0;
    for (int a = 0; a < n; a++)
        for (int b = 0; b < n; b++) {
            double product = 0.0;
            for (int k = 0; k < n; k++)
                product += w[a * n + k] * w[b * n + k];
            sum += a == b ? 0.0 : product * product;
        }
    return strength * sum;
}

static void the_regulariser_is_the_slope_of_its_penalty(void **state)
{
    (void)state;
    enum { N = 12 };
    double w[N * N], gradient[N * N], strength = 0.7, h = 1e-5;
    struct backend *backend = fixture_backend("float64");
    initial_weights(3, false, N, w);
    for (int i = 0; i < N * N; i++)
        gradient[i] = 1.0;
    struct matrix far_w = {lend(backend, w, sizeof w), N, N, N};
    struct matrix gram = {lend(backend, w, sizeof w), N, N, N};
    struct matrix to = {lend(backend, gradient, sizeof gradient), N, N, N};
    regulariser_add(backend, strength, DIAGONAL_ZERO, far_w, gram, to);
    take_back(backend, gradient, to.values, sizeof gradient);
    backend->release(backend, far_w.values);
    backend->release(backend, gram.values);
    for (int i = 0; i < N * N; i++) {
        double kept = w[i];
        w[i] = kept + h;
        double above = regulariser(w, N, strength);
        w[i] = kept - h;
        double below = regulariser(w, N, strength);
        w[i] = kept;
        assert_within(gradient[i], 1.0 + (above - below) / (2.0 * h), 1e-7);
    }
    backend->close(backend);
}

/* A factor of a random orthogonal matrix alone would leave 1e-5. */
static void wide_orthogonal_weights_cost_no_digits(void **state)
{
    (void)state;
    enum { WIDE = 784, FEW = 4 };
    struct settings settings;
    struct model model;
    struct error error;
    int widths[2] = {WIDE, WIDE};
    double *u = malloc(FEW * WIDE * sizeof *u);
    assert_non_null(u);
    settings_init(&settings);
    snprintf(settings.algorithm, sizeof settings.algorithm, "ITP");
    settings.batch_size = FEW;
    settings.linear = true;
    model_open(&model, &settings, widths, 2);
    assert_true(network_start(&model.network, 1, true, &error));
    for (int i = 0; i < FEW * WIDE; i++)
        u[i] = i % 7 - 3;
    model.backend->assign(model.backend, model.network.layers[1].error, u);
    step_gradient(&model.step, 1);
    double *w = model_doubles(&model, model.network.layers[1].weight.value);
    double *e = model_doubles(&model, network_error_below(&model.network, 1));
    double *got = calloc(FEW * WIDE, sizeof *got);
    assert_non_null(got);
    for (int i = 0; i < FEW * WIDE; i++)
        for (int j = 0; j < WIDE; j++)
            got[i / WIDE * WIDE + j] += e[i] * w[i % WIDE * WIDE + j];
    assert_near("e W", got, u, FEW * WIDE, 5e-7 * norm(u, FEW * WIDE));
    free(got);
    free(e);
    free(w);
    free(u);
    model_close(&model);
}

static void rules_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(rule_find("GAIT"), &rule_gait);
    assert_null(rule_find("gait"));
    struct settings settings;
    settings_init(&settings);
    assert_ptr_equal(rule_choose(&settings), &rule_bp);
    snprintf(settings.gait_form, sizeof settings.gait_form, "published");
    assert_ptr_equal(rule_choose(&settings), &rule_bp);
    snprintf(settings.algorithm, sizeof settings.algorithm, "GAIT");
    assert_ptr_equal(rule_choose(&settings), &rule_gait_published);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gait_is_a_finite_step_through_the_inverse),
        cmocka_unit_test(tp_is_a_whole_step_through_the_inverse),
        cmocka_unit_test(gait_is_bp_at_orthogonal_weights),
        cmocka_unit_test(linear_units_pass_errors_unchanged),
        cmocka_unit_test(a_vanishing_step_still_crosses_at_zero),
        cmocka_unit_test(the_regulariser_is_the_slope_of_its_penalty),
        cmocka_unit_test(wide_orthogonal_weights_cost_no_digits),
        cmocka_unit_test(rules_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
