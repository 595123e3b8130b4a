/* Gradients and short trainings against vectors written by the reference
 * (tests/golden/gait_reference.py), in both precisions; and in the published
 * form of GAIT against make_published.py, in float64. */
#include "worker_engine_fixture.h"

#include <cjson/cJSON.h>
#include <float.h>

struct golden {
    const char *name;
    cJSON *json;
    struct settings settings;
    int widths[LAYERS_MAX], depth, rows;
    struct source source;
};

static const char *const names[] = {
    "square_bp",          "square_bp_reg",      "square_gait",
    "square_gait_linear", "square_gait_xavier", "square_tp",
    "square_tp_linear",   "square_tp_xavier",   "tower_bp",
    "tower_gait",         "tower_tp",           "published_square",
    "published_kinks",    "published_linear",   "published_tower",
};
enum { NAMES = sizeof names / sizeof names[0] };

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open \"%s\": run from the repository's root", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = calloc(size + 1, 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, size, file), size);
    fclose(file);
    return text;
}

static const cJSON *member(const struct golden *golden, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(golden->json, name);
    if (!item)
        fail_msg("%s has no member \"%s\"", golden->name, name);
    return item;
}

static double number(const struct golden *golden, const char *name)
{
    return cJSON_GetNumberValue(member(golden, name));
}

/* Numbers of a nested array, in order. */
static size_t flatten(const cJSON *array, double *to)
{
    if (cJSON_IsNumber(array)) {
        *to = array->valuedouble;
        return 1;
    }
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array) count += flatten(item, to + count);
    return count;
}

static uint8_t *bytes(const cJSON *array, size_t count)
{
    double *doubles = calloc(count, sizeof *doubles);
    uint8_t *to = malloc(count);
    assert_non_null(doubles);
    assert_non_null(to);
    assert_int_equal(flatten(array, doubles), count);
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)doubles[i];
    free(doubles);
    return to;
}

static void open_golden(struct golden *golden, const char *name,
                        const char *precision)
{
    char path[200];
    snprintf(path, sizeof path, "tests/golden/vectors/%s.json", name);
    char *text = file_text(path);
    *golden = (struct golden){.name = name, .json = cJSON_Parse(text)};
    free(text);
    assert_non_null(golden->json);
    const cJSON *widths = member(golden, "widths"), *width;
    cJSON_ArrayForEach(width, widths) golden->widths[golden->depth++] =
        width->valueint;

    struct settings *settings = &golden->settings;
    settings_init(settings);
    snprintf(settings->precision, sizeof settings->precision, "%s", precision);
    snprintf(settings->algorithm, sizeof settings->algorithm, "%s",
             member(golden, "algorithm")->valuestring);
    if (strncmp(name, "published", strlen("published")) == 0) {
        snprintf(settings->gait_form, sizeof settings->gait_form, "published");
        settings->gamma = number(golden, "gamma");
    }
    settings->linear = cJSON_IsTrue(member(golden, "linear"));
    settings->orthogonal_reg = number(golden, "orthogonal_reg");
    settings->learning_rate = number(golden, "learning_rate");
    settings->batch_size = (int64_t)number(golden, "batch_size");

    golden->rows = cJSON_GetArraySize(member(golden, "labels"));
    int width_0 = golden->widths[0];
    golden->source = (struct source){
        .pixels = bytes(member(golden, "pixels"),
                        (size_t)golden->rows * (size_t)width_0),
        .labels = bytes(member(golden, "labels"), (size_t)golden->rows),
        .rows = golden->rows,
        .width = width_0,
        .largest = 255.0,
    };
}

static void close_golden(struct golden *golden)
{
    free((void *)golden->source.pixels);
    free((void *)golden->source.labels);
    cJSON_Delete(golden->json);
}

/* Layer l of a member that lists one array per layer; the caller frees. */
static double *layer_values(const struct golden *golden, const char *name,
                            int l, size_t count)
{
    double *values = calloc(count, sizeof *values);
    assert_non_null(values);
    const cJSON *item = cJSON_GetArrayItem(member(golden, name), l);
    assert_int_equal(flatten(item, values), count);
    return values;
}

static void open_model(struct model *model, const struct golden *golden)
{
    model_open(model, &golden->settings, golden->widths, golden->depth);
    for (int l = 0; l < golden->depth; l++) {
        struct matrix weight = model->network.layers[l].weight.value;
        double *values =
            layer_values(golden, "initial_weights", l, matrix_size(weight));
        model->backend->assign(model->backend, weight, values);
        free(values);
    }
}

static void load_batch(struct model *model, const struct golden *golden,
                       int batch)
{
    int rows = model->network.batch_rows;
    fixture_gather(model->backend, &golden->source, (int64_t)batch * rows,
                   model->network.input, model->network.labels);
}

