#include "client/board.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/deadline.h"
#include "client/text.h"

enum {
    REDRAW_MS = 50,
    BAR_CELLS = 24,
    BAR_LEAST = 4,
    BAR_FRAME = 3,     /* a space and its two ends */
    PERCENT_CELLS = 8, /* a space and "100.0 %" */
    HEAD_LEAST = 6,    /* a job's number */
    BAR_BYTES = 4 * BAR_CELLS + 1,
    LABEL_CELLS = 32,
    TAIL_BYTES = 256,
    LINES_KEPT = 4, /* of the terminal, for what is not a job's bar */
};

static const struct column event_columns[] = {
    {"at", "at", COLUMN_TIME, true},
    {"job", "job", COLUMN_NUMBER, true},
    {"sweep_id", "sweep id", COLUMN_NUMBER, false},
    {"position", "position", COLUMN_NUMBER, false},
    {"from", "from", COLUMN_STATE, true},
    {"to", "to", COLUMN_STATE, true},
    {"reason", "reason", COLUMN_TEXT, true},
    {"epoch", "epoch", COLUMN_NUMBER, true},
    {"nb_epochs", "of", COLUMN_NUMBER, true},
    {"test_accuracy", "test accuracy %", COLUMN_PERCENT, true},
    {"label", "label", COLUMN_TEXT, true},
};

