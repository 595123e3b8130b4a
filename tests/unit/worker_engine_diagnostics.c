/* Diagnostics against NumPy (tests/golden/make_diagnostics.py), at the edges,
 * and what they must leave alone. */
#include "worker_engine_fixture.h"

#include <cjson/cJSON.h>

#include "worker/engine/diagnostics.h"
#include "worker/engine/stream.h"
#include "worker/engine/trainer.h"

enum { ROWS = 12, WIDTH = 35 };

/* A model with diagnostics beside it, in memory of their own. */
struct measured {
    struct model model;
    struct diagnostics diagnostics;
    void *memory;
    uint8_t pixels[ROWS * WIDTH], labels[ROWS];
    struct source source;
};

static void measured_open(struct measured *m, const struct settings *settings,
                          const int *widths, int depth)
{
    struct error error;
    model_open(&m->model, settings, widths, depth);
    diagnostics_init(&m->diagnostics, &m->model.step);
    struct backend *backend = m->model.backend;
    struct layout layout = {.element_bytes = backend->element_bytes};
    diagnostics_place(&m->diagnostics, &layout);
    m->memory = backend->allocate(backend, layout.bytes, &error);
    assert_non_null(m->memory);
    layout = (struct layout){backend->element_bytes, m->memory, 0};
    diagnostics_place(&m->diagnostics, &layout);
    m->source = (struct source){m->pixels, m->labels, ROWS, WIDTH, 255.0};
}

static void measure(struct measured *m, struct diagnostic *layers)
{
    struct backend *backend = m->model.backend;
    struct source loaded = fixture_load(backend, &m->source);
    diagnostics_measure(&m->diagnostics, &loaded, layers);
    backend->unload(backend, &loaded);
}

static void measured_close(struct measured *m)
{
    m->model.backend->release(m->model.backend, m->memory);
    model_close(&m->model);
}

static cJSON *golden(void)
{
    FILE *file = fopen("tests/golden/diagnostics.json", "rb");
    if (!file)
        fail_msg("no golden file: run from the repository's root");
    char *text = calloc(1 << 20, 1);
    assert_in_range(fread(text, 1, (1 << 20) - 1, file), 1, (1 << 20) - 2);
    fclose(file);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    free(text);
    return json;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    assert_non_null(item);
    return item;
}

static void read_bytes(const cJSON *array, uint8_t *to)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array) *to++ = (uint8_t)item->valueint;
}

static void read_batch(const cJSON *json, struct measured *m)
{
    uint8_t *to = m->pixels;
    const cJSON *picture;
    assert_int_equal(cJSON_GetArraySize(member(json, "pixels")), ROWS);
    cJSON_ArrayForEach(picture, member(json, "pixels"))
    {
        assert_int_equal(cJSON_GetArraySize(picture), WIDTH);
        read_bytes(picture, to);
        to += WIDTH;
    }
    read_bytes(member(json, "labels"), m->labels);
}

static struct settings plain_settings(const char *algorithm,
                                      const char *precision)
{
    struct settings settings;
    settings_init(&settings);
    snprintf(settings.algorithm, sizeof settings.algorithm, "%s", algorithm);
    snprintf(settings.precision, sizeof settings.precision, "%s", precision);
    settings.batch_size = ROWS;
    return settings;
}

/* The relative bound is of the value, the absolute one of what rounding makes
 * of a zero. */
static void check_value(const cJSON *expected, const char *name, double got,
                        double relative, double absolute)
{
    double value = cJSON_GetNumberValue(member(expected, name));
    if (!(fabs(got - value) <= fmax(relative * fabs(value), absolute)))
        fail_msg("%s is %.17g, NumPy has %.17g", name, got, value);
}