/* Bounds: `relative` to the expected norm, or `absolute`. */
static void check_layer(const struct golden *golden, const char *name, int l,
                        struct model *model, struct matrix matrix,
                        double relative, double absolute)
{
    size_t count = matrix_size(matrix);
    double *expected = layer_values(golden, name, l, count);
    double *got = model_doubles(model, matrix);
    char what[200];
    snprintf(what, sizeof what, "%s %s layer %d", golden->name, name, l);
    assert_near(what, got, expected, count,
                fmax(relative * norm(expected, count), absolute));
    free(expected);
    free(got);
}

/* First gradients of the data alone and of the regulariser alone.  At an
 * orthogonal matrix the latter is rounding noise, hence its absolute bound. */
static void check_parts(const struct golden *golden, double relative,
                        double epsilon)
{
    struct golden plain = *golden;
    struct model data, whole;
    plain.settings.orthogonal_reg = 0.0;
    open_model(&data, &plain);
    open_model(&whole, golden);
    load_batch(&data, golden, 0);
    load_batch(&whole, golden, 0);
    step_forward(&data.step);
    step_forward(&whole.step);
    for (int l = golden->depth - 1; l >= 0; l--) {
        step_gradient(&data.step, l);
        step_gradient(&whole.step, l);
        check_layer(golden, "first_data_gradient_weights", l, &data,
                    data.step.gradients[l].weight, relative, 0.0);
        check_layer(golden, "first_gradient_weights", l, &whole,
                    whole.step.gradients[l].weight, relative,
                    100.0 * epsilon * golden->settings.orthogonal_reg);
        check_layer(golden, "first_gradient_biases", l, &whole,
                    whole.step.gradients[l].bias, relative, 0.0);
    }
    model_close(&data);
    model_close(&whole);
}

static bool never(void *user)
{
    (void)user;
    return false;
}

static void check_scores(const struct golden *golden, const char *name,
                         struct model *model, double relative)
{
    double expected[2];
    assert_int_equal(flatten(member(golden, name), expected), 2);
    struct source loaded = fixture_load(model->backend, &golden->source);
    struct part part = {.source = &loaded, .rows = golden->rows};
    assert_true(evaluator_score(&model->evaluator, &part, 1, never, NULL));
    model->backend->unload(model->backend, &loaded);
    assert_within(part.score.accuracy, expected[0], 1e-12);
    assert_within(part.score.loss, expected[1], relative * expected[1]);
}

/* At orthogonal weights the regulariser's gradient is rounding noise of about
 * 4 lambda eps, and where the data has no gradient (auxiliary units) the
 * optimiser divides it by its 1e-8: two NumPys differ by as much. */
static double training_noise(const struct golden *golden)
{
    return 5.0 * golden->settings.learning_rate * 4.0 *
           golden->settings.orthogonal_reg * DBL_EPSILON / 1e-8;
}

static void check_training(const struct golden *golden, double relative)
{
    double noise = training_noise(golden);
    struct model model;
    int steps = (int)number(golden, "steps");
    struct faults faults;
    open_model(&model, golden);
    check_scores(golden, "accuracy_loss_before", &model, relative);
    for (int step = 0; step < steps; step++) {
        int batches = golden->rows / model.network.batch_rows;
        load_batch(&model, golden, step % batches);
        step_run(&model.step, (uint64_t)step + 1);
    }
    step_faults(&model.step, &faults);
    assert_int_equal(faults.step, 0);
    check_scores(golden, "accuracy_loss_after", &model, relative);
    for (int l = 0; l < golden->depth; l++) {
        check_layer(golden, "final_weights", l, &model,
                    model.network.layers[l].weight.value, relative, noise);
        check_layer(golden, "final_biases", l, &model,
                    model.network.layers[l].bias.value, relative, noise);
    }
    model_close(&model);
}

static void gradients_in_float64(void **state)
{
    (void)state;
    for (int i = 0; i < NAMES; i++) {
        struct golden golden;
        open_golden(&golden, names[i], "float64");
        check_parts(&golden, 1e-9, DBL_EPSILON);
        close_golden(&golden);
    }
}

static void gradients_in_float32(void **state)
{
    (void)state;
    for (int i = 0; i < NAMES; i++) {
        struct golden golden;
        open_golden(&golden, names[i], "float32");
        if (!settings_is_published(&golden.settings))
            check_parts(&golden, 1e-5, FLT_EPSILON);
        close_golden(&golden);
    }
}

static void trainings_in_float64(void **state)
{
    (void)state;
    for (int i = 0; i < NAMES; i++) {
        struct golden golden;
        open_golden(&golden, names[i], "float64");
        check_training(&golden, 1e-8);
        close_golden(&golden);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_in_float64),
        cmocka_unit_test(gradients_in_float32),
        cmocka_unit_test(trainings_in_float64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
