/* An epoch on Fashion-MNIST, 784 wide, in float64, against what the reference
 * measured (tests/golden/make_trajectories.py): the same accuracies to the
 * last digit. */
#include "worker_engine_fixture.h"

#include <cjson/cJSON.h>
#include <zlib.h>

#include "worker/engine/trainer.h"

#define FOLDER "/usr/share/datasets/fashion-mnist/"
enum { WIDTH = 784, COLUMNS = 5, ROWS_MAX = 16 };

struct rows {
    int count;
    struct evaluation rows[ROWS_MAX];
};

static uint8_t *unzip(const char *name, size_t skip, size_t bytes)
{
    char path[200];
    snprintf(path, sizeof path, FOLDER "%s", name);
    gzFile file = gzopen(path, "rb");
    uint8_t *to = malloc(bytes);
    assert_non_null(to);
    if (!file || gzseek(file, (z_off_t)skip, SEEK_SET) < 0 ||
        gzread(file, to, (unsigned)bytes) != (int)bytes)
        fail_msg("cannot read \"%s\": install dataset-fashion-mnist", path);
    gzclose(file);
    return to;
}

static struct row_set read_rows(const char *set, int64_t rows)
{
    char images[100], labels[100];
    snprintf(images, sizeof images, "%s-images-idx3-ubyte.gz", set);
    snprintf(labels, sizeof labels, "%s-labels-idx1-ubyte.gz", set);
    return (struct row_set){
        .pixels = unzip(images, 16, (size_t)rows * WIDTH),
        .labels = unzip(labels, 8, (size_t)rows),
        .rows = rows,
    };
}

static void free_rows(struct row_set *rows)
{
    free((void *)rows->pixels);
    free((void *)rows->labels);
}

static cJSON *read_golden(void)
{
    FILE *file = fopen("tests/golden/trajectories.json", "rb");
    if (!file)
        fail_msg("no tests/golden/trajectories.json: run from the "
                 "repository's root");
    static char text[100000];
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[bytes] = '\0';
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    return json;
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item))
        fail_msg("no number \"%s\"", name);
    return item->valuedouble;
}

static bool is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void keep_row(void *user, const struct evaluation *row)
{
    struct rows *kept = user;
    assert_in_range(kept->count, 0, ROWS_MAX - 1);
    kept->rows[kept->count++] = *row;
}

static struct settings settings_of(const cJSON *golden, const cJSON *case_)
{
    struct settings settings;
    const cJSON *algorithm =
        cJSON_GetObjectItemCaseSensitive(case_, "algorithm");
    settings_init(&settings);
    snprintf(settings.algorithm, sizeof settings.algorithm, "%s",
             algorithm->valuestring);
    snprintf(settings.precision, sizeof settings.precision, "float64");
    settings.tower = number(case_, "nb_layers") == 0;
    if (!settings.tower)
        settings.nb_layers = (int64_t)number(case_, "nb_layers");
    settings.linear = is_true(case_, "linear");
    settings.orthogonal_init = is_true(case_, "orthogonal_init");
    settings.orthogonal_reg = number(case_, "orthogonal_reg");
    settings.learning_rate = number(golden, "learning_rate");
    settings.batch_size = (int64_t)number(golden, "batch_size");
    settings.eval_every = (int64_t)number(golden, "eval_every");
    settings.eval_offset = (int64_t)number(golden, "eval_offset");
    return settings;
}

/* Xavier weights (condition 1e3 to 1e7) amplify the rounding of inversions. */
static double loss_bound(const cJSON *case_, const struct settings *settings)
{
    bool is_noisy = strcmp(settings->algorithm, "BP") != 0 &&
                    !is_true(case_, "orthogonal_init");
    return is_noisy ? 1e-7 : 1e-9;
}

static void check_rows(const cJSON *case_, const struct settings *settings,
                       const struct rows *rows)
{
    double bound = loss_bound(case_, settings);
    const cJSON *expected = cJSON_GetObjectItemCaseSensitive(case_, "rows");
    assert_int_equal(rows->count, cJSON_GetArraySize(expected));
    for (int i = 0; i < rows->count; i++) {
        const struct evaluation *got = &rows->rows[i];
        double want[COLUMNS];
        for (int j = 0; j < COLUMNS; j++)
            want[j] = cJSON_GetArrayItem(cJSON_GetArrayItem(expected, i), j)
                          ->valuedouble;
        assert_int_equal(got->step, (int64_t)want[0]);
        assert_within(got->train_accuracy, want[1], 1e-15);
        assert_within(got->train_loss, want[2], bound * want[2]);
        assert_within(got->test_accuracy, want[3], 1e-15);
        assert_within(got->test_loss, want[4], bound * want[4]);
    }
}

static void every_case_measures_what_the_reference_does(void **state)
{
    (void)state;
    cJSON *golden = read_golden();
    struct data data = {
        .train = read_rows("train", (int64_t)number(golden, "train_rows")),
        .test = read_rows("t10k", (int64_t)number(golden, "test_rows")),
        .width = WIDTH,
    };
    const cJSON *case_;
    cJSON_ArrayForEach(case_, cJSON_GetObjectItemCaseSensitive(golden, "cases"))
    {
        struct settings settings = settings_of(golden, case_);
        struct rows rows = {0};
        struct trainer_hooks hooks = {.user = &rows, .on_row = keep_row};
        struct error error;
        struct trainer *trainer =
            trainer_new(&settings, &data, fixture_device(), &error);
        assert_non_null(trainer);
        assert_true(trainer_run(trainer, 1, &hooks, &error));
        print_message("%s, %d layers\n", settings.algorithm,
                      (int)settings.nb_layers);
        check_rows(case_, &settings, &rows);
        trainer_free(trainer);
    }
    free_rows(&data.train);
    free_rows(&data.test);
    cJSON_Delete(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_measures_what_the_reference_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
