#include "client_fixture.h"

#include "client/grid.h"

static void expect(const char *name, const char *text, bool is_axis,
                   const char *json)
{
    struct error error = {0};
    bool found = !is_axis;
    struct cJSON *value = grid_read(setting_find(name), text, &found, &error);
    if (value == NULL)
        fail_msg("%s=%s: %s", name, text, error.text);
    assert_int_equal(found, is_axis);
    assert_json(value, json);
}

static void refuse(const char *name, const char *text, const char *message)
{
    struct error error = {0};
    bool is_axis;
    assert_null(grid_read(setting_find(name), text, &is_axis, &error));
    assert_int_equal(error.code, ERROR_PARAMS);
    assert_string_equal(error.text, message);
}

static void test_single_values(void **state)
{
    (void)state;
    expect("algorithm", "GAIT", false, "\"GAIT\"");
    expect("learning_rate", "1e-4", false, "0.0001");
    expect("tower", "true", false, "true");
    expect("train_rows", "all", false, "\"all\"");
    expect("widths", "784x500x200x10", false, "\"784x500x200x10\"");
    expect("dataset", "my..data", false, "\"my..data\"");
    expect("seed", "three", false, "\"three\"");
}

static void test_lists(void **state)
{
    (void)state;
    expect("algorithm", "BP,GAIT", true, "[\"BP\",\"GAIT\"]");
    expect("seed", "3,1", true, "[3,1]");
    expect("tower", "true,false", true, "[true,false]");
    expect("widths", "784x10,784x500x10", true, "[\"784x10\",\"784x500x10\"]");
}

static void test_ranges(void **state)
{
    (void)state;
    expect("seed", "1..5", true, "{\"from\":1,\"to\":5}");
    expect("seed", "1..401:100", true, "{\"from\":1,\"to\":401,\"step\":100}");
    expect("learning_rate", "1e-5..1e-3:log:5", true,
           "{\"from\":1e-05,\"to\":0.001,\"steps\":5,\"scale\":\"log\"}");
    expect("orthogonal_reg", "0..1:linear:11", true,
           "{\"from\":0,\"to\":1,\"steps\":11,\"scale\":\"linear\"}");
    expect("orthogonal_reg", "-1..1", true, "{\"from\":-1,\"to\":1}");
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("seed", "1,,2", "--seed: \"1,,2\" has an empty item");
    refuse("seed", "1,", "--seed: \"1,\" has an empty item");
    refuse("seed", "", "--seed: \"\" is no value");
    refuse("seed", "1,3..5",
           "--seed: \"1,3..5\" mixes a list and a range: use one of them");
    refuse("seed", "1..", "--seed: \"1..\" is not a range of numbers");
    refuse("seed", "1..five", "--seed: \"1..five\" is not a range of numbers");
    refuse("seed", "1..5:0",
           "--seed: \"1..5:0\" is not a range such as 1..5 or 1..401:100");
    refuse("learning_rate", "1e-5..1e-3",
           "--learning_rate: \"1e-5..1e-3\" needs a number of steps, such as "
           "1e-5..1e-3:log:5");
    refuse("learning_rate", "1e-5..1e-3:cubic:5",
           "--learning_rate: \"1e-5..1e-3:cubic:5\" is not a range such as "
           "1e-5..1e-3:log:5 or 0..1:linear:11");
    refuse("learning_rate", "1e-5..1e-3:log:2.5",
           "--learning_rate: \"1e-5..1e-3:log:2.5\" is not a range such as "
           "1e-5..1e-3:log:5 or 0..1:linear:11");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_values),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("client_grid", tests, NULL, NULL);
}
