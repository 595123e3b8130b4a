#include "schema_fixture.h"

#include "schema/syntax.h"

static void assert_refused(const char *text, size_t length, int code,
                           const char *sentence)
{
    /* An exact copy on the heap, so that reading past its end is seen. */
    char *copy = memcpy(malloc(length ? length : 1), text, length);
    struct error error = {0};
    cJSON *message = message_parse(copy, length, &error);
    free(copy);
    if (message)
        fail_msg("accepted: %.*s", (int)length, text);
    assert_string_equal(error.text, sentence);
    assert_int_equal(error.code, code);
}

static void refuses_what_is_no_message(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "not JSON: there is no text"},
        {" \t", "not JSON: there is no text"},
        {"{", "not JSON: it ends too early"},
        {"{\"seed\": 1", "not JSON: it ends too early"},
        {"{\"seed", "not JSON: it ends too early"},
        {"{\"seed\": tru", "not JSON: it ends too early"},
        {"{\"seed\": \"\\u12", "not JSON: it ends too early"},
        {"{\"seed\": 1} x", "not JSON: unexpected text at byte 13"},
        {"{\"seed\": 1}}", "not JSON: unexpected text at byte 12"},
        {"{\"seed\": 1,}", "not JSON: unexpected text at byte 12"},
        {"{,\"seed\": 1}", "not JSON: unexpected text at byte 2"},
        {"{\"seed\" 1}", "not JSON: unexpected text at byte 9"},
        {"{seed: 1}", "not JSON: unexpected text at byte 2"},
        {"{\"a\": [1 2]}", "not JSON: unexpected text at byte 10"},
        {"{\"a\": [1,]}", "not JSON: unexpected text at byte 10"},
        {"{\"a\": [1}]", "not JSON: unexpected text at byte 9"},
        {"{\"a\": 01}", "not JSON: unexpected text at byte 8"},
        {"{\"a\": +1}", "not JSON: unexpected text at byte 7"},
        {"{\"a\": .5}", "not JSON: unexpected text at byte 7"},
        {"{\"a\": 5.}", "not JSON: unexpected text at byte 9"},
        {"{\"a\": 1e}", "not JSON: unexpected text at byte 9"},
        {"{\"a\": -}", "not JSON: unexpected text at byte 8"},
        {"{\"a\": NaN}", "not JSON: unexpected text at byte 7"},
        {"{\"a\": True}", "not JSON: unexpected text at byte 7"},
        {"{\"a\": 0x10}", "not JSON: unexpected text at byte 8"},
        {"{'a': 1}", "not JSON: unexpected text at byte 2"},
        {"{\"a\": \"\\x\"}", "not JSON: unexpected text at byte 9"},
        {"{\"a\": \"\t\"}", "not JSON: unexpected text at byte 8"},
        {"{\"a\":\v1}", "not JSON: unexpected text at byte 6"},
        {"\xef\xbb\xbf{}", "not JSON: unexpected text at byte 1"},
        {"{\"a\": \"\\u0000\"}", "NUL at byte 8"},
        {"{\"a\\u0000b\": 1}", "NUL at byte 4"},
        {"{\"a\": \"\\ud800\"}", "half a surrogate pair at byte 8"},
        {"{\"a\": \"\\ud800\\n\"}", "half a surrogate pair at byte 8"},
        {"{\"a\": \"\\udc00\\ud800\"}", "half a surrogate pair at byte 8"},
        {"{\"\xff\": 1}", "not UTF-8 at byte 3"},
        {"{\"a\": \"\xc0\xaf\"}", "not UTF-8 at byte 8"},
        {"{\"a\": \"\xc3\"}", "not UTF-8 at byte 8"},
        {"{\"a\": \"\xe0\x80\xaf\"}", "not UTF-8 at byte 8"},
        {"{\"a\": \"\xed\xa0\x80\"}", "not UTF-8 at byte 8"},
        {"{\"a\": \"\xf4\x90\x80\x80\"}", "not UTF-8 at byte 8"},
        {"{\"a\": \"\xf5\x80\x80\x80\"}", "not UTF-8 at byte 8"},
        {"{\"seed\": 1, \"seed\": 2}", "member \"seed\" twice"},
        {"{\"a\": [{\"b\": {\"c\": 1, \"c\": 1}}]}", "member \"c\" twice"},
        {"{\"a\": 1, \"\\u0061\": 2}", "member \"a\" twice"},
        {"{\"a\": 1e999}", "a number over 1.8e308"},
        {"{\"a\": [-1e999]}", "a number over 1.8e308"},
        {"{\"a\": 1e-400}", "the number at byte 7 is below 4.9e-324 and not 0"},
        {"{\"a\": -0.05E-400}",
         "the number at byte 7 is below 4.9e-324 and not 0"},
        {"{\"a\": 0.12345678901234567890123456789012345678901234567890123456"
         "7890}",
         "the number at byte 7 has over 60 characters"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i].text, strlen(cases[i].text), ERROR_PARSE,
                       cases[i].sentence);
}

