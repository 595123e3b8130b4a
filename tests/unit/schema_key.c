#include "schema_fixture.h"

#include <xxhash.h>

#include "schema/key.h"

static const struct dataset_shape shape = {
    .train_rows = 60000,
    .test_rows = 10000,
    .width = 784,
    .digest = "0123456789abcdef0123456789abcdef",
};

static struct key key_of(const char *text, const struct dataset_shape *of)
{
    struct settings settings;
    struct faults faults;
    faults_init(&faults);
    cJSON *object = json(text);
    settings_read(object, &settings, &faults);
    cJSON_Delete(object);
    assert_faults(&faults, "");
    struct key key;
    key_make(&key, &settings, of);
    return key;
}

/* Stored in databases: a change here loses every run there is.  Computed with
 * xxh128sum from the bytes that key.h describes. */
static void keys_never_change(void **state)
{
    (void)state;
    static const struct {
        const char *json, *key;
    } cases[] = {
        {"{}", "8cf8a8bb6a79e0f9f167b2731185c410"},
        {"{'algorithm': 'GAIT', 'nb_layers': 4, 'learning_rate': 1e-4,"
         " 'orthogonal_reg': 0.1, 'seed': 101, 'eval_every': 10,"
         " 'eval_offset': 1}",
         "a9150c3f1e730c488a285a07c04f7ffb"},
        {"{'tower': true, 'widths': '16x16x10', 'linear': true,"
         " 'precision': 'float64', 'train_rows': 60, 'shuffle': true}",
         "765d29ae9a2df55646ed69a242ccfe3b"},
        {"{'algorithm': 'GAIT', 'gait_form': 'published',"
         " 'precision': 'float64'}",
         "0a0455d8dbf90477cb2eb45e81ffd6e6"},
        {"{'algorithm': 'DFA', 'orthogonal_reg': 0.1,"
         " 'orthogonal_form': 'full'}",
         "f16851c8e4332a1d4656406577696966"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(key_of(cases[i].json, &shape).hex, cases[i].key);
}

/* The bytes that key.h promises. */
static void layout_is_as_documented(void **state)
{
    (void)state;
    static const char text[] = "0123456789abcdef0123456789abcdef\n2\n"
                               "algorithm=GAIT\n"
                               "gamma=3fb999999999999a\n"
                               "seed=101\n"
                               "shuffle=true\n";
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(text, sizeof text - 1));
    char hex[33];
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", canonical.digest[i]);
    struct key key = key_of("{'shuffle': true, 'seed': 101, 'gamma': 0.1,"
                            " 'algorithm': 'GAIT', 'nb_epochs': 3}",
                            &shape);
    assert_string_equal(key.hex, hex);
}

static void equal_trainings_have_equal_keys(void **state)
{
    (void)state;
    static const char *const same[] = {
        "{}",
        "{'nb_epochs': 3}",
        "{'device': 'cpu', 'threads': 4}",
        "{'dataset': 'my-mnist'}",
        "{'gamma': 0.5}",
        "{'gait_form': 'published'}",
        "{'orthogonal_init': true}",
        "{'orthogonal_form': 'full'}",
        "{'eval_offset': 3}",
        "{'train_rows': 60000}",
        "{'test_rows': 10000}",
        "{'learning_rate': 1e-4}",
        "{'orthogonal_reg': -0}",
    };
    for (size_t i = 1; i < COUNT(same); i++)
        assert_string_equal(key_of(same[i], &shape).hex,
                            key_of(same[0], &shape).hex);
}

static void different_trainings_have_different_keys(void **state)
{
    (void)state;
    static const char *const different[] = {
        "{}",
        "{'algorithm': 'TP'}",
        "{'algorithm': 'GAIT'}",
        "{'algorithm': 'GAIT', 'gamma': 0.1}",
        "{'algorithm': 'GAIT', 'gait_form': 'published'}",
        "{'algorithm': 'ITP'}",
        "{'algorithm': 'FA'}",
        "{'algorithm': 'DFA'}",
        "{'nb_layers': 2}",
        "{'tower': true}",
        "{'tower': true, 'widths': '784x10'}",
        "{'linear': true}",
        "{'learning_rate': 0.00010000000000000002}",
        "{'orthogonal_reg': 0.1}",
        "{'orthogonal_reg': 0.1, 'orthogonal_init': true}",
        "{'orthogonal_reg': 0.1, 'orthogonal_form': 'full'}",
        "{'seed': 0}",
        "{'seed': 2}",
        "{'batch_size': 61}",
        "{'precision': 'float64'}",
        "{'tf32': true}",
        "{'train_rows': 59999}",
        "{'valid_rows': 1}",
        "{'shuffle': true}",
        "{'eval_every': 10}",
        "{'eval_every': 10, 'eval_offset': 1}",
        "{'test_rows': 9999}",
    };
    for (size_t i = 0; i < COUNT(different); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(key_of(different[i], &shape).hex,
                                    key_of(different[j], &shape).hex);
    struct dataset_shape other = shape;
    other.digest[31] = '0';
    assert_string_not_equal(key_of("{}", &other).hex, key_of("{}", &shape).hex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_never_change),
        cmocka_unit_test(layout_is_as_documented),
        cmocka_unit_test(equal_trainings_have_equal_keys),
        cmocka_unit_test(different_trainings_have_different_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
