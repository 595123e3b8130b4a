/* The memory that a job is said to take of a GPU is what it takes. */
#include "worker_engine_fixture.h"

#include <dlfcn.h>

#include "schema/gpu_memory.h"
#include "worker/engine/trainer.h"

enum { WIDTH = 20, TRAIN = 50, TEST = 30 };

static uint8_t pixels[TRAIN * WIDTH], labels[TRAIN];

/* Of the runtime that the plugin has opened: bytes that are free. */
static size_t free_bytes(void)
{
    void *runtime = dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
    int (*get)(size_t *, size_t *);
    size_t left = 0, all = 0;
    assert_non_null(runtime);
    *(void **)&get = dlsym(runtime, "cudaMemGetInfo");
    assert_int_equal(get(&left, &all), 0);
    dlclose(runtime);
    return left;
}

static struct settings settings_of(int i)
{
    static const char *const rules[] = {"BP", "GAIT", "DFA", "FA"};
    struct settings settings;
    settings_init(&settings);
    snprintf(settings.algorithm, SETTING_TEXT_BYTES, "%s", rules[i % 4]);
    snprintf(settings.precision, SETTING_TEXT_BYTES, "%s",
             i & 1 ? "float64" : "float32");
    settings.nb_layers = 1 + i % 6;
    if (i == 5) /* GAIT */
        snprintf(settings.gait_form, SETTING_TEXT_BYTES, "published");
    settings.tower = i > 5;
    snprintf(settings.widths, SETTING_TEXT_BYTES, "%s",
             i > 5 ? "20x17x13x11" : "none");
    settings.batch_size = 7;
    settings.orthogonal_reg = i & 2 ? 0.1 : 0.0;
    settings.shuffle = settings.diagnostics = i & 4;
    settings.valid_rows = i;
    return settings;
}

static struct trainer *new_trainer(const struct settings *settings)
{
    struct data data = {{pixels, labels, TRAIN}, {pixels, labels, TEST}, WIDTH};
    struct error error;
    struct trainer *trainer =
        trainer_new(settings, &data, fixture_device(), &error);
    if (!trainer)
        fail_msg("trainer_new: %s", error.text);
    return trainer;
}

/* A real runtime gives memory out in large pieces, so that only what was asked
 * of it can be counted there. */
static void a_job_takes_what_is_said(void **state)
{
    (void)state;
    struct dataset_shape shape = {
        .train_rows = TRAIN, .test_rows = TEST, .width = WIDTH};
    if (fixture_is_cpu())
        skip();
    bool is_counted = fixture_is_pretended();
    for (int i = 0; i < 10; i++) {
        struct settings settings = settings_of(i);
        int64_t said = gpu_memory_bytes(&settings, &shape);
        struct trainer *first = new_trainer(&settings);
        size_t before = free_bytes();
        struct trainer *trainer = new_trainer(&settings);
        assert_int_equal(trainer_taken_bytes(trainer), said);
        if (is_counted)
            assert_int_equal(before - free_bytes(), said);
        trainer_free(trainer);
        if (is_counted)
            assert_int_equal(free_bytes(), before);
        trainer_free(first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_takes_what_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
