/* Which settings lean on which: all that settings_canonical does between two of
 * them is known. */
#include "schema_fixture.h"

#include "schema/settings.h"

static const struct dataset_shape shape = {.train_rows = 60000,
                                           .test_rows = 10000};

/* Two values of each setting that another may lean on, and of those that lean:
 * the second one is not the default. */
static const struct {
    const char *name, *values[2];
} choices[] = {
    {"algorithm", {"BP", "GAIT"}},         {"linear", {"false", "true"}},
    {"gait_form", {"exact", "published"}}, {"tower", {"false", "true"}},
    {"orthogonal_reg", {"0", "0.1"}},      {"eval_every", {"0", "10"}},
    {"precision", {"float32", "float64"}}, {"device", {"cpu", "cuda"}},
    {"valid_rows", {"0", "10000"}},        {"train_rows", {"all", "50000"}},
};
enum { CHOICES = COUNT(choices) };

static void set(struct settings *settings, const char *name, const char *text)
{
    struct faults faults;
    faults_init(&faults);
    const struct setting *setting = setting_find(name);
    cJSON *value = setting_value(setting, text);
    setting_read(setting, value, settings, &faults);
    cJSON_Delete(value);
    assert_faults(&faults, "");
}

/* A bit for each choice; all else that leans is not at its default. */
static void make(struct settings *settings, unsigned bits)
{
    settings_init(settings);
    for (int i = 0; i < CHOICES; i++)
        set(settings, choices[i].name, choices[i].values[bits >> i & 1]);
    set(settings, "gamma", "0.1");
    set(settings, "nb_layers", "4");
    set(settings, "orthogonal_form", "full");
    set(settings, "orthogonal_init", "true");
    set(settings, "eval_offset", "1");
    set(settings, "tf32", "true");
    settings_canonical(settings, &shape);
}

static void compare(const struct settings *a, const struct settings *b,
                    const struct setting *changed)
{
    for (int s = 0; s < setting_count; s++) {
        const struct setting *setting = &setting_table[s];
        if (setting == changed || setting_equal(setting, a, b) ||
            setting_leans_on(setting, changed))
            continue;
        fail_msg("%s leans on %s", setting->name, changed->name);
    }
}

static void who_leans_on_whom_is_known(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 1U << CHOICES; bits++) {
        struct settings a;
        make(&a, bits);
        for (int i = 0; i < CHOICES; i++) {
            struct settings b;
            make(&b, bits ^ 1U << i);
            compare(&a, &b, setting_find(choices[i].name));
        }
    }
}

/* Of another data set's size. */
static void rows_lean_on_the_data_set(void **state)
{
    (void)state;
    const struct dataset_shape other = {.train_rows = 50000, .test_rows = 9000};
    struct settings a, b;
    settings_init(&a);
    set(&a, "train_rows", "50000");
    set(&a, "test_rows", "9000");
    b = a;
    settings_canonical(&a, &shape);
    settings_canonical(&b, &other);
    assert_false(setting_equal(setting_find("train_rows"), &a, &b));
    compare(&a, &b, setting_find("dataset"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_leans_on_whom_is_known),
        cmocka_unit_test(rows_lean_on_the_data_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
