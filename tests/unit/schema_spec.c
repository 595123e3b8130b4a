#include "schema_fixture.h"

#include "schema/spec.h"

/* The settings of one job that differ from `base`, as "seed=1 tower=true". */
static void describe(const struct spec *spec, int64_t position, char *text,
                     size_t bytes)
{
    struct settings job, defaults;
    settings_init(&defaults);
    spec_job(spec, position, &job);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < setting_count; i++) {
        if (setting_equal(&setting_table[i], &job, &defaults))
            continue;
        char value[SETTING_TEXT_BYTES];
        setting_print(&setting_table[i], &job, value, sizeof value);
        used += (size_t)snprintf(text + used, bytes - used, "%s%s=%s",
                                 used ? " " : "", setting_table[i].name, value);
    }
}

/* All jobs, one to a line; the varying settings as a last line. */
static void assert_jobs(const char *spec_json, const char *expected)
{
    struct spec spec;
    struct faults faults;
    faults_init(&faults);
    cJSON *object = json(spec_json);
    bool is_good = spec_init(&spec, object, &faults);
    cJSON_Delete(object);
    assert_faults(&faults, "");
    assert_true(is_good);
    char text[8192] = "", job[1024];
    size_t used = 0;
    for (int64_t p = 0; p < spec.job_count; p++) {
        describe(&spec, p, job, sizeof job);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\n", job);
    }
    used += (size_t)snprintf(text + used, sizeof text - used, "varies:");
    for (int i = 0; i < setting_count; i++)
        if (spec_varies(&spec, &setting_table[i]))
            used += (size_t)snprintf(text + used, sizeof text - used, " %s",
                                     setting_table[i].name);
    assert_string_equal(text, expected);
    spec_release(&spec);
}

static void one_job(void **state)
{
    (void)state;
    assert_jobs("{}", "\nvaries:");
    assert_jobs("{'name': 'x', 'algorithm': 'GAIT', 'nb_epochs': 3}",
                "algorithm=GAIT nb_epochs=3\nvaries:");
    assert_jobs("{'base': {'seed': 2}}", "seed=2\nvaries:");
    assert_jobs("{'axes': {}}", "\nvaries:");
}

static void last_axis_is_fastest(void **state)
{
    (void)state;
    assert_jobs("{'name': 'grid', 'base': {'nb_epochs': 3, 'seed': 9},"
                " 'axes': {'algorithm': ['BP', 'TP'],"
                "          'seed': {'from': 2, 'to': 4}}}",
                "seed=2 nb_epochs=3\nseed=3 nb_epochs=3\nseed=4 nb_epochs=3\n"
                "algorithm=TP seed=2 nb_epochs=3\n"
                "algorithm=TP seed=3 nb_epochs=3\n"
                "algorithm=TP seed=4 nb_epochs=3\n"
                "varies: algorithm seed");
}

static void points_cross_axes(void **state)
{
    (void)state;
    assert_jobs("{'base': {'nb_layers': 4, 'learning_rate': 0.5},"
                " 'points': [{'algorithm': 'BP'}, {'algorithm': 'GAIT',"
                "             'learning_rate': 0.25}, {}],"
                " 'axes': {'seed': [7, 8], 'linear': [true]}}",
                "nb_layers=4 linear=true learning_rate=0.5 seed=7\n"
                "nb_layers=4 linear=true learning_rate=0.5 seed=8\n"
                "algorithm=GAIT nb_layers=4 linear=true learning_rate=0.25 "
                "seed=7\n"
                "algorithm=GAIT nb_layers=4 linear=true learning_rate=0.25 "
                "seed=8\n"
                "nb_layers=4 linear=true learning_rate=0.5 seed=7\n"
                "nb_layers=4 linear=true learning_rate=0.5 seed=8\n"
                "varies: algorithm learning_rate seed");
}

