#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/tail.h"

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

/* What a child says on stderr. */

static void on_line(void *user, const char *line)
{
    char *said = user;
    size_t used = strlen(said);
    snprintf(said + used, 4096 - used, "%s|", line);
}

static void add(struct tail *tail, const char *text, char *said)
{
    tail_add(tail, text, strlen(text), on_line, said);
}

static void lines_come_in_pieces(void **state)
{
    (void)state;
    struct tail tail = {.count = 0};
    char said[4096] = "", text[100];
    add(&tail, "on", said);
    add(&tail, "e\ntwo\nth", said);
    assert_string_equal(said, "one|two|");
    tail_end(&tail, on_line, said);
    assert_string_equal(said, "one|two|th|");
    tail_print(&tail, text, sizeof text);
    assert_string_equal(text, "one\ntwo\nth");
    tail_print(&tail, text, 8);
    assert_string_equal(text, "two\nth");
    tail_clear(&tail);
    tail_print(&tail, text, sizeof text);
    assert_string_equal(text, "");
}

static void only_the_last_lines_are_kept(void **state)
{
    (void)state;
    struct tail tail = {.count = 0};
    char said[4096] = "", text[4096], expected[4096] = "", line[600];
    for (int i = 0; i < 50; i++) {
        size_t used = strlen(expected);
        snprintf(line, sizeof line, "line %d\n", i);
        add(&tail, line, said);
        if (i >= 50 - TAIL_LINES)
            snprintf(expected + used, sizeof expected - used, "line %d\n", i);
    }
    expected[strlen(expected) - 1] = '\0';
    tail_print(&tail, text, sizeof text);
    assert_string_equal(text, expected);
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    tail_clear(&tail);
    add(&tail, line, said);
    tail_end(&tail, on_line, said);
    tail_print(&tail, text, sizeof text);
    assert_int_equal(strlen(text), TAIL_LINE_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_time_and_level),
        cmocka_unit_test(the_journal_gets_priorities),
        cmocka_unit_test(an_event_is_one_line),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(lines_come_in_pieces),
        cmocka_unit_test(only_the_last_lines_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
