#include "client_fixture.h"

#include <math.h>

#include "client/board.h"
#include "client/chart.h"

static char *drawn(const struct chart_series *series, int count, bool has_utf8)
{
    char *text = NULL;
    size_t length;
    struct style style = PLAIN_STYLE;
    struct chart chart = {.title = "accuracy %",
                          .x_label = "epoch",
                          .width = 30,
                          .height = 9,
                          .count = count,
                          .series = series};
    style.has_utf8 = has_utf8;
    FILE *file = open_memstream(&text, &length);
    chart_draw(&chart, &style, file);
    fclose(file);
    return text;
}

static void test_ascii(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2}, y[] = {0, 50, 100};
    const struct chart_series series = {"up", "n 1", 3, x, y};
    char *text = drawn(&series, 1, false);
    assert_string_equal(text, "accuracy %\n"
                              "100 +                   AA A\n"
                              "    |               AAAA\n"
                              "    |            AAA\n"
                              " 50 +         AAA\n"
                              "    |     AAAA\n"
                              "    |  AAA\n"
                              "  0 +AA\n"
                              "    ++---------+---------+\n"
                              "     0         1         2  epoch\n"
                              "  A  up  n 1\n");
    free(text);
}

static void test_braille(void **state)
{
    (void)state;
    const double x[] = {0, 1}, y[] = {0, 100};
    const struct chart_series series = {"up", "n 1", 2, x, y};
    char *text = drawn(&series, 1, true);
    assert_non_null(strstr(text, "┤"));
    assert_non_null(strstr(text, "┤⡠⠔⠉\n"));
    assert_non_null(strstr(text, "└┬"));
    free(text);
}

static void test_ends_are_marked(void **state)
{
    (void)state;
    const double x[] = {0, 1}, high[] = {90, 90}, low[] = {10, 10};
    const struct chart_series series[] = {{"high", "n 1", 2, x, high},
                                          {"low", "n 1", 2, x, low}};
    char *text = drawn(series, 2, false);
    assert_non_null(strstr(text, "A A\n"));
    assert_non_null(strstr(text, "B B\n"));
    assert_non_null(strstr(text, "  A  high  n 1\n  B  low   n 1\n"));
    free(text);
}

static void test_missing_values(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2}, some[] = {1, NAN, 3},
                 none[] = {NAN, NAN, NAN};
    const struct chart_series partly = {"partly", "", 3, x, some};
    const struct chart_series nothing = {"nothing", "", 3, x, none};
    char *text = drawn(&partly, 1, false);
    assert_null(strstr(text, "nan"));
    free(text);
    text = drawn(&nothing, 1, false);
    assert_string_equal(text, "");
    free(text);
}

static void test_single_point(void **state)
{
    (void)state;
    const double x[] = {0}, y[] = {10};
    const struct chart_series series = {"one", "", 1, x, y};
    char *text = drawn(&series, 1, false);
    assert_non_null(strstr(text, "10.0 +A"));
    free(text);
}

static void test_ticks(void **state)
{
    (void)state;
    assert_float_equal(chart_tick(100, 5), 20, 1e-9);
    assert_float_equal(chart_tick(1, 7), 0.2, 1e-9);
    assert_float_equal(chart_tick(3e-5, 3), 1e-5, 1e-12);
}

static void test_bar(void **state)
{
    (void)state;
    char bar[64];
    board_bar(bar, sizeof bar, 0.5, 4, false);
    assert_string_equal(bar, "##..");
    board_bar(bar, sizeof bar, 0.5, 5, true);
    assert_string_equal(bar, "██▌  ");
    board_bar(bar, sizeof bar, 1.5, 3, false);
    assert_string_equal(bar, "###");
    board_bar(bar, sizeof bar, NAN, 3, false);
    assert_string_equal(bar, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_braille),
        cmocka_unit_test(test_ends_are_marked),
        cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_single_point),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_bar),
    };
    return cmocka_run_group_tests_name("client_chart", tests, NULL, NULL);
}