static void check_case(const cJSON *json, const cJSON *expected,
                       const char *precision, double relative, double absolute)
{
    struct measured m;
    struct diagnostic layers[LAYERS_MAX];
    struct error error;
    int widths[LAYERS_MAX], depth = 0;
    const cJSON *width, *layer;
    cJSON_ArrayForEach(width, member(expected, "widths")) widths[depth++] =
        width->valueint;
    struct settings settings =
        plain_settings(member(expected, "algorithm")->valuestring, precision);
    settings.linear = cJSON_IsTrue(member(expected, "linear"));
    settings.orthogonal_reg = 0.1; /* must not show */
    measured_open(&m, &settings, widths, depth);
    read_batch(json, &m);
    assert_true(network_start(&m.model.network, 1,
                              cJSON_IsTrue(member(expected, "orthogonal_init")),
                              &error));
    measure(&m, layers);
    int l = 0;
    cJSON_ArrayForEach(layer, member(expected, "layers"))
    {
        double condition = cJSON_GetNumberValue(member(layer, "condition"));
        if (!strcmp(settings.algorithm, "BP"))
            assert_within(layers[l].angle, 0.0, 0.0);
        check_value(layer, "angle", layers[l].angle, relative, absolute);
        check_value(layer, "off_diagonal", layers[l].off_diagonal, relative,
                    absolute);
        check_value(layer, "condition", layers[l].condition,
                    relative * condition, 0.0);
        check_value(layer, "error_rms", layers[l].error_rms, relative, 0.0);
        l++;
    }
    assert_int_equal(l, depth);
    measured_close(&m);
}

static void check_all(const char *precision, double relative, double absolute)
{
    cJSON *json = golden();
    const cJSON *expected;
    int count = 0;
    cJSON_ArrayForEach(expected, member(json, "cases"))
    {
        check_case(json, expected, precision, relative, absolute);
        count++;
    }
    assert_int_equal(count, 18);
    cJSON_Delete(json);
}

static void as_numpy_in_float64(void **state)
{
    (void)state;
    check_all("float64", 1e-9, 1e-11);
}

static void as_numpy_in_float32(void **state)
{
    (void)state;
    check_all("float32", 5e-3, 1e-3);
}

/* Singular, and so that GAIT's errors below it are not numbers. */
static void what_is_undefined_is_nan(void **state)
{
    (void)state;
    static const int widths[] = {WIDTH, WIDTH, WIDTH};
    struct measured m;
    struct error error;
    struct diagnostic layers[3];
    struct settings settings = plain_settings("GAIT", "float64");
    cJSON *json = golden();
    measured_open(&m, &settings, widths, 3);
    read_batch(json, &m);
    cJSON_Delete(json);
    assert_true(network_start(&m.model.network, 1, true, &error));
    double *weights = calloc(WIDTH * WIDTH, sizeof *weights);
    for (int i = 0; i < WIDTH - 1; i++)
        weights[i * WIDTH + i] = 1.0;
    m.model.backend->assign(m.model.backend,
                            m.model.network.layers[1].weight.value, weights);
    free(weights);
    measure(&m, layers);
    assert_true(isnan(layers[1].condition));
    assert_within(layers[1].off_diagonal, 0.0, 0.0);
    assert_true(isnan(layers[0].angle));
    assert_true(isnan(layers[0].error_rms));
    assert_within(layers[0].condition, 1.0, 1e-12);
    assert_within(layers[2].condition, 1.0, 1e-12);
    measured_close(&m);
}

/* --- within a training --------------------------------------------------- */

enum { TRAIN = 60, PIXELS = 16, KEPT = 40 };

struct record {
    int count, calls, stop_at;
    struct evaluation rows[KEPT];
};

static void keep_row(void *user, const struct evaluation *row)
{
    struct record *record = user;
    assert_in_range(record->count, 0, KEPT - 1);
    record->rows[record->count++] = *row;
}

static bool count_step(void *user, int64_t step)
{
    struct record *record = user;
    (void)step;
    return ++record->calls == record->stop_at;
}

static struct trainer *new_trainer(const struct settings *settings)
{
    static uint8_t pixels[TRAIN * PIXELS], labels[TRAIN];
    static const struct data data = {
        {pixels, labels, TRAIN}, {pixels, labels, TRAIN}, PIXELS};
    struct stream stream;
    struct error error;
    stream_init(&stream, 5);
    for (int i = 0; i < TRAIN * PIXELS; i++)
        pixels[i] = (uint8_t)(stream_word(&stream) % 256);
    for (int i = 0; i < TRAIN; i++)
        labels[i] = (uint8_t)(stream_word(&stream) % CLASSES);
    struct trainer *trainer =
        trainer_new(settings, &data, fixture_device(), &error);
    if (!trainer)
        fail_msg("trainer_new: %s", error.text);
    return trainer;
}

