#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "daemon/tail.h"

/* What a child said last. */

static void count_line(void *user, const char *line)
{
    (void)line;
    ++*(int *)user;
}

static int add(struct tail *tail, const char *text)
{
    int lines = 0;
    tail_add(tail, text, strlen(text), count_line, &lines);
    return lines;
}

static void assert_said(const struct tail *tail, size_t bytes,
                        const char *expected)
{
    char text[TAIL_BYTES];
    tail_print(tail, text, bytes);
    assert_string_equal(text, expected);
}

static void lines_come_in_pieces(void **state)
{
    (void)state;
    struct tail tail = {.used = 0};
    int lines = 0;
    assert_said(&tail, TAIL_BYTES, "");
    assert_int_equal(add(&tail, "one\ntw"), 1);
    assert_said(&tail, TAIL_BYTES, "one");
    assert_int_equal(add(&tail, "o\n\nend"), 2);
    tail_end(&tail, count_line, &lines);
    tail_end(&tail, count_line, &lines);
    assert_int_equal(lines, 1);
    assert_said(&tail, TAIL_BYTES, "one\ntwo\n\nend");
    tail_clear(&tail);
    assert_said(&tail, TAIL_BYTES, "");
}

static void only_whole_lines_fit(void **state)
{
    (void)state;
    struct tail tail = {.used = 0};
    add(&tail, "one\ntwo\nthree\n");
    assert_said(&tail, 14, "one\ntwo\nthree");
    assert_said(&tail, 13, "two\nthree");
    assert_said(&tail, 6, "three");
    assert_said(&tail, 5, "");
}

static void bytes_become_printable(void **state)
{
    (void)state;
    struct tail tail = {.used = 0};
    add(&tail, "a\tb\x1b[1m \xff\xc3 \xc3\xa9 \x7f\n");
    assert_said(&tail, TAIL_BYTES, "a b?[1m ?? \xc3\xa9 ?");
}

static void a_line_without_end_is_cut(void **state)
{
    (void)state;
    struct tail tail = {.used = 0};
    char text[TAIL_BYTES];
    for (int i = 0; i < 100000; i++)
        add(&tail, "long ");
    add(&tail, "\nshort\n");
    tail_print(&tail, text, sizeof text);
    assert_int_equal(strlen(text), TAIL_LINE_BYTES - 1 + strlen("\nshort"));
}

static void no_end_of_lines(void **state)
{
    (void)state;
    struct tail tail = {.used = 0};
    char text[TAIL_BYTES], line[32], last[64];
    for (int i = 0; i < 100000; i++) {
        snprintf(line, sizeof line, "line %d\n", i);
        add(&tail, line);
    }
    tail_print(&tail, text, sizeof text);
    snprintf(last, sizeof last, "line 99998\nline 99999");
    assert_in_range(strlen(text), TAIL_BYTES - 11, TAIL_BYTES - 1);
    assert_string_equal(text + strlen(text) - strlen(last), last);
    assert_memory_equal(text, "line ", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_in_pieces),
        cmocka_unit_test(only_whole_lines_fit),
        cmocka_unit_test(bytes_become_printable),
        cmocka_unit_test(a_line_without_end_is_cut),
        cmocka_unit_test(no_end_of_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
