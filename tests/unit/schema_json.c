#include "schema_fixture.h"

#include <float.h>
#include <math.h>

static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}

static void assert_bits(double a, double b)
{
    if (memcmp(&a, &b, sizeof a))
        fail_msg("%.17g (%a) became %.17g (%a)", a, a, b, b);
}

/* Through text and back. */
static double round_trip(double value)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToObject(object, "x", json_number(value));
    size_t length;
    char *text = message_print(object, &length);
    cJSON_Delete(object);
    struct error error = {0};
    object = message_parse(text, length, &error);
    if (!object)
        fail_msg("%s: %s", text, error.text);
    double back = 0;
    assert_true(json_get_real(object, "x", &back, &error));
    cJSON_Delete(object);
    free(text);
    return back;
}

static void numbers_keep_their_bits(void **state)
{
    (void)state;
    static const double hard[] = {
        0.1,
        0.3,
        1.0 / 3,
        5e-324,
        DBL_MIN,
        DBL_MAX,
        -DBL_MAX,
        9007199254740993.0,
        1e15,
        1e16,
        1e22,
        1e23,
        -0.0,
        0.0,
        123456789012345680.0,
        2.2250738585072011e-308,
        0.1 + 0.2,
        1e-4,
        4294967230,
    };
    for (size_t i = 0; i < COUNT(hard); i++)
        assert_bits(hard[i], round_trip(hard[i]));
    uint64_t seed = 88172645463325252;
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = draw(&seed);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            assert_bits(value, round_trip(value));
    }
}

static void numbers_print_short(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.1, "0.1"},
        {1e-4, "0.0001"},
        {1e-5, "1e-05"},
        {100, "100"},
        {-7, "-7"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e15, "1000000000000000"},
        {9007199254740992.0, "9007199254740992"},
        {1e17, "1e+17"},
        {-0.0, "-0.0"},
        {5e-324, "4.94065645841247e-324"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[JSON_NUMBER_BYTES];
        json_number_print(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
    /* Few digits, as printf writes them. */
    uint64_t seed = 88172645463325252;
    for (int i = 0; i < 100000; i++) {
        char text[JSON_NUMBER_BYTES], expected[JSON_NUMBER_BYTES];
        int64_t digits = (int64_t)(draw(&seed) >> 14) >> (draw(&seed) % 50);
        double value = (double)(digits - 1000) / pow(10, draw(&seed) % 12);
        json_number_print(value, text);
        snprintf(expected, sizeof expected, "%.15g", value);
        if (strtod(expected, NULL) == value && !strchr(expected, 'e') && value)
            assert_string_equal(text, expected);
        assert_bits(value, strtod(text, NULL));
    }
}

static void no_number_is_null(void **state)
{
    (void)state;
    assert_true(isnan(round_trip(NAN)));
    assert_true(isnan(round_trip(INFINITY)));
    cJSON *raw = cJSON_CreateNumber(NAN);
    size_t length;
    char *text = json_print(raw, &length);
    assert_string_equal(text, "null");
    free(text);
    cJSON_Delete(raw);
}

static void strings_are_always_utf8(void **state)
{
    (void)state;
    cJSON *item = cJSON_CreateString("a\xff\xc3(\xe2\x82\xac\xed\xa0\x80\xc3");
    size_t length;
    char *text = json_print(item, &length);
    assert_string_equal(text, "\"a\xef\xbf\xbd\xef\xbf\xbd(\xe2\x82\xac"
                              "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                              "\xef\xbf\xbd\"");
    assert_int_equal(length, strlen(text));
    free(text);
    cJSON_Delete(item);
}

static void raw_text_stays_on_one_line(void **state)
{
    (void)state;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddRawToObject(object, "spec", "{\n  \"seed\": 1\n}");
    size_t length;
    char *text = message_print(object, &length);
    assert_string_equal(text, "{\"spec\":{   \"seed\": 1 }}\n");
    free(text);
    cJSON_Delete(object);
}

static void members_have_types(void **state)
{
    (void)state;
    cJSON *object = json("{'t':'x','i':9007199254740992,'f':1.5,'b':true,"
                         "'n':null,'big':9007199254740994}");
    struct error error = {0};
    const char *text;
    int64_t integer;
    double real;
    assert_true(json_get_text(object, "t", &text, &error));
    assert_string_equal(text, "x");
    assert_true(json_get_integer(object, "i", &integer, &error));
    assert_int_equal(integer, INT64_C(9007199254740992));
    assert_true(json_get_real(object, "i", &real, &error));
    assert_true(json_get_real(object, "n", &real, &error));
    assert_true(isnan(real));

    static const struct {
        const char *name, *sentence;
    } integers[] = {
        {"big", "\"big\" is not a whole number"},
        {"f", "\"f\" is not a whole number"},
        {"t", "\"t\" is not a whole number"},
        {"n", "\"n\" is not a whole number"},
        {"I", "\"I\" is missing"},
    };
    for (size_t i = 0; i < COUNT(integers); i++) {
        assert_false(
            json_get_integer(object, integers[i].name, &integer, &error));
        assert_string_equal(error.text, integers[i].sentence);
        assert_int_equal(error.code, ERROR_PARAMS);
    }
    assert_false(json_get_text(object, "i", &text, &error));
    assert_string_equal(error.text, "\"i\" is not text");
    assert_false(json_get_real(object, "t", &real, &error));
    assert_string_equal(error.text, "\"t\" is not a number");
    assert_false(json_get_real(object, "x", &real, &error));
    assert_string_equal(error.text, "\"x\" is missing");
    cJSON_Delete(object);
}

static void members_have_defaults(void **state)
{
    (void)state;
    cJSON *object = json("{'t':'x','i':3,'f':1.5,'b':true,'n':null}");
    assert_string_equal(json_text_or(object, "t", "d"), "x");
    assert_string_equal(json_text_or(object, "n", "d"), "d");
    assert_string_equal(json_text_or(object, "i", "d"), "d");
    assert_string_equal(json_text_or(NULL, "t", "d"), "d");
    assert_int_equal(json_integer_or(object, "i", -1), 3);
    assert_int_equal(json_integer_or(object, "n", -1), -1);
    assert_int_equal(json_integer_or(object, "f", -1), -1);
    assert_true(json_real_or(object, "f", 2) == 1.5);
    assert_true(json_real_or(object, "missing", 2) == 2);
    assert_true(json_boolean_or(object, "b", false));
    assert_true(json_boolean_or(object, "i", true));
    cJSON_Delete(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_keep_their_bits),
        cmocka_unit_test(numbers_print_short),
        cmocka_unit_test(no_number_is_null),
        cmocka_unit_test(strings_are_always_utf8),
        cmocka_unit_test(raw_text_stays_on_one_line),
        cmocka_unit_test(members_have_types),
        cmocka_unit_test(members_have_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
