#include "client_fixture.h"

#include <stdlib.h>
#include <time.h>

#include "client/moment.h"

static void durations_are_read_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } good[] = {{"45s", 45},         {"30m", 1800},   {"2h", 7200},
                {"3d", 259200},      {"1h30m", 5400}, {"1.5h", 5400},
                {"1d2h3m4s", 93784}, {"0s", 0}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double seconds = -1;
        if (!duration_read(good[i].text, &seconds) ||
            seconds != good[i].seconds)
            fail_msg("%s is %g, expected %g", good[i].text, seconds,
                     good[i].seconds);
    }
    static const char *const bad[] = {"",    "h",    "2",     "2 h", "2h3d",
                                      "-2h", "2h2h", "1..5h", "2H",  "1e3s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double seconds;
        if (duration_read(bad[i], &seconds))
            fail_msg("\"%s\" is read as %g", bad[i], seconds);
    }
}

static double read(const char *text, int64_t *event)
{
    struct moment moment;
    struct error error;
    if (!moment_read(text, 1700000000.7, &moment, &error))
        fail_msg("%s", error.text);
    if (event)
        *event = moment.event;
    return moment.at;
}

static void moments_are_ids_durations_or_local_times(void **state)
{
    (void)state;
    int64_t event;
    setenv("TZ", "UTC-1", 1); /* an hour ahead of UTC */
    tzset();
    read("120", &event);
    assert_int_equal(event, 120);
    assert_int_equal(read("2h", &event), 1700000000 - 7200);
    assert_int_equal(event, 0);
    assert_int_equal(read("2023-11-14", NULL), 1699916400);
    assert_int_equal(read("2023-11-14 13:45", NULL), 1699965900);
    assert_int_equal(read("2023-11-14T13:45:10", NULL), 1699965910);
    assert_int_equal(read("13:45", NULL), 1699965900);
    static const char *const bad[] = {"", "yesterday", "2023-04-31",
                                      "2023-11-14 25:00", "2023-11-14x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct moment moment;
        struct error error;
        if (moment_read(bad[i], 1700000000, &moment, &error))
            fail_msg("\"%s\" is read as %g", bad[i], moment.at);
        assert_int_equal(error.code, ERROR_PARAMS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_whole),
        cmocka_unit_test(moments_are_ids_durations_or_local_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