static void ranges_have_both_ends(void **state)
{
    (void)state;
    assert_jobs("{'axes': {'seed': {'from': 1, 'to': 401, 'step': 100}}}",
                "\nseed=101\nseed=201\nseed=301\nseed=401\nvaries: seed");
    assert_jobs("{'axes': {'seed': {'from': 2, 'to': 6, 'step': 3}}}",
                "seed=2\nseed=5\nvaries: seed");
    assert_jobs("{'axes': {'seed': {'from': 5, 'to': 5}}}", "seed=5\nvaries:");
    assert_jobs("{'axes': {'learning_rate': {'from': 1e-5, 'to': 1e-3,"
                " 'steps': 5, 'scale': 'log'}}}",
                "learning_rate=1e-05\nlearning_rate=3.16227766016838e-05\n\n"
                "learning_rate=0.000316227766016838\nlearning_rate=0.001\n"
                "varies: learning_rate");
    assert_jobs("{'axes': {'orthogonal_reg': {'from': 0, 'to': 1,"
                " 'steps': 11}}}",
                "\northogonal_reg=0.1\northogonal_reg=0.2\northogonal_reg=0.3\n"
                "orthogonal_reg=0.4\northogonal_reg=0.5\northogonal_reg=0.6\n"
                "orthogonal_reg=0.7\northogonal_reg=0.8\northogonal_reg=0.9\n"
                "orthogonal_reg=1\nvaries: orthogonal_reg");
    assert_jobs("{'axes': {'batch_size': {'from': 1, 'to': 1000, 'steps': 4,"
                " 'scale': 'log'}}}",
                "batch_size=1\nbatch_size=10\nbatch_size=100\n"
                "batch_size=1000\nvaries: batch_size");
    assert_jobs("{'axes': {'gamma': {'from': 0.1,"
                " 'to': 0.30000000000000004, 'steps': 3}}}",
                "gamma=0.1\ngamma=0.2\ngamma=0.30000000000000004\n"
                "varies: gamma");
    assert_jobs("{'axes': {'gamma': {'from': 0.5, 'to': 0.5, 'steps': 1}}}",
                "gamma=0.5\nvaries:");
}

/* Decimal powers stay what people write, over every decade there is. */
static void log_steps_are_clean(void **state)
{
    (void)state;
    struct spec spec;
    struct faults faults;
    faults_init(&faults);
    cJSON *object = json("{'axes': {'learning_rate': {'from': 1e-300,"
                         " 'to': 1e6, 'steps': 307, 'scale': 'log'}}}");
    assert_true(spec_init(&spec, object, &faults));
    cJSON_Delete(object);
    for (int i = 0; i < 307; i++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", i - 300);
        struct settings job;
        spec_job(&spec, i, &job);
        if (job.learning_rate != strtod(text, NULL))
            fail_msg("%s became %.17g", text, job.learning_rate);
    }
    spec_release(&spec);
}

static void axes_of_texts_and_booleans(void **state)
{
    (void)state;
    assert_jobs("{'axes': {'dataset': ['FMNIST', 'KMNIST'],"
                " 'tower': [true, false], 'device': [0]}}",
                "dataset=FMNIST tower=true device=0\n"
                "dataset=FMNIST device=0\n"
                "dataset=KMNIST tower=true device=0\n"
                "dataset=KMNIST device=0\nvaries: dataset tower");
}