void board_bar(char *text, size_t bytes, double part, int cells, bool has_utf8)
{
    static const char *const eighths[] = {"▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    size_t used = 0;
    part = part > 0 ? fmin(part, 1) : 0;
    int filled = (int)(part * cells * 8 + 1e-6);
    text[0] = '\0';
    for (int i = 0; i < cells && used < bytes; i++) {
        int eighth = filled - 8 * i;
        const char *cell = has_utf8 ? " " : ".";
        if (eighth >= 8)
            cell = has_utf8 ? "█" : "#";
        else if (eighth > 0 && has_utf8)
            cell = eighths[eighth - 1];
        used += (size_t)snprintf(text + used, bytes - used, "%s", cell);
    }
}

/* Leaves out the last parts of `tail`, two spaces apart, until it fits: half
 * a number would be another number. */
static void shorten(char *tail, int cells)
{
    while (*tail != '\0' && text_width(tail) > cells) {
        char *gap = tail;
        char *next = strstr(tail + strspn(tail, " "), "  ");
        for (; next != NULL; next = strstr(next + 2, "  "))
            gap = next;
        *gap = '\0';
    }
}

static int at_most(int cells, int most)
{
    return cells < most ? cells : most;
}

static int at_least(int cells, int least)
{
    return cells > least ? cells : least;
}

/* Of a line of `room` cells, what its head takes when it asks for `cells`: a
 * bar and a percentage have their place before a long name. */
static int head_room(int cells, int room)
{
    int left = room - BAR_FRAME - BAR_LEAST - PERCENT_CELLS;
    return at_most(at_most(cells, at_least(left, HEAD_LEAST)), room);
}

/* One line: text, bar, text, within the terminal's edge. */
static void put_bar(struct board *board, char *head, int head_cells,
                    double part, char *tail)
{
    const struct style *style = &board->output->style;
    FILE *file = board->output->file;
    char bar[BAR_BYTES];
    int room = style->width - 1;
    head_cells = head_room(head_cells, room);
    int left = room - head_cells - BAR_FRAME;
    head[text_fitting(head, head_cells)] = '\0';
    fprintf(file, "%s%*s", head, head_cells - text_width(head), "");
    if (left >= BAR_LEAST) {
        shorten(tail, left - BAR_LEAST - 1);
        int cells = left - (*tail != '\0' ? text_width(tail) + 1 : 0);
        board_bar(bar, sizeof bar, part, at_most(cells, BAR_CELLS),
                  style->has_utf8);
        fprintf(file, " %s%s%s%s%s%s%s", style->has_utf8 ? "▕" : "[",
                style_code(style, STYLE_CYAN), bar,
                style_code(style, STYLE_PLAIN), style->has_utf8 ? "▏" : "]",
                *tail != '\0' ? " " : "", tail);
    }
    fputs("\033[K\n", file);
    board->lines++;
}

static void put_text_line(struct board *board, const char *text)
{
    int room = board->output->style.width - 1;
    fprintf(board->output->file, "%.*s\033[K\n", (int)text_fitting(text, room),
            text);
    board->lines++;
}

static void put_whole(struct board *board, const struct watcher *watcher)
{
    char name[SPEC_NAME_BYTES + 16], tail[TAIL_BYTES], left[64] = "", time[32];
    double part = watcher->job_count > 0
                      ? watcher_progress(watcher) / (double)watcher->job_count
                      : 1;
    double seconds = watcher_seconds_left(watcher);
    text_duration(time, sizeof time, seconds);
    if (!isnan(seconds) && part < 1)
        snprintf(left, sizeof left, "  about %s left", time);
    snprintf(tail, sizeof tail, "%5.1f %%  %lld job%s%s", part * 100,
             (long long)watcher->job_count, watcher->job_count == 1 ? "" : "s",
             left);
    watcher_name(watcher, name, sizeof name);
    int cells = text_width(name);
    put_bar(board, name, cells > LABEL_CELLS ? LABEL_CELLS : cells, part, tail);
    char counts[256];
    watcher_counts(watcher, counts, sizeof counts);
    put_text_line(board, counts);
}

static void put_running(struct board *board, const struct running *job,
                        int head_cells)
{
    char head[LABEL_BYTES + 32], tail[TAIL_BYTES];
    char rate[32], left[32], accuracy[32];
    double part = job->steps > 0 ? (double)job->step / (double)job->steps : 0;
    double seconds = (double)(job->steps - job->step) / job->steps_per_second;
    text_rate(rate, sizeof rate, job->steps_per_second);
    text_duration(left, sizeof left, seconds);
    text_percent(accuracy, sizeof accuracy, job->test_accuracy);
    snprintf(head, sizeof head, "%5lld %s", (long long)job->job, job->label);
    int used =
        snprintf(tail, sizeof tail, "%5.1f %%  epoch %lld/%lld", part * 100,
                 (long long)job->epoch, (long long)job->nb_epochs);
    if (job->steps_per_second > 0)
        used += snprintf(tail + used, sizeof tail - (size_t)used,
                         "  %s steps/s  %s left", rate, left);
    if (!isnan(job->test_accuracy))
        snprintf(tail + used, sizeof tail - (size_t)used, "  test %s %%",
                 accuracy);
    put_bar(board, head, head_cells, part, tail);
}

static int widest_head(const struct watcher *watcher, int count)
{
    int widest = 0;
    for (int i = 0; i < count; i++) {
        int cells = 6 + text_width(watcher->running[i].label);
        widest = cells > widest ? cells : widest;
    }
    return widest > LABEL_CELLS ? LABEL_CELLS : widest;
}

/* The cursor stays below the drawing; each drawing begins by going back up. */
static void go_up(struct board *board)
{
    if (board->lines > 0)
        fprintf(board->output->file, "\r\033[%dA", board->lines);
    board->lines = 0;
}

static void draw(struct board *board, const struct watcher *watcher)
{
    int room = board->output->style.height - LINES_KEPT;
    int count = watcher->running_count < room ? watcher->running_count : room;
    go_up(board);
    put_whole(board, watcher);
    int head_cells = widest_head(watcher, count);
    for (int i = 0; i < count; i++)
        put_running(board, &watcher->running[i], head_cells);
    if (count > 0 && count < watcher->running_count) {
        char more[64];
        snprintf(more, sizeof more, "      and %d more running",
                 watcher->running_count - count);
        put_text_line(board, more);
    }
    fputs("\033[J", board->output->file);
    fflush(board->output->file);
    board->is_dirty = false;
    board->drawn_at = monotonic_seconds();
}

/* "epoch 3/3, test accuracy 93.21 %" and the reason, what there is of them. */
static void put_outcome(FILE *file, const struct cJSON *event)
{
    double accuracy = json_real_or(event, "test_accuracy", NAN);
    int64_t epoch = json_integer_or(event, "epoch", -1);
    const char *reason = json_text_or(event, "reason", NULL);
    char text[256];
    if (epoch >= 0)
        fprintf(file, ", epoch %lld/%lld", (long long)epoch,
                (long long)json_integer_or(event, "nb_epochs", 0));
    text_percent(text, sizeof text, accuracy);
    if (!isnan(accuracy))
        fprintf(file, ", test accuracy %s %%", text);
    if (reason != NULL) {
        text_clean(text, sizeof text, reason);
        fprintf(file, ": %s", text);
    }
}

static void put_event(struct board *board, const struct cJSON *event)
{
    FILE *file = board->output->file;
    const struct style *style = &board->output->style;
    const char *to = json_text_or(event, "to", "");
    char time[32], label[LABEL_BYTES], state[32];
    text_time(time, sizeof time, json_real_or(event, "at", NAN));
    text_clean(label, sizeof label, json_text_or(event, "label", ""));
    text_clean(state, sizeof state, to);
    fprintf(file, "%s  job %lld%s%s%s  %s%s%s", time,
            (long long)json_integer_or(event, "job", 0),
            *label != '\0' ? " (" : "", label, *label != '\0' ? ")" : "",
            style_code(style, style_of_state(to)), state,
            style_code(style, STYLE_PLAIN));
    put_outcome(file, event);
    fputs(board->has_bars ? "\033[K\n" : "\n", file);
}

/* With bars only failures stay on the screen as lines, above them. */
static void show_event(struct board *board, const struct cJSON *event)
{
    if (board->output->format != OUTPUT_TABLE) {
        output_row(board->output, event);
    } else if (!board->has_bars) {
        put_event(board, event);
    } else if (strcmp(json_text_or(event, "to", ""), "failed") == 0) {
        go_up(board);
        put_event(board, event);
    }
    if (!board->has_bars)
        fflush(board->output->file);
}

/* Without bars a job that runs long would look like none. */
static void say_begin(const struct watcher *watcher)
{
    char name[SPEC_NAME_BYTES + 16], counts[256];
    long long job_count = watcher->job_count;
    watcher_name(watcher, name, sizeof name);
    watcher_counts(watcher, counts, sizeof counts);
    if (watcher->is_sweep)
        fprintf(stderr, "%s: %lld job%s: %s\n", name, job_count,
                job_count == 1 ? "" : "s", counts);
    else
        fprintf(stderr, "%s: %s\n", name, counts);
    for (int i = 0; i < watcher->running_count; i++) {
        const struct running *job = &watcher->running[i];
        bool has_label = *job->label != '\0';
        fprintf(stderr, "job %lld%s%s%s  running, epoch %lld/%lld\n",
                (long long)job->job, has_label ? " (" : "", job->label,
                has_label ? ")" : "", (long long)job->epoch,
                (long long)job->nb_epochs);
    }
}

static int quiet_ms(void *user)
{
    struct board *board = user;
    if (!board->is_dirty)
        return -1;
    double left = (board->drawn_at - monotonic_seconds()) * 1000 + REDRAW_MS;
    return left > 0 ? (int)ceil(left) : 0;
}

static void on_news(void *user, const struct watcher *watcher,
                    enum watch_news news, const struct cJSON *params)
{
    struct board *board = user;
    if (news == WATCH_BEGUN && !board->has_bars && !watcher_is_over(watcher))
        say_begin(watcher);
    if (news == WATCH_EVENT)
        show_event(board, params);
    if (news == WATCH_OVER && board->output->format != OUTPUT_TABLE)
        output_end(board->output);
    if (!board->has_bars)
        return;
    if (news == WATCH_RESIZED)
        style_measure(&board->output->style);
    board->is_dirty = watcher->is_begun;
    if (board->is_dirty && (news == WATCH_OVER || quiet_ms(board) == 0))
        draw(board, watcher);
}

void board_init(struct board *board, struct output *output,
                struct watch_view *view)
{
    bool is_table = output->format == OUTPUT_TABLE;
    *board = (struct board){.output = output,
                            .has_bars = is_table && output->style.can_move};
    *view = (struct watch_view){
        .user = board, .on_news = on_news, .quiet_ms = quiet_ms};
    if (!is_table)
        output_begin(output, event_columns,
                     (int)(sizeof event_columns / sizeof *event_columns));
}
