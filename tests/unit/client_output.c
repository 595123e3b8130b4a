#include "client_fixture.h"

#include <math.h>

#include "client/output.h"
#include "client/text.h"

static const struct column columns[] = {
    {"job", NULL, COLUMN_NUMBER, true},
    {"name", "the name", COLUMN_TEXT, true},
    {"accuracy", "test accuracy %", COLUMN_PERCENT, true},
    {"hash", "state hash", COLUMN_TEXT, false},
};

static const char rows[] =
    "[{\"job\":1,\"name\":\"a\",\"accuracy\":0.93456,\"hash\":\"x\"},"
    "{\"job\":12,\"name\":\"b,\\\"c\\\"\",\"accuracy\":null,\"hash\":null}]";

/* What `format` makes of the rows, as text: the caller's. */
static char *shown(enum output_format format, int width, const char *json,
                   int pages)
{
    char *text = NULL;
    size_t length;
    struct output output = {
        .file = open_memstream(&text, &length),
        .format = format,
        .style = {.width = width, .is_terminal = width < STYLE_WIDE},
    };
    struct cJSON *page = cJSON_Parse(json);
    output_begin(&output, columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < pages; i++)
        output_rows(&output, page);
    output_end(&output);
    fclose(output.file);
    cJSON_Delete(page);
    return text;
}

static void expect(enum output_format format, int width, const char *json,
                   const char *expected)
{
    char *text = shown(format, width, json, 1);
    assert_string_equal(text, expected);
    free(text);
}

static void test_table(void **state)
{
    (void)state;
    expect(OUTPUT_TABLE, STYLE_WIDE, rows,
           "job  the name  test accuracy %\n"
           "  1  a                   93.46\n"
           " 12  b,\"c\"                   -\n");
    expect(OUTPUT_TABLE, STYLE_WIDE, "[]", "");
}

static void test_narrow_table(void **state)
{
    (void)state;
    expect(OUTPUT_TABLE, 23, rows,
           "                test\n"
           "     the    accuracy\n"
           "job  name          %\n"
           "  1  a         93.46\n"
           " 12  b,\"c\"         -\n");
    /* The last column has no room: it goes as a whole. */
    expect(OUTPUT_TABLE, 18, rows,
           "job  the name\n"
           "  1  a\n"
           " 12  b,\"c\"\n");
    expect(OUTPUT_TABLE, 22, "[{\"job\":1,\"name\":\"abcdefghijklmnop\"}]",
           "job  the name\n"
           "  1  abcdefghijklmnop\n");
    expect(OUTPUT_TABLE, 15, "[{\"job\":1,\"name\":\"abcdefghijklmnop\"}]",
           "job  the name\n"
           "  1  abcdefghi~\n");
}

static void test_table_keeps_wide_cells_of_later_pages(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length;
    struct output output = {.file = open_memstream(&text, &length),
                            .style = PLAIN_STYLE};
    struct cJSON *first = cJSON_Parse("[{\"job\":1,\"name\":\"a\"}]");
    struct cJSON *second =
        cJSON_Parse("[{\"job\":2,\"name\":\"a long name\"}]");
    output_begin(&output, columns, 2);
    output_rows(&output, first);
    output_rows(&output, second);
    output_end(&output);
    fclose(output.file);
    assert_string_equal(text, "job  the name\n  1  a\n  2  a long name\n");
    free(text);
    cJSON_Delete(first);
    cJSON_Delete(second);
}

static void test_csv(void **state)
{
    (void)state;
    expect(OUTPUT_CSV, STYLE_WIDE, rows,
           "job,name,accuracy,hash\n"
           "1,a,0.93456,x\n"
           "12,\"b,\"\"c\"\"\",,\n");
    expect(OUTPUT_CSV, STYLE_WIDE, "[{\"name\":\"two\\nlines\"}]",
           "job,name,accuracy,hash\n"
           ",\"two\nlines\",,\n");
    expect(OUTPUT_CSV, STYLE_WIDE, "[]", "job,name,accuracy,hash\n");
}

static void test_json(void **state)
{
    (void)state;
    expect(OUTPUT_JSON, STYLE_WIDE, "[{\"job\":1},{\"job\":0.1}]",
           "[\n  {\"job\":1},\n  {\"job\":0.1}\n]\n");
    expect(OUTPUT_JSON, STYLE_WIDE, "[]", "[]\n");
    expect(OUTPUT_JSONL, STYLE_WIDE, "[{\"job\":1},{\"job\":0.1}]",
           "{\"job\":1}\n{\"job\":0.1}\n");
    expect(OUTPUT_JSONL, STYLE_WIDE, "[]", "");
}

