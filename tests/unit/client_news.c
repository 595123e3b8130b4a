#include "client_fixture.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <time.h>

#include "client/news.h"

static void check(const char *json, const char *expected)
{
    char text[512];
    struct cJSON *news = cJSON_Parse(json);
    assert_non_null(news);
    news_print(text, sizeof text, news, 1700000000);
    assert_string_equal(text, expected);
    cJSON_Delete(news);
}

static void news_are_one_sentence(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    check("null", "");
    check(
        "{\"since\": 1699989200, \"events\": {\"started\": 1, \"resumed\": 6, "
        "\"failed\": 2, \"submitted\": 3}, \"started_at\": 1699999860, "
        "\"cost_s\": 0, \"done\": 40}",
        "since 3 h 00 min ago: restarted 22:11; 2 failed; 6 jobs resumed; 40 "
        "done");
    check("{\"since\": 1699999990, \"events\": {\"resumed\": 1}, "
          "\"started_at\": null, \"cost_s\": 75, \"done\": 0}",
          "since 10 s ago: 1 job resumed; 1 min 15 s of computing lost");
    check("{\"since\": 1699000000, \"events\": {\"started\": 3}, "
          "\"started_at\": 1699900000, \"cost_s\": 0, \"done\": 0}",
          "since 11 d 13 h ago: restarted 3 times, last 2023-11-13 18:26");
}

static void a_small_buffer_is_enough(void **state)
{
    (void)state;
    struct cJSON *news =
        cJSON_Parse("{\"since\": 0, \"events\": {\"failed\": 2}, \"done\": 3}");
    for (size_t bytes = 1; bytes < 60; bytes++) {
        char text[60];
        memset(text, 'x', sizeof text);
        news_print(text, bytes, news, 100);
        assert_true(strlen(text) < bytes);
        if (bytes < sizeof text)
            assert_int_equal(text[bytes], 'x');
    }
    cJSON_Delete(news);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(news_are_one_sentence),
        cmocka_unit_test(a_small_buffer_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