static void refuses_with_every_fault(void **state)
{
    (void)state;
    static const struct {
        const char *json, *lines;
    } cases[] = {
        {"{'learning_rte': 1}",
         "learning_rte: unknown setting, did you mean \"learning_rate\"?"},
        {"{'point': [{}]}", "point: unknown setting, did you mean \"points\"?"},
        {"{'momentum': 1, 'seed': -1}",
         "momentum: unknown setting\nseed: -1 is below 0"},
        {"{'base': {}, 'point': [{}]}",
         "point: unknown member, did you mean \"points\"?"},
        {"{'base': {}, 'seed': 3, 'comment': ''}",
         "seed: a sweep's settings are in \"base\": move it there\n"
         "comment: unknown member: a sweep has name, base, points, axes"},
        {"{'base': [], 'points': {}, 'axes': 1}",
         "base: expected an object of settings\n"
         "points: expected a list of objects\n"
         "axes: expected an object of lists and ranges"},
        {"{'base': {'batch_size': 0, 'x': 1}}",
         "base.batch_size: 0 is below 1\nbase.x: unknown setting"},
        {"{'points': []}", "points: a list without points"},
        {"{'points': [{}, 3, {'tower': 'yes'}]}",
         "points[1]: expected an object of settings\n"
         "points[2].tower: \"yes\" is not true or false"},
        {"{'points': [{}, {'seed': 1}, {'seed': 2}], 'axes': {'seed': [1]}}",
         "seed: both in points[1] and an axis"},
        {"{'axes': {'sede': [1]}}",
         "axes.sede: unknown setting, did you mean \"seed\"?"},
        {"{'axes': {'momentum': [1]}}", "axes.momentum: unknown setting"},
        {"{'axes': {'seed': []}}", "axes.seed: an axis without values"},
        {"{'axes': {'seed': 3}}",
         "axes.seed: expected a list of values or a range"},
        {"{'axes': {'algorithm': 'BP'}}",
         "axes.algorithm: expected a list of values"},
        {"{'axes': {'algorithm': {'from': 1, 'to': 2}}}",
         "axes.algorithm: a range is for numbers, expected a list of values"},
        {"{'axes': {'seed': [101, 1, 101, 101]}}",
         "axes.seed: value 101 twice"},
        {"{'axes': {'algorithm': ['BP', 'GAIT', 'BP']}}",
         "axes.algorithm: value \"BP\" twice"},
        {"{'axes': {'train_rows': ['all', 0]}}",
         "axes.train_rows: value 0 twice"},
        {"{'axes': {'device': [0, '00']}}", "axes.device: value \"0\" twice"},
        {"{'axes': {'tower': [true, true]}}", "axes.tower: value true twice"},
        {"{'axes': {'learning_rate': [0, -0]}}",
         "axes.learning_rate: value 0 twice"},
        {"{'axes': {'seed': [1, 'x', -1, 2.5]}}",
         "axes.seed: \"x\" is not a whole number\n"
         "axes.seed: -1 is below 0\naxes.seed: 2.5 is not a whole number"},
        {"{'axes': {'seed': {}}}",
         "axes.seed.from: missing: a range has \"from\" and \"to\"\n"
         "axes.seed.to: missing: a range has \"from\" and \"to\""},
        {"{'axes': {'seed': {'from': '1', 'to': 2}}}",
         "axes.seed.from: not a number"},
        {"{'axes': {'seed': {'from': 3, 'to': 2}}}",
         "axes.seed: \"from\" is above \"to\""},
        {"{'axes': {'seed': {'from': 1.5, 'to': 2}}}",
         "axes.seed: 1.5 is not a whole number"},
        {"{'axes': {'seed': {'from': 1, 'to': 1e12}}}",
         "axes.seed: 1000000000000 is above 4294967230"},
        {"{'axes': {'seed': {'from': 1, 'to': 2, 'step': 0}}}",
         "axes.seed.step: 0 is not a whole number of at least 1"},
        {"{'axes': {'seed': {'from': 1, 'to': 2, 'step': 0.5}}}",
         "axes.seed.step: 0.5 is not a whole number of at least 1"},
        {"{'axes': {'seed': {'from': 1, 'to': 3, 'step': 1, 'steps': 3}}}",
         "axes.seed: has both \"step\" and \"steps\""},
        {"{'axes': {'seed': {'from': 1, 'to': 3, 'stpe': 1}}}",
         "axes.seed.stpe: unknown member, did you mean \"step\"?"},
        {"{'axes': {'seed': {'from': 1, 'to': 3, 'unit': 1}}}",
         "axes.seed.unit: unknown member: a range has from, to, step, or "
         "from, to, steps, scale"},
        {"{'axes': {'seed': {'from': 1, 'to': 3, 'scale': 'log'}}}",
         "axes.seed.scale: needs \"steps\""},
        {"{'axes': {'seed': {'from': 1, 'to': 3, 'steps': 3,"
         " 'scale': 'square'}}}",
         "axes.seed.scale: expected \"log\" or \"linear\""},
        {"{'axes': {'seed': {'from': 1, 'to': 4, 'steps': 3}}}",
         "axes.seed: 2.5 is not a whole number"},
        {"{'axes': {'learning_rate': {'from': 0.1, 'to': 1}}}",
         "axes.learning_rate: a range of numbers that need not be whole has "
         "\"steps\""},
        {"{'axes': {'learning_rate': {'from': 0, 'to': 1, 'steps': 3,"
         " 'scale': 'log'}}}",
         "axes.learning_rate.from: a log scale begins above 0"},
        {"{'axes': {'learning_rate': {'from': 0.1, 'to': 1, 'steps': 1}}}",
         "axes.learning_rate.steps: 1 is not enough for both ends"},
        {"{'axes': {'learning_rate': {'from': 1, 'to': 1, 'steps': 2}}}",
         "axes.learning_rate.steps: more than 1 from a number to itself"},
        {"{'axes': {'learning_rate': {'from': 1, 'to': 1.0000000000000002,"
         " 'steps': 4}}}",
         "axes.learning_rate: value 1 twice"},
        {"{'axes': {'seed': {'from': 1, 'to': 100001}}}",
         "axes.seed: 100001 values, and an axis has at most 100000"},
        {"{'axes': {'learning_rate': {'from': 0, 'to': 1, 'steps': 1e300}}}",
         "axes.learning_rate: 1e+300 values, and an axis has at most 100000"},
        {"{'axes': {'seed': {'from': 1, 'to': 1001},"
         " 'batch_size': {'from': 1, 'to': 1000}}}",
         "spec: 1001000 jobs, and a sweep has at most 1000000"},
        {"{'axes': {'seed': {'from': 1, 'to': 100000},"
         " 'batch_size': {'from': 1, 'to': 100000},"
         " 'train_rows': {'from': 1, 'to': 100000},"
         " 'test_rows': {'from': 1, 'to': 100000}}}",
         "spec: over 9e18 jobs, and a sweep has at most 1000000"},
        {"{'name': 7}", "name: not text"},
        {"{'name': 'last', 'nb_epochs': 'x', 'base': {'seed': 'y'},"
         " 'axes': {'tower': ['z']}}",
         "name: \"last\" is not a name: it reads as an id\n"
         "nb_epochs: a sweep's settings are in \"base\": move it there\n"
         "base.seed: \"y\" is not a whole number\n"
         "axes.tower: \"z\" is not true or false"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct spec spec;
        struct faults faults;
        faults_init(&faults);
        cJSON *object = json(cases[i].json);
        assert_false(spec_init(&spec, object, &faults));
        assert_faults(&faults, cases[i].lines);
        cJSON_Delete(object);
        spec_release(&spec);
    }
    cJSON *list = cJSON_CreateArray();
    struct spec spec;
    struct faults faults;
    faults_init(&faults);
    assert_false(spec_init(&spec, list, &faults));
    assert_faults(&faults, "spec: expected an object");
    spec_release(&spec);
    cJSON_Delete(list);
}

static void names_are_not_ids(void **state)
{
    (void)state;
    static const char *const good[] = {
        "x",       "grid-1",   "2024.05", "v1..2", "12a", "sweep-x", "sweep",
        ".hidden", "sweep-4b", "_",       "LAST",  "1..", "1..b",
    };
    static const char *const bad[] = {
        "",    "12",  "3..5", "sweep-4",  "last",
        "a b", "a/b", "-o",   "\xc3\xa9", "a\nb",
    };
    struct error error;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!spec_name_check(good[i], &error))
            fail_msg("%s: %s", good[i], error.text);
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (spec_name_check(bad[i], &error))
            fail_msg("\"%s\" accepted", bad[i]);
        assert_int_equal(error.code, ERROR_SPEC);
    }
    char name[SPEC_NAME_BYTES + 1];
    memset(name, 'x', sizeof name);
    name[SPEC_NAME_BYTES] = '\0';
    assert_false(spec_name_check(name, &error));
    assert_string_equal(error.text, "a name has 1 to 127 bytes, and this one "
                                    "128");
    name[SPEC_NAME_BYTES - 1] = '\0';
    assert_true(spec_name_check(name, &error));
}