static void refuses_what_is_no_object(void **state)
{
    (void)state;
    static const char *const cases[] = {"[1]", "\"text\"", "12", "null"};
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i], strlen(cases[i]), ERROR_REQUEST,
                       "a message must be a JSON object");
}

static void refuses_nul(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": \"b\0c\"}";
    assert_refused(text, sizeof text - 1, ERROR_PARSE,
                   "not JSON: unexpected text at byte 9");
    assert_refused("{}\0", 3, ERROR_PARSE,
                   "not JSON: unexpected text at byte 3");
}

/* {"a":[[...]]} with `depth` containers. */
static char *nested(int depth)
{
    char *text = calloc(1, (size_t)depth * 2 + 8);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', (size_t)depth - 1);
    memset(text + 5 + depth - 1, ']', (size_t)depth - 1);
    text[5 + 2 * (depth - 1)] = '}';
    return text;
}

static void limits_depth(void **state)
{
    (void)state;
    char *text = nested(SYNTAX_DEPTH_MAX);
    struct error error;
    cJSON *message = message_parse(text, strlen(text), &error);
    assert_non_null(message);
    cJSON_Delete(message);
    free(text);
    text = nested(SYNTAX_DEPTH_MAX + 1);
    assert_refused(text, strlen(text), ERROR_PARSE, "deeper than 16 levels");
    free(text);
    text = nested(3000000);
    assert_refused(text, strlen(text), ERROR_PARSE, "deeper than 16 levels");
    free(text);
}

/* {"a":"xxx..."} of `length` bytes. */
static char *sized(size_t length)
{
    char *text = malloc(length);
    memset(text, 'x', length);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + length - 2, "\"}", 2);
    return text;
}

static void limits_size(void **state)
{
    (void)state;
    char *text = sized(MESSAGE_BYTES_MAX);
    assert_refused(text, MESSAGE_BYTES_MAX, ERROR_TOO_LARGE,
                   "a message of over 8388608 bytes");
    free(text);
    text = sized(MESSAGE_BYTES_MAX - 1);
    struct error error;
    cJSON *message = message_parse(text, MESSAGE_BYTES_MAX - 1, &error);
    assert_non_null(message);
    cJSON_Delete(message);
    free(text);
}

static void limits_values(void **state)
{
    (void)state;
    size_t count = SYNTAX_VALUES_MAX, length = 6 + 2 * count;
    char *text = malloc(length);
    memcpy(text, "{\"a\":[", 6);
    for (size_t i = 0; i < count; i++)
        memcpy(text + 6 + 2 * i, "1,", 2);
    assert_refused(text, length, ERROR_TOO_LARGE, "more than 500000 values");
    free(text);
}

static void accepts_what_json_allows(void **state)
{
    (void)state;
    static const char text[] =
        " {\"\" : [ ], \"o\":{ },\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"
        "\\ud83d\\ude00\xf0\x9f\x98\x80\x7f\", \"n\":[0,-0,1.5e+3,2E-2,-7],"
        "\"w\":[true,false,null]}\r\n";
    struct error error = {0};
    cJSON *message = message_parse(text, sizeof text - 1, &error);
    assert_string_equal(error.text, "");
    size_t length;
    char *printed = message_print(message, &length);
    assert_string_equal(
        printed,
        "{\"\":[],\"o\":{},\"s\":\"\\\"\\\\/\\b\\f\\n\\r\\t\xc3\xa9"
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\\u007f\",\"n\":[0,-0.0,1500,0.02,-7],"
        "\"w\":[true,false,null]}\n");
    assert_int_equal(length, strlen(printed));
    free(printed);
    cJSON_Delete(message);
}

