#include "schema_fixture.h"

#include "schema/settings.h"

static const struct dataset_shape shape = {
    .train_rows = 60000,
    .test_rows = 10000,
    .width = 784,
    .digest = "0123456789abcdef0123456789abcdef",
};

static void table_is_whole(void **state)
{
    (void)state;
    struct settings settings;
    settings_init(&settings);
    for (int i = 0; i < setting_count; i++) {
        const struct setting *s = &setting_table[i];
        assert_ptr_equal(setting_find(s->name), s);
        assert_true(s->least <= s->most);
        assert_true(strlen(s->help) > 0);
        /* The default is a value like any other, and is what was set. */
        struct settings read = {0};
        struct faults faults;
        faults_init(&faults);
        cJSON *value = setting_value(s, s->initial);
        setting_read(s, value, &read, &faults);
        cJSON_Delete(value);
        assert_faults(&faults, "");
        if (!setting_equal(s, &read, &settings))
            fail_msg("%s: default is not %s", s->name, s->initial);
        char text[SETTING_TEXT_BYTES];
        setting_print(s, &settings, text, sizeof text);
        assert_string_equal(text, s->initial);
    }
    assert_null(setting_find("learning-rate"));
    assert_null(setting_find(""));
}

/* Published defaults, and those that keys rest on: they never change. */
static void defaults_are_these(void **state)
{
    (void)state;
    struct settings settings;
    settings_init(&settings);
    cJSON *object = settings_write(&settings);
    size_t length;
    char *text = json_print(object, &length);
    assert_string_equal(
        text, "{\"algorithm\":\"BP\",\"dataset\":\"MNIST\",\"nb_layers\":1,"
              "\"tower\":false,\"widths\":\"none\",\"linear\":false,"
              "\"learning_rate\":0.0001,\"orthogonal_reg\":0,"
              "\"orthogonal_form\":\"offdiagonal\","
              "\"orthogonal_init\":false,\"seed\":1,\"batch_size\":60,"
              "\"gamma\":0.001,\"gait_form\":\"exact\",\"precision\":"
              "\"float32\",\"tf32\":false,\"train_rows\":0,"
              "\"valid_rows\":0,\"shuffle\":false,\"eval_every\":0,"
              "\"eval_offset\":0,\"test_rows\":0,\"diagnostics\":false,"
              "\"device\":\"any\","
              "\"threads\":1,\"nb_epochs\":100}");
    free(text);
    cJSON_Delete(object);
}

/* As messages list them: a new rule is added here. */
#define RULES_LISTED "BP, GAIT, TP, ITP, FA, DFA"

