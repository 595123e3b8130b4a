#include "client_fixture.h"

#include <locale.h>
#include <math.h>
#include <unistd.h>

#include "client/board.h"
#include "client/text.h"

enum { WIDTHS = 80, DRAWING_S = 20 };

static const char title[] = "a sweep whose title fills the row of a terminal";

static struct running running[] = {
    {12, "algorithm=GAIT learning_rate=0.0001 seed=1", 700, 1000, 7, 10, 180600,
     0.9321},
    {123456, "多くの字で書かれた長い名前の仕事のための札", 0, 0, 0, 100, NAN,
     NAN},
    {3, "", 2, 100, 0, 1, 12.5, NAN},
};

/* Three jobs that run and one that is done. */
static struct watcher watcher_of_jobs(void)
{
    struct watcher watcher = {
        .is_begun = true,
        .is_sweep = true,
        .job_count = 4,
        .counts = {[JOB_running] = 3, [JOB_done] = 1},
        .running_count = 3,
        .running = running,
        .begun_at = -10,
    };
    snprintf(watcher.target, sizeof watcher.target, "%s", title);
    return watcher;
}

/* What a terminal of that width is sent: the caller's. */
static char *drawn(const struct watcher *watcher, int width, bool has_utf8)
{
    char *text = NULL;
    size_t length;
    struct board board;
    struct watch_view view;
    struct output output = {
        .file = open_memstream(&text, &length),
        .style = {.is_terminal = true,
                  .can_move = true,
                  .has_utf8 = has_utf8,
                  .width = width,
                  .height = 24},
    };
    board_init(&board, &output, &view);
    view.on_news(view.user, watcher, WATCH_OVER, NULL);
    assert_int_equal(board.lines, 2 + watcher->running_count);
    fclose(output.file);
    return text;
}

/* A line that is too long would be wrapped, and the next drawing begin too
 * low. */
static void expect_lines_within(char *text, int cells)
{
    char *end;
    for (; (end = strstr(text, "\033[K\n")) != NULL; text = end + 4) {
        *end = '\0';
        if (text_width(text) > cells)
            fail_msg("\"%s\" is wider than %d", text, cells);
    }
    assert_string_equal(text, "\033[J");
}

static void test_every_width_has_a_drawing(void **state)
{
    (void)state;
    struct watcher watcher = watcher_of_jobs();
    alarm(DRAWING_S); /* a drawing without end is a failure too */
    for (int width = 1; width <= WIDTHS; width++)
        for (int has_utf8 = 0; has_utf8 < 2; has_utf8++) {
            char *text = drawn(&watcher, width, has_utf8);
            expect_lines_within(text, width - 1);
            free(text);
        }
    alarm(0);
}

/* What a line loses first is what is said last. */
static void test_what_is_left_out(void **state)
{
    (void)state;
    static const struct {
        int width;
        const char *line;
    } lines[] = {
        {120, "   12 algorithm=GAIT learning_ra [################........]  "
              "70.0 %  epoch 7/10  181 k steps/s  0 s left  test 93.21 %"},
        {80, "   12 algorithm=GAIT learning_ra [######...]  70.0 %  "
             "epoch 7/10  181 k steps/s"},
        {60, "   12 algorithm=GAIT learning_ra [##..]  70.0 %  epoch 7/10"},
        {40, "   12 algorithm=GAIT lea [##..]  70.0 %"},
        {24, "   12 al [##..]  70.0 %"},
        {21, "   12  [#######....]"},
        {14, "   12  [##..]"},
        {8, "   12 "},
    };
    struct watcher watcher = watcher_of_jobs();
    watcher.running_count = 1;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *text = drawn(&watcher, lines[i].width, false);
        char *line = strstr(text, "   12");
        assert_non_null(line);
        line[strcspn(line, "\033")] = '\0';
        assert_string_equal(line, lines[i].line);
        free(text);
    }
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_width_has_a_drawing),
        cmocka_unit_test(test_what_is_left_out),
    };
    return cmocka_run_group_tests_name("client_board", tests, NULL, NULL);
}
