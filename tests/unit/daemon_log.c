#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

static void assert_line(const struct log *log, enum log_level level,
                        const char *text, const char *expected)
{
    char line[LOG_LINE_BYTES];
    size_t length = log_format(log, level, 951827696.25, text, line);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(line, expected, length);
}

static void lines_have_time_and_level(void **state)
{
    (void)state;
    struct log log = {LOG_info, false};
    assert_line(&log, LOG_warning, "it rains",
                "2000-02-29T12:34:56.250Z warning it rains\n");
}

static void the_journal_gets_priorities(void **state)
{
    (void)state;
    struct log log;
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_init(&log, LOG_info);
    assert_line(&log, LOG_error, "a", "<3>a\n");
    assert_line(&log, LOG_debug, "a", "<7>a\n");
    unsetenv("JOURNAL_STREAM");
    log_init(&log, LOG_info);
    assert_false(log.is_journal);
}

static void an_event_is_one_line(void **state)
{
    (void)state;
    struct log log = {LOG_info, true};
    assert_line(&log, LOG_info, "a\nb\033[1m\x7f\xc3\xa4",
                "<6>a b [1m \xc3\xa4\n");
    char text[LOG_LINE_BYTES * 2], line[LOG_LINE_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(log_format(&log, LOG_info, 0, text, line), LOG_LINE_BYTES);
    assert_int_equal(line[LOG_LINE_BYTES - 1], '\n');
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_int_equal(log_level_find("error"), LOG_error);
    assert_int_equal(log_level_find("debug"), LOG_debug);
    assert_int_equal(log_level_find("loud"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_time_and_level),
        cmocka_unit_test(the_journal_gets_priorities),
        cmocka_unit_test(an_event_is_one_line),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