static void refuses_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *json, *fault;
    } cases[] = {
        {"{'batch_size': 0}", "batch_size: 0 is below 1"},
        {"{'batch_size': 1000001}", "batch_size: 1000001 is above 1000000"},
        {"{'batch_size': 2.5}", "batch_size: 2.5 is not a whole number"},
        {"{'batch_size': '60'}", "batch_size: \"60\" is not a whole number"},
        {"{'batch_size': true}", "batch_size: true is not a whole number"},
        {"{'batch_size': null}", "batch_size: null is not a whole number"},
        {"{'batch_size': [60]}", "batch_size: a list is not a whole number"},
        {"{'batch_size': {}}", "batch_size: an object is not a whole number"},
        {"{'seed': 4294967231}", "seed: 4294967231 is above 4294967230"},
        {"{'seed': 1e300}", "seed: 1e+300 is above 4294967230"},
        {"{'train_rows': 'most'}",
         "train_rows: \"most\" is neither a whole number nor \"all\""},
        {"{'train_rows': 1.5}",
         "train_rows: 1.5 is neither a whole number nor \"all\""},
        {"{'train_rows': 1e10}", "train_rows: 10000000000 is above 1000000000"},
        {"{'learning_rate': 'fast'}",
         "learning_rate: \"fast\" is not a number"},
        {"{'learning_rate': 1e99}", "learning_rate: 1e+99 is above 1e+06"},
        {"{'learning_rate': -1e-9}", "learning_rate: -1e-09 is below 0"},
        {"{'gamma': 0}", "gamma: 0 is below 1e-12"},
        {"{'tower': 'yes'}", "tower: \"yes\" is not true or false"},
        {"{'tower': 1}", "tower: 1 is not true or false"},
        {"{'algorithm': 'SGD'}",
         "algorithm: \"SGD\" is not one of " RULES_LISTED},
        {"{'algorithm': 'BP '}",
         "algorithm: \"BP \" is not one of " RULES_LISTED},
        {"{'algorithm': ''}", "algorithm: \"\" is not one of " RULES_LISTED},
        {"{'algorithm': 7}", "algorithm: 7 is not one of " RULES_LISTED},
        {"{'precision': 'float16'}",
         "precision: \"float16\" is not one of float32, float64"},
        {"{'gait_form': 'Published'}",
         "gait_form: \"Published\" is not one of exact, published"},
        {"{'orthogonal_form': true}",
         "orthogonal_form: true is not one of offdiagonal, full"},
        {"{'dataset': '../etc/passwd'}",
         "dataset: \"../etc/passwd\" is not a name of at most 63 letters, "
         "digits, \".\", \"_\" and \"-\""},
        {"{'dataset': ''}",
         "dataset: \"\" is not a name of at most 63 letters, digits, \".\", "
         "\"_\" and \"-\""},
        {"{'dataset': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaa'}",
         "dataset: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is not a "
         "name of at most 63 letters, digits, \".\", \"_\" and \"-\""},
        {"{'device': 'gpu'}", "device: \"gpu\" is not any, cpu, cuda, or the "
                              "index of a GPU, 0 to 1023"},
        {"{'device': 1024}", "device: 1024 is not any, cpu, cuda, or the "
                             "index of a GPU, 0 to 1023"},
        {"{'device': -1}", "device: -1 is not any, cpu, cuda, or the index of "
                           "a GPU, 0 to 1023"},
        {"{'device': 0.5}", "device: 0.5 is not any, cpu, cuda, or the index "
                            "of a GPU, 0 to 1023"},
        {"{'widths': '784'}", ""},
        {"{'widths': '784x5'}", "widths: \"784x5\" is too narrow at the end, "
                                "where 10 classes need a width of 10"},
        {"{'widths': '10x20'}", "widths: \"10x20\" is increasing, where each "
                                "width must be at most the one before"},
        {"{'widths': '784x'}", "widths: \"784x\" is not widths such as "
                               "784x500x200x10, each 1 to 65536"},
        {"{'widths': '0784x10'}", "widths: \"0784x10\" is not widths such as "
                                  "784x500x200x10, each 1 to 65536"},
        {"{'widths': '65537x10'}", "widths: \"65537x10\" is not widths such as "
                                   "784x500x200x10, each 1 to 65536"},
        {"{'widths': ''}", "widths: \"\" is not widths such as "
                           "784x500x200x10, each 1 to 65536"},
        {"{'widths': [784, 10]}", "widths: a list is not widths such as "
                                  "784x500x200x10, each 1 to 65536"},
        {"{'learning_rte': 1}",
         "learning_rte: unknown setting, did you mean \"learning_rate\"?"},
        {"{'momentum': 1}", "momentum: unknown setting"},
        {"{'': 1}", "spec: unknown setting"},
        {"{'seed': -1, 'tower': 0, 'x': 1}",
         "seed: -1 is below 0\ntower: 0 is not true or false\n"
         "x: unknown setting"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct settings settings;
        struct faults faults;
        faults_init(&faults);
        cJSON *object = json(cases[i].json);
        bool is_good = settings_read(object, &settings, &faults);
        cJSON_Delete(object);
        assert_faults(&faults, cases[i].fault);
        assert_int_equal(is_good, !cases[i].fault[0]);
    }
}

static void widths_have_a_limit(void **state)
{
    (void)state;
    char text[400] = "";
    size_t used = 0;
    for (int i = 0; i < 66; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s784",
                                 i ? "x" : "");
    struct settings settings;
    settings_init(&settings);
    settings.tower = true;
    const struct setting *widths = setting_find("widths");
    for (int layers = 65; layers <= 66; layers++) {
        text[layers * 4 - 1] = '\0';
        struct faults faults;
        faults_init(&faults);
        cJSON *value = cJSON_CreateString(text);
        assert_int_equal(setting_read(widths, value, &settings, &faults),
                         layers == 65);
        cJSON_Delete(value);
        text[layers * 4 - 1] = 'x';
        int found[LAYERS_MAX];
        assert_int_equal(settings_widths(&settings, 784, found), 65);
        assert_int_equal(found[64], 784);
    }
}

