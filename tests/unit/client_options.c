#include "client_fixture.h"

#include "client/options.h"

static const struct option own[] = {
    {"name", 0, OPTION_TEXT, "NAME", ""},
    {"dry-run", 0, OPTION_BOOLEAN, NULL, ""},
    {"limit", 'n', OPTION_INTEGER, "N", ""},
    {"timeout", 0, OPTION_SECONDS, "S", ""},
    {"max_running", 0, OPTION_TEXT, "N", ""},
};
static const struct option shared[] = {
    {"output", 'o', OPTION_TEXT, "FORMAT", ""},
    {"help", 'h', OPTION_BOOLEAN, NULL, ""},
};
static const struct option_table own_table = OPTION_TABLE(own);
static const struct option_table shared_table = OPTION_TABLE(shared);

static int count_of(char **arguments)
{
    int count = 0;
    while (arguments[count] != NULL)
        count++;
    return count;
}

static bool read(struct options *options, char **arguments, struct error *error)
{
    return options_init(options, &own_table, &shared_table, true,
                        count_of(arguments), arguments, error);
}

#define READ(options, error, ...)                                              \
    read(options, (char *[]){__VA_ARGS__, NULL}, error)

static void expect_refusal(char **arguments, const char *text)
{
    struct options options;
    struct error error = {0};
    assert_false(read(&options, arguments, &error));
    assert_int_equal(error.code, ERROR_PARAMS);
    assert_string_equal(error.text, text);
    options_release(&options);
}

#define REFUSED(text, ...) expect_refusal((char *[]){__VA_ARGS__, NULL}, text)

static const char *setting(const struct options *options, const char *name)
{
    for (int i = 0; i < options->setting_count; i++)
        if (strcmp(options->settings[i].setting->name, name) == 0)
            return options->settings[i].text;
    return NULL;
}

static void test_values(void **state)
{
    (void)state;
    struct options o;
    struct error error;
    assert_true(READ(&o, &error, "--name=a=b", "-n", "5", "--timeout", "1.5",
                     "-ojson", "last"));
    assert_string_equal(options_text(&o, "name"), "a=b");
    assert_int_equal(options_integer(&o, "limit", 7), 5);
    assert_true(options_real(&o, "timeout", 0) == 1.5);
    assert_string_equal(options_text(&o, "output"), "json");
    assert_false(options_is(&o, "dry-run"));
    assert_int_equal(o.word_count, 1);
    assert_string_equal(o.words[0], "last");
    options_release(&o);
}

static void test_defaults(void **state)
{
    (void)state;
    struct options o;
    struct error error;
    assert_true(READ(&o, &error, "word"));
    assert_null(options_text(&o, "name"));
    assert_int_equal(options_integer(&o, "limit", 7), 7);
    assert_true(options_real(&o, "timeout", -1) == -1);
    options_release(&o);
}

static void test_booleans_swallow_nothing(void **state)
{
    (void)state;
    struct options o;
    struct error error;
    assert_true(READ(&o, &error, "--tower", "spec.json", "--dry-run",
                     "--no-linear", "--orthogonal_init=false"));
    assert_string_equal(setting(&o, "tower"), "true");
    assert_string_equal(setting(&o, "linear"), "false");
    assert_string_equal(setting(&o, "orthogonal_init"), "false");
    assert_true(options_is(&o, "dry-run"));
    assert_int_equal(o.word_count, 1);
    assert_string_equal(o.words[0], "spec.json");
    options_release(&o);
}

static void test_dashes_are_underscores(void **state)
{
    (void)state;
    struct options o;
    struct error error;
    assert_true(
        READ(&o, &error, "--learning-rate=1e-4", "--dry_run", "--no_tower"));
    assert_string_equal(setting(&o, "learning_rate"), "1e-4");
    assert_string_equal(setting(&o, "tower"), "false");
    assert_true(options_is(&o, "dry-run"));
    options_release(&o);
}

static void test_times_are_durations_too(void **state)
{
    (void)state;
    struct options o;
    struct error error;
    assert_true(READ(&o, &error, "--timeout", "1h30m"));
    assert_true(options_real(&o, "timeout", 0) == 5400);
    options_release(&o);
}

static void test_last_of_two_counts(void **state)
{
    (void)state;
    struct options o;
    struct error error;
    assert_true(
        READ(&o, &error, "--seed=1", "--seed", "2", "--name=a", "--name=b"));
    assert_int_equal(o.setting_count, 1);
    assert_string_equal(setting(&o, "seed"), "2");
    assert_string_equal(options_text(&o, "name"), "b");
    options_release(&o);
}

static void test_words_after_two_dashes(void **state)
{
    (void)state;
    struct options o;
    struct error error;
    assert_true(READ(&o, &error, "-", "--", "--tower", "-x"));
    assert_int_equal(o.setting_count, 0);
    assert_int_equal(o.word_count, 3);
    assert_string_equal(o.words[0], "-");
    assert_string_equal(o.words[1], "--tower");
    assert_string_equal(o.words[2], "-x");
    options_release(&o);
}

static void test_published_lines(void **state)
{
    (void)state;
    struct options o;
    struct error error;
    assert_true(READ(&o, &error, "--algorithm=TP", "--linear",
                     "--learning_rate=0.00001", "--orthogonal_init",
                     "--orthogonal_reg=1000.0", "--nb_layers=4",
                     "--nb_epochs=100", "--tower", "--device=0"));
    assert_int_equal(o.setting_count, 9);
    assert_int_equal(o.word_count, 0);
    assert_string_equal(setting(&o, "orthogonal_reg"), "1000.0");
    assert_string_equal(setting(&o, "device"), "0");
    options_release(&o);
}

static void test_refusals(void **state)
{
    (void)state;
    REFUSED("\"--learning_rte\": unknown flag, did you mean "
            "\"--learning_rate\"?",
            "--learning_rte=1");
    REFUSED("\"--dryrun\": unknown flag, did you mean \"--dry-run\"?",
            "--dryrun");
    REFUSED("\"--xyzzy\": unknown flag", "--xyzzy");
    REFUSED("\"-x\": unknown flag", "-x");
    REFUSED("\"-hx\": unknown flag", "-hx");
    REFUSED("\"--no-seed\": unknown flag", "--no-seed");
    REFUSED("\"--name\" needs a value", "--name");
    REFUSED("\"--name\" needs a value", "--name", "--tower");
    REFUSED("\"--no-tower\" takes no value", "--no-tower=true");
    REFUSED("--dry-run: \"yes\" is not true or false", "--dry-run=yes");
    REFUSED("--limit: \"-1\" is not a whole number", "--limit=-1");
    REFUSED("--limit: \"\" is not a whole number", "--limit=");
    REFUSED("\"--max_runing\": unknown flag, did you mean \"--max-running\"?",
            "--max_runing=2");
    REFUSED("--timeout: \"1w\" is not a time: expected seconds, or a duration "
            "(30m, 2h, 3d)",
            "--timeout=1w");
    REFUSED("--timeout: \"nan\" is not a time: expected seconds, or a duration "
            "(30m, 2h, 3d)",
            "--timeout=nan");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_booleans_swallow_nothing),
        cmocka_unit_test(test_dashes_are_underscores),
        cmocka_unit_test(test_times_are_durations_too),
        cmocka_unit_test(test_last_of_two_counts),
        cmocka_unit_test(test_words_after_two_dashes),
        cmocka_unit_test(test_published_lines),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("client_options", tests, NULL, NULL);
}