static bool run(struct trainer *trainer, struct record *record)
{
    struct trainer_hooks hooks = {record, keep_row, count_step};
    struct error error;
    return trainer_run(trainer, 2, &hooks, &error);
}

static struct settings run_settings(const char *algorithm, bool is_tower)
{
    struct settings settings = plain_settings(algorithm, "float32");
    settings.tower = is_tower;
    snprintf(settings.widths, sizeof settings.widths, "%s",
             is_tower ? "16x12x10" : "none");
    settings.nb_layers = 2;
    settings.learning_rate = 1e-3;
    settings.orthogonal_reg = 0.1;
    settings.eval_every = 2;
    settings.shuffle = true;
    return settings;
}

static void they_do_not_change_a_training(void **state)
{
    (void)state;
    static const char *const algorithms[] = {"BP", "GAIT", "TP"};
    for (int i = 0; i < 6; i++) {
        struct settings settings = run_settings(algorithms[i / 2], i % 2);
        struct record plain = {0}, measured = {0};
        struct trainer *trainer = new_trainer(&settings);
        assert_true(run(trainer, &plain));
        trainer_free(trainer);
        settings.diagnostics = true;
        trainer = new_trainer(&settings);
        assert_true(run(trainer, &measured));
        trainer_free(trainer);
        assert_int_equal(plain.count, 7);
        assert_int_equal(measured.count, 7);
        for (int r = 0; r < 7; r++) {
            struct evaluation *a = &plain.rows[r], *b = &measured.rows[r];
            assert_int_equal(a->layer_count, 0);
            assert_int_equal(b->layer_count, 3);
            assert_memory_equal(a->state_hash, b->state_hash, 16);
            assert_true(a->train_loss == b->train_loss);
            assert_true(a->test_loss == b->test_loss);
            for (int l = 0; l < 3; l++) {
                assert_within(b->layers[l].angle, 90, 90);
                assert_true(b->layers[l].condition >= 1);
            }
        }
        assert_true(measured.rows[0].layers[1].off_diagonal !=
                    measured.rows[6].layers[1].off_diagonal);
    }
}

/* Stopped everywhere, and restored in another trainer. */
static void they_come_out_again_after_a_restart(void **state)
{
    (void)state;
    struct settings settings = run_settings("GAIT", false);
    settings.diagnostics = true;
    struct record whole = {0};
    struct trainer *trainer = new_trainer(&settings);
    assert_true(run(trainer, &whole));
    trainer_free(trainer);
    for (int at = 1; at < whole.calls; at++) {
        struct record parts = {.stop_at = at};
        struct progress progress;
        struct error error;
        int count, restored;
        trainer = new_trainer(&settings);
        struct trainer *other = new_trainer(&settings);
        assert_false(run(trainer, &parts));
        const struct tensor *from = trainer_tensors(trainer, &count, &error);
        const struct tensor *to = trainer_tensors(other, &restored, &error);
        assert_int_equal(count, restored);
        for (int i = 0; i < count; i++)
            memcpy(to[i].values, from[i].values, to[i].bytes);
        trainer_progress(trainer, &progress);
        trainer_restore(other, &progress);
        assert_true(run(other, &parts));
        assert_int_equal(parts.count, whole.count);
        for (int r = 0; r < whole.count; r++)
            assert_memory_equal(parts.rows[r].layers, whole.rows[r].layers,
                                sizeof whole.rows[r].layers);
        trainer_free(trainer);
        trainer_free(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_numpy_in_float64),
        cmocka_unit_test(as_numpy_in_float32),
        cmocka_unit_test(what_is_undefined_is_nan),
        cmocka_unit_test(they_do_not_change_a_training),
        cmocka_unit_test(they_come_out_again_after_a_restart),
    };
    return cmocka_run_group_tests_name("worker_engine_diagnostics", tests, NULL,
                                       NULL);
}