static void accepts_every_spelling(void **state)
{
    (void)state;
    cJSON *object = json("{'learning_rate': 1, 'nb_epochs': 1e3, 'seed': -0,"
                         " 'orthogonal_reg': -0, 'device': 0,"
                         " 'train_rows': 'all', 'test_rows': 100,"
                         " 'tower': true, 'widths': '16x16x10',"
                         " 'dataset': 'a.b_c-9'}");
    struct settings settings;
    struct faults faults;
    faults_init(&faults);
    assert_true(settings_read(object, &settings, &faults));
    cJSON_Delete(object);
    assert_true(settings.learning_rate == 1);
    assert_int_equal(settings.nb_epochs, 1000);
    assert_int_equal(settings.seed, 0);
    assert_false(__builtin_signbit(settings.orthogonal_reg));
    assert_string_equal(settings.device, "0");
    assert_int_equal(settings.train_rows, 0);
    assert_int_equal(settings.test_rows, 100);
    assert_string_equal(settings.dataset, "a.b_c-9");
    int widths[LAYERS_MAX];
    assert_int_equal(settings_widths(&settings, 784, widths), 3);
    assert_int_equal(widths[0], 16);
    assert_int_equal(widths[2], 10);

    cJSON *written = settings_write(&settings);
    struct settings back;
    assert_true(settings_read(written, &back, &faults));
    cJSON_Delete(written);
    for (int i = 0; i < setting_count; i++)
        assert_true(setting_equal(&setting_table[i], &settings, &back));
}