/* Comparing all pairs would be felt here: five thousand million of them. */
static void finds_repeated_names_among_many(void **state)
{
    (void)state;
    size_t used = 0, bytes = 100002 * 16;
    char *text = malloc(bytes);
    used += (size_t)snprintf(text, bytes, "{");
    for (int i = 0; i < 100000; i++)
        used += (size_t)snprintf(text + used, bytes - used, "\"m%d\":0,", i);
    size_t end = used;
    used += (size_t)snprintf(text + used, bytes - used, "\"last\":0}");
    struct error error;
    cJSON *message = message_parse(text, used, &error);
    assert_non_null(message);
    cJSON_Delete(message);
    used = end + (size_t)snprintf(text + end, bytes - end, "\"m5\":0}");
    assert_refused(text, used, ERROR_PARSE, "member \"m5\" twice");
    free(text);
}

static void assert_message(cJSON *message, const char *expected)
{
    size_t length;
    char *text = message_print(message, &length);
    assert_string_equal(text, expected);
    free(text);
    cJSON_Delete(message);
}

static void builds_rpc(void **state)
{
    (void)state;
    assert_message(rpc_request(7, "status", NULL),
                   "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"status\","
                   "\"params\":{\"protocol\":1}}\n");
    assert_message(rpc_request(8, "show", json("{'target':'last'}")),
                   "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"show\","
                   "\"params\":{\"target\":\"last\",\"protocol\":1}}\n");
    assert_message(rpc_request(9, "show", json("{'protocol':2}")),
                   "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"show\","
                   "\"params\":{\"protocol\":2}}\n");
    assert_message(rpc_notification("shutdown", json("{'at':1.5}")),
                   "{\"jsonrpc\":\"2.0\",\"method\":\"shutdown\","
                   "\"params\":{\"at\":1.5}}\n");
    cJSON *id = cJSON_CreateString("a-1");
    assert_message(rpc_result(id, json("{'running':0}")),
                   "{\"jsonrpc\":\"2.0\",\"id\":\"a-1\","
                   "\"result\":{\"running\":0}}\n");
    struct error error;
    error_set(&error, ERROR_NOT_FOUND, "no sweep \"x\"");
    assert_message(rpc_error(id, &error, NULL),
                   "{\"jsonrpc\":\"2.0\",\"id\":\"a-1\",\"error\":{\"code\":2,"
                   "\"message\":\"no sweep \\\"x\\\"\"}}\n");
    assert_message(rpc_error(NULL, &error, json("{'protocol':1}")),
                   "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":2,"
                   "\"message\":\"no sweep \\\"x\\\"\","
                   "\"data\":{\"protocol\":1}}}\n");
    cJSON_Delete(id);
}

/* xorshift64, so that a failure can be repeated. */
static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}

/* Damaged messages are refused or accepted, and what is accepted prints to
 * something that reads back and prints the same. */
static void survives_damage(void **state)
{
    (void)state;
    static const char good[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"params\":{\"spec\":{\"axes\":"
        "{\"seed\":[1,101,-2.5e-3],\"widths\":[\"784x10\"]},\"x\":[true,"
        "null,{\"\xc3\xa9\\u00e9\":\"\\ud83d\\ude00\"}]}}}";
    uint64_t seed = 20240229;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        size_t length = sizeof good - 1 - draw(&seed) % 4;
        for (uint64_t n = draw(&seed) % 3 + 1; n; n--)
            text[draw(&seed) % length] =
                n % 2 ? (char)draw(&seed)
                      : "{}[]\",:\\u0eE-+.1\x80\xed"[draw(&seed) % 18];
        char *exact = memcpy(malloc(length), text, length);
        struct error error;
        cJSON *message = message_parse(exact, length, &error);
        free(exact);
        if (!message)
            continue;
        char *first = message_print(message, &length);
        cJSON_Delete(message);
        message = message_parse(first, length, &error);
        if (!message)
            fail_msg("%s: %s", first, error.text);
        char *second = message_print(message, &length);
        assert_string_equal(first, second);
        cJSON_Delete(message);
        free(first);
        free(second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_message),
        cmocka_unit_test(refuses_what_is_no_object),
        cmocka_unit_test(refuses_nul),
        cmocka_unit_test(limits_depth),
        cmocka_unit_test(limits_size),
        cmocka_unit_test(limits_values),
        cmocka_unit_test(accepts_what_json_allows),
        cmocka_unit_test(finds_repeated_names_among_many),
        cmocka_unit_test(builds_rpc),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