static void largest_sweep_is_allowed(void **state)
{
    (void)state;
    struct spec spec;
    struct faults faults;
    faults_init(&faults);
    cJSON *object = json("{'axes': {'seed': {'from': 1, 'to': 1000},"
                         " 'batch_size': {'from': 1, 'to': 1000}}}");
    assert_true(spec_init(&spec, object, &faults));
    cJSON_Delete(object);
    assert_int_equal(spec.job_count, SPEC_JOBS_MAX);
    struct settings job;
    spec_job(&spec, 999999, &job);
    assert_int_equal(job.seed, 1000);
    assert_int_equal(job.batch_size, 1000);
    spec_job(&spec, 123456, &job);
    assert_int_equal(job.seed, 124);
    assert_int_equal(job.batch_size, 457);
    spec_release(&spec);
}

static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}

static const char *pick(const char *const *words, size_t count, uint64_t *seed)
{
    return words[draw(seed) % count];
}

/* Some value, mostly of a kind that a spec could hold. */
static cJSON *random_value(int depth, uint64_t *seed)
{
    static const char *const names[] = {
        "from", "to",         "step",      "steps", "scale",         "seed",
        "base", "batch_size", "nb_layers", "tower", "learning_rate", "x",
    };
    static const char *const texts[] = {"log", "linear", "784x10", "all", "TP"};
    static const double numbers[] = {0, 1, 2, 3, 7, 0.5, -1, 1e5, 1e300, 1e-3};
    cJSON *value;
    switch (draw(seed) % (depth ? 7 : 4)) {
    case 0:
        return cJSON_CreateBool(draw(seed) % 2);
    case 1:
        return cJSON_CreateString(pick(texts, COUNT(texts), seed));
    case 2:
    case 3:
        return cJSON_CreateNumber(numbers[draw(seed) % COUNT(numbers)]);
    case 4:
        value = cJSON_CreateArray();
        for (uint64_t n = draw(seed) % 4; n; n--)
            cJSON_AddItemToArray(value, random_value(depth - 1, seed));
        return value;
    default:
        value = cJSON_CreateObject();
        for (uint64_t n = draw(seed) % 5; n; n--)
            cJSON_AddItemToObject(value, pick(names, COUNT(names), seed),
                                  random_value(depth - 1, seed));
        return value;
    }
}

