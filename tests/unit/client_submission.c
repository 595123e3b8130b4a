#include "client_fixture.h"

#include "client/submission.h"

/* `flags`: name, text, name, text, ..., NULL. */
static bool apply(struct cJSON *spec, const char *const *flags,
                  const char *name, struct error *error)
{
    struct option_setting settings[8];
    int count = 0;
    for (; flags[0] != NULL; flags += 2)
        settings[count++] =
            (struct option_setting){setting_find(flags[0]), flags[1]};
    return submission_apply(spec, settings, count, name, error);
}

#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect(const char *file, const char *const *flags, const char *name,
                   const char *expected)
{
    struct error error = {0};
    struct cJSON *spec = cJSON_Parse(file);
    if (!apply(spec, flags, name, &error))
        fail_msg("%s", error.text);
    assert_json(spec, expected);
}

static void test_flags_alone(void **state)
{
    (void)state;
    expect("{}", FLAGS("algorithm", "BP", "nb_epochs", "3"), NULL,
           "{\"algorithm\":\"BP\",\"nb_epochs\":3}");
    expect("{}", FLAGS("nb_epochs", "3", "algorithm", "BP,TP", "seed", "1..3"),
           "x",
           "{\"base\":{\"nb_epochs\":3},\"axes\":{\"algorithm\":[\"BP\","
           "\"TP\"],\"seed\":{\"from\":1,\"to\":3}},\"name\":\"x\"}");
}

static void test_flags_over_one_job(void **state)
{
    (void)state;
    expect("{\"name\":\"a\",\"seed\":1,\"tower\":true}", FLAGS("seed", "2"),
           NULL, "{\"name\":\"a\",\"seed\":2,\"tower\":true}");
    expect("{\"name\":\"a\",\"seed\":1,\"tower\":true}", FLAGS("seed", "2,3"),
           "b",
           "{\"name\":\"b\",\"base\":{\"seed\":1,\"tower\":true},"
           "\"axes\":{\"seed\":[2,3]}}");
}

static void test_flags_over_a_sweep(void **state)
{
    (void)state;
    const char *file = "{\"base\":{\"gamma\":0.1},"
                       "\"axes\":{\"seed\":[1,2],\"tower\":[true,false]}}";
    expect(file, FLAGS("gamma", "0.2"), NULL,
           "{\"base\":{\"gamma\":0.2},"
           "\"axes\":{\"seed\":[1,2],\"tower\":[true,false]}}");
    expect(file, FLAGS("seed", "7"), NULL,
           "{\"base\":{\"gamma\":0.1,\"seed\":7},"
           "\"axes\":{\"tower\":[true,false]}}");
    expect(file, FLAGS("seed", "7,8"), NULL,
           "{\"base\":{\"gamma\":0.1},"
           "\"axes\":{\"seed\":[7,8],\"tower\":[true,false]}}");
    expect("{\"points\":[{\"seed\":1}]}", FLAGS("gamma", "0.1"), NULL,
           "{\"points\":[{\"seed\":1}],\"base\":{\"gamma\":0.1}}");
}

static void test_points_are_not_replaced(void **state)
{
    (void)state;
    struct error error = {0};
    struct cJSON *spec =
        cJSON_Parse("{\"points\":[{\"seed\":1},{\"gamma\":0.1}]}");
    assert_false(apply(spec, FLAGS("gamma", "0.5"), NULL, &error));
    assert_int_equal(error.code, ERROR_PARAMS);
    assert_string_equal(error.text,
                        "--gamma: the points of the spec choose \"gamma\"; "
                        "change it there, or leave out the flag");
    cJSON_Delete(spec);
}

static void test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/client_submission_XXXXXX";
    struct error error = {0};
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs("{\n  \"seed\": 3\n}\n", file);
    fclose(file);
    struct cJSON *spec = submission_read(path, &error);
    assert_non_null(spec);
    assert_json(spec, "{\"seed\":3}");
    file = fopen(path, "w");
    fputs("{\"seed\": 3} x", file);
    fclose(file);
    assert_null(submission_read(path, &error));
    assert_int_equal(error.code, ERROR_PARSE);
    assert_non_null(strstr(error.text, path));
    remove(path);
    assert_null(submission_read(path, &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void test_request_ids_differ(void **state)
{
    (void)state;
    char a[REQUEST_ID_BYTES], b[REQUEST_ID_BYTES];
    struct error error;
    assert_true(submission_request_id(a, &error));
    assert_true(submission_request_id(b, &error));
    assert_int_equal(strlen(a), 36);
    assert_string_not_equal(a, b);
    assert_int_equal(a[14], '4');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_alone),
        cmocka_unit_test(test_flags_over_one_job),
        cmocka_unit_test(test_flags_over_a_sweep),
        cmocka_unit_test(test_points_are_not_replaced),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_request_ids_differ),
    };
    return cmocka_run_group_tests_name("client_submission", tests, NULL, NULL);
}