static void reads_command_line_values(void **state)
{
    (void)state;
    static const struct {
        const char *setting, *text, *json;
    } cases[] = {
        {"learning_rate", "1e-4", "0.0001"},
        {"learning_rate", ".5", "0.5"},
        {"learning_rate", "fast", "\"fast\""},
        {"learning_rate", "1e999", "\"1e999\""},
        {"learning_rate", "1e-400", "\"1e-400\""},
        {"learning_rate", "0e-400", "0"},
        {"learning_rate", "nan", "\"nan\""},
        {"learning_rate", "0x10", "\"0x10\""},
        {"learning_rate", "1-2", "\"1-2\""},
        {"learning_rate", "", "\"\""},
        {"seed", "101", "101"},
        {"seed", "1 ", "\"1 \""},
        {"train_rows", "all", "\"all\""},
        {"tower", "true", "true"},
        {"tower", "False", "false"},
        {"tower", "yes", "\"yes\""},
        {"device", "0", "\"0\""},
        {"algorithm", "GAIT", "\"GAIT\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cJSON *value =
            setting_value(setting_find(cases[i].setting), cases[i].text);
        size_t length;
        char *text = json_print(value, &length);
        assert_string_equal(text, cases[i].json);
        free(text);
        cJSON_Delete(value);
    }
}

static void assert_check(const char *settings_json,
                         const struct dataset_shape *of, const char *lines)
{
    struct settings settings;
    struct faults faults;
    faults_init(&faults);
    cJSON *object = json(settings_json);
    settings_read(object, &settings, &faults);
    cJSON_Delete(object);
    assert_faults(&faults, "");
    settings_check(&settings, of, &faults);
    assert_faults(&faults, lines);
}

static void checks_settings_against_the_data(void **state)
{
    (void)state;
    static const struct {
        const char *json, *lines;
    } cases[] = {
        {"{}", ""},
        {"{'tower': true}", ""},
        {"{'tower': true, 'widths': '784x10', 'batch_size': 60000}", ""},
        {"{'train_rows': 50000, 'valid_rows': 10000, 'test_rows': 10000}", ""},
        {"{'nb_layers': 64, 'seed': 4294967230, 'eval_every': 1000000}", ""},
        {"{'gait_form': 'published', 'algorithm': 'GAIT'}",
         "gait_form: \"published\" needs \"precision\": \"float64\""},
        {"{'gait_form': 'published', 'algorithm': 'GAIT',"
         " 'precision': 'float64'}",
         ""},
        {"{'gait_form': 'published', 'algorithm': 'TP'}", ""},
        {"{'widths': '784x10'}", "widths: needs \"tower\": true"},
        {"{'tower': true, 'widths': '785x10'}",
         "widths: 785x10 begins with 785, but MNIST has 784 pixels a row"},
        {"{'train_rows': 70000, 'dataset': 'FMNIST'}",
         "train_rows: 70000, but FMNIST has 60000 training rows"},
        {"{'test_rows': 10001}",
         "test_rows: 10001, but MNIST has 10000 test rows"},
        {"{'valid_rows': 60001}",
         "valid_rows: 60001, but MNIST has 60000 training rows"},
        {"{'valid_rows': 20000, 'train_rows': 50000}",
         "valid_rows: 20000 and 50000 train_rows, but MNIST has 60000 "
         "training rows"},
        {"{'valid_rows': 59990}",
         "batch_size: 60 is more than the 10 rows trained on"},
        {"{'valid_rows': 60000}",
         "batch_size: 60 is more than the 0 rows trained on"},
        {"{'train_rows': 59}",
         "batch_size: 60 is more than the 59 rows trained on"},
        {"{'widths': '784x10', 'test_rows': 20000, 'train_rows': 5}",
         "widths: needs \"tower\": true\n"
         "test_rows: 20000, but MNIST has 10000 test rows\n"
         "batch_size: 60 is more than the 5 rows trained on"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_check(cases[i].json, &shape, cases[i].lines);
    struct dataset_shape narrow = shape;
    narrow.width = 9;
    assert_check("{}", &narrow,
                 "dataset: MNIST has 9 pixels a row, too few for 10 classes");
    assert_check("{'tower': true}", &narrow,
                 "widths: 784x500x200x10 begins with 784, but MNIST has 9 "
                 "pixels a row");
}

static void canonical_forgets_what_has_no_effect(void **state)
{
    (void)state;
    static const struct {
        const char *json, *same;
    } cases[] = {
        {"{'gamma': 0.1}", "{}"},
        {"{'gamma': 0.1, 'algorithm': 'TP'}", "{'algorithm': 'TP'}"},
        {"{'gamma': 0.1, 'algorithm': 'GAIT'}",
         "{'gamma': 0.1, 'algorithm': 'GAIT'}"},
        {"{'gamma': 0.1, 'algorithm': 'GAIT', 'linear': true}",
         "{'algorithm': 'GAIT', 'linear': true}"},
        {"{'gait_form': 'published', 'algorithm': 'ITP'}",
         "{'algorithm': 'ITP'}"},
        {"{'gait_form': 'published', 'algorithm': 'GAIT'}",
         "{'gait_form': 'published', 'algorithm': 'GAIT'}"},
        /* There gamma decides rounding. */
        {"{'gamma': 0.1, 'algorithm': 'GAIT', 'linear': true,"
         " 'gait_form': 'published'}",
         "{'gamma': 0.1, 'algorithm': 'GAIT', 'linear': true,"
         " 'gait_form': 'published'}"},
        {"{'orthogonal_form': 'full'}", "{}"},
        {"{'tf32': true}", "{'tf32': true}"},
        {"{'tf32': true, 'precision': 'float64'}", "{'precision': 'float64'}"},
        {"{'tf32': true, 'device': 'cpu'}", "{'device': 'cpu'}"},
        {"{'orthogonal_form': 'full', 'orthogonal_reg': 0.1}",
         "{'orthogonal_form': 'full', 'orthogonal_reg': 0.1}"},
        {"{'tower': true, 'nb_layers': 4}", "{'tower': true}"},
        {"{'nb_layers': 4}", "{'nb_layers': 4}"},
        {"{'tower': true, 'widths': '784x500x200x10'}", "{'tower': true}"},
        {"{'tower': true, 'widths': '784x10'}",
         "{'tower': true, 'widths': '784x10'}"},
        {"{'orthogonal_init': true}", "{}"},
        {"{'orthogonal_init': true, 'orthogonal_reg': 0.1}",
         "{'orthogonal_init': true, 'orthogonal_reg': 0.1}"},
        {"{'eval_offset': 1}", "{}"},
        {"{'eval_offset': 1, 'eval_every': 10}",
         "{'eval_offset': 1, 'eval_every': 10}"},
        {"{'train_rows': 60000, 'test_rows': 10000}", "{}"},
        {"{'train_rows': 50000, 'valid_rows': 10000}", "{'valid_rows': 10000}"},
        {"{'train_rows': 50000}", "{'train_rows': 50000}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct settings a, b;
        struct faults faults;
        faults_init(&faults);
        cJSON *from = json(cases[i].json), *to = json(cases[i].same);
        settings_read(from, &a, &faults);
        settings_read(to, &b, &faults);
        settings_canonical(&a, &shape);
        for (int s = 0; s < setting_count; s++)
            if (!setting_equal(&setting_table[s], &a, &b))
                fail_msg("%s: %s differs", cases[i].json,
                         setting_table[s].name);
        cJSON_Delete(from);
        cJSON_Delete(to);
    }
}

static void what_is_shown_is_what_took_effect(void **state)
{
    (void)state;
    static const struct {
        const char *json, *name, *shown;
    } cases[] = {
        {"{'gamma': 0.1}", "gamma", "null"},
        {"{'gamma': 0.1, 'algorithm': 'GAIT'}", "gamma", "0.1"},
        {"{'algorithm': 'GAIT', 'linear': true}", "gamma", "null"},
        {"{'algorithm': 'ITP'}", "gait_form", "null"},
        {"{'tower': true}", "nb_layers", "null"},
        {"{'nb_layers': 4}", "nb_layers", "4"},
        {"{'tower': true}", "widths", "\"none\""},
        {"{}", "widths", "\"none\""},
        {"{}", "orthogonal_init", "true"},
        {"{'orthogonal_reg': 0.1}", "orthogonal_init", "false"},
        {"{'orthogonal_form': 'full'}", "orthogonal_form", "null"},
        {"{'orthogonal_reg': 0.1}", "orthogonal_form", "\"offdiagonal\""},
        {"{'eval_offset': 1}", "eval_offset", "null"},
        {"{'eval_every': 2}", "eval_offset", "0"},
    };
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        struct settings settings;
        struct faults faults;
        faults_init(&faults);
        cJSON *object = json(cases[i / 2].json);
        settings_read(object, &settings, &faults);
        if (i % 2) /* as it is stored */
            settings_canonical(&settings, &shape);
        settings_effective(&settings);
        cJSON *shown = setting_show(setting_find(cases[i / 2].name), &settings);
        char *text = cJSON_PrintUnformatted(shown);
        assert_string_equal(text, cases[i / 2].shown);
        free(text);
        cJSON_Delete(shown);
        cJSON_Delete(object);
    }
}

static void weights_start_as_published(void **state)
{
    (void)state;
    struct settings settings;
    settings_init(&settings);
    assert_true(settings_is_orthogonal(&settings));
    settings.orthogonal_reg = 0.1;
    assert_false(settings_is_orthogonal(&settings));
    settings.orthogonal_init = true;
    assert_true(settings_is_orthogonal(&settings));
}

static void rows_are_resolved(void **state)
{
    (void)state;
    struct settings settings;
    settings_init(&settings);
    assert_int_equal(settings_train_rows(&settings, &shape), 60000);
    assert_int_equal(settings_test_rows(&settings, &shape), 10000);
    settings.valid_rows = 10000;
    assert_int_equal(settings_train_rows(&settings, &shape), 50000);
    settings.train_rows = 600;
    settings.test_rows = 100;
    assert_int_equal(settings_train_rows(&settings, &shape), 600);
    assert_int_equal(settings_test_rows(&settings, &shape), 100);
    int widths[LAYERS_MAX];
    settings.nb_layers = 64;
    assert_int_equal(settings_widths(&settings, 12, widths), 65);
    assert_int_equal(widths[64], 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_whole),
        cmocka_unit_test(defaults_are_these),
        cmocka_unit_test(refuses_with_a_sentence),
        cmocka_unit_test(widths_have_a_limit),
        cmocka_unit_test(accepts_every_spelling),
        cmocka_unit_test(reads_command_line_values),
        cmocka_unit_test(checks_settings_against_the_data),
        cmocka_unit_test(canonical_forgets_what_has_no_effect),
        cmocka_unit_test(what_is_shown_is_what_took_effect),
        cmocka_unit_test(weights_start_as_published),
        cmocka_unit_test(rows_are_resolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