/* Pages are one array, and one table with one heading. */
static void test_pages(void **state)
{
    (void)state;
    char *text = shown(OUTPUT_JSON, STYLE_WIDE, "[{\"job\":1}]", 3);
    struct cJSON *list = cJSON_Parse(text);
    assert_int_equal(cJSON_GetArraySize(list), 3);
    cJSON_Delete(list);
    free(text);
    text = shown(OUTPUT_TABLE, STYLE_WIDE, "[{\"job\":1}]", 2);
    assert_string_equal(text, "job  the name  test accuracy %\n"
                              "  1  -                       -\n"
                              "  1  -                       -\n");
    free(text);
}

static void expect_object(enum output_format format, const char *json,
                          const char *expected)
{
    char *text = NULL;
    size_t length;
    struct output output = {.file = open_memstream(&text, &length),
                            .format = format,
                            .style = PLAIN_STYLE};
    struct cJSON *object = cJSON_Parse(json);
    output_object(&output, object, columns, sizeof columns / sizeof *columns);
    fclose(output.file);
    assert_string_equal(text, expected);
    free(text);
    cJSON_Delete(object);
}

static void test_object(void **state)
{
    (void)state;
    const char *json = "{\"job\":1,\"name\":\"a\",\"accuracy\":0.5,"
                       "\"list\":[{\"a\":1},{\"a\":2}]}";
    expect_object(OUTPUT_TABLE, json,
                  "job              1\n"
                  "the name         a\n"
                  "test accuracy %  50.00\n");
    expect_object(OUTPUT_CSV, json, "job,name,accuracy,hash\n1,a,0.5,\n");
    expect_object(OUTPUT_JSON, json,
                  "{\n  \"job\": 1,\n  \"name\": \"a\",\n"
                  "  \"accuracy\": 0.5,\n  \"list\": [\n    {\"a\":1},\n"
                  "    {\"a\":2}\n  ]\n}\n");
}

static void test_format_names(void **state)
{
    (void)state;
    struct output output;
    struct error error = {0};
    assert_true(output_init(&output, stdout, "jsonl", &error));
    assert_int_equal(output.format, OUTPUT_JSONL);
    assert_true(output_init(&output, stdout, NULL, &error));
    assert_int_equal(output.format, OUTPUT_TABLE);
    assert_false(output_init(&output, stdout, "xml", &error));
    assert_string_equal(error.text,
                        "--output: \"xml\" is not table, json, jsonl or csv");
}

static void test_escapes_are_not_obeyed(void **state)
{
    (void)state;
    expect(OUTPUT_TABLE, STYLE_WIDE, "[{\"job\":1,\"name\":\"a\\u001b[31m\"}]",
           "job  the name  test accuracy %\n"
           "  1  a?[31m                  -\n");
}

static void test_texts(void **state)
{
    (void)state;
    char text[32];
    static const struct {
        double seconds;
        const char *text;
    } durations[] = {{0.4, "0 s"},
                     {59, "59 s"},
                     {83, "1 min 23 s"},
                     {3720, "1 h 02 min"},
                     {90000, "1 d 1 h"}};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        text_duration(text, sizeof text, durations[i].seconds);
        assert_string_equal(text, durations[i].text);
    }
    static const struct {
        double value;
        const char *text;
    } rates[] = {{0.25, "0.25"},   {999.4, "999"},    {999.6, "1 k"},
                 {1806, "1.81 k"}, {180600, "181 k"}, {1.5e6, "1.5 M"},
                 {NAN, "-"}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        text_rate(text, sizeof text, rates[i].value);
        assert_string_equal(text, rates[i].text);
    }
    text_number(text, sizeof text, 0.0001);
    assert_string_equal(text, "0.0001");
    text_number(text, sizeof text, 4294967230.0);
    assert_string_equal(text, "4294967230");
    setenv("TZ", "UTC", 1);
    text_time(text, sizeof text, 86400);
    assert_string_equal(text, "1970-01-02 00:00:00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_narrow_table),
        cmocka_unit_test(test_table_keeps_wide_cells_of_later_pages),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_object),
        cmocka_unit_test(test_format_names),
        cmocka_unit_test(test_escapes_are_not_obeyed),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests_name("client_output", tests, NULL, NULL);
}