/* Specs put together at random are refused with a fault, or expand. */
static void survives_nonsense(void **state)
{
    (void)state;
    static const char *const members[] = {"base", "axes", "points", "name",
                                          "seed"};
    uint64_t seed = 271828182845904523;
    int accepted = 0;
    for (int round = 0; round < 100000; round++) {
        cJSON *object = cJSON_CreateObject();
        for (uint64_t n = draw(&seed) % 3 + 1; n; n--)
            cJSON_AddItemToObject(object, pick(members, COUNT(members), &seed),
                                  random_value(3, &seed));
        struct spec spec;
        struct faults faults;
        faults_init(&faults);
        bool is_good = spec_init(&spec, object, &faults);
        assert_int_equal(is_good, !faults.count);
        cJSON_Delete(object);
        struct settings job;
        if (is_good) {
            spec_job(&spec, 0, &job);
            spec_job(&spec, spec.job_count - 1, &job);
        }
        accepted += is_good;
        spec_release(&spec);
    }
    if (accepted < 1000)
        fail_msg("only %d were good", accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_job),
        cmocka_unit_test(last_axis_is_fastest),
        cmocka_unit_test(points_cross_axes),
        cmocka_unit_test(ranges_have_both_ends),
        cmocka_unit_test(log_steps_are_clean),
        cmocka_unit_test(axes_of_texts_and_booleans),
        cmocka_unit_test(refuses_with_every_fault),
        cmocka_unit_test(names_are_not_ids),
        cmocka_unit_test(largest_sweep_is_allowed),
        cmocka_unit_test(survives_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
