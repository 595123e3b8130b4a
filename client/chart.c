#include "client/chart.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/text.h"
#include "schema/memory.h"

enum {
    DOTS_ACROSS = 2, /* of a braille cell */
    DOTS_DOWN = 4,
    MARGIN = 4, /* for the letters of the curves' ends */
    LEAST = 3,  /* cells of the canvas, either way */
    TICK_BYTES = 32,
};

struct cell {
    uint8_t dots;  /* of U+2800 */
    int8_t series; /* that drew last; -1 for none */
};

/* Ticks are at first + i * step, 0 <= i < ticks. */
struct span {
    double low, high, step, first;
    int ticks;
};

static double tick(const struct span *span, int i)
{
    return span->first + i * span->step;
}

struct canvas {
    const struct chart *chart;
    const struct style *style;
    FILE *file;
    int width, height; /* cells */
    int across, down;  /* dots of a cell */
    int gutter;        /* cells of the y labels */
    struct span x, y;
    struct cell *cells; /* height x width */
};

double chart_tick(double range, int count)
{
    double raw = range / (count > 0 ? count : 1);
    double unit = pow(10, floor(log10(raw)));
    double steps[] = {1, 2, 5, 10};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (raw <= steps[i] * unit * (1 + 1e-9))
            return steps[i] * unit;
    return 10 * unit;
}

static bool find_spans(struct canvas *c)
{
    c->x = c->y = (struct span){.low = INFINITY, .high = -INFINITY};
    for (int s = 0; s < c->chart->count; s++) {
        const struct chart_series *series = &c->chart->series[s];
        for (int i = 0; i < series->count; i++) {
            if (!isfinite(series->y[i]) || !isfinite(series->x[i]))
                continue;
            c->x.low = fmin(c->x.low, series->x[i]);
            c->x.high = fmax(c->x.high, series->x[i]);
            c->y.low = fmin(c->y.low, series->y[i]);
            c->y.high = fmax(c->y.high, series->y[i]);
        }
    }
    return c->x.low <= c->x.high;
}

static void set_ticks(struct span *span)
{
    span->first = ceil(span->low / span->step - 1e-9) * span->step;
    span->ticks =
        1 + (int)floor((span->high - span->first) / span->step + 1e-9);
}

/* y ends at ticks; x ends at the data. */
static void round_spans(struct canvas *c)
{
    if (c->y.high - c->y.low < 1e-9 * (1 + fabs(c->y.high)))
        c->y.low -= 0.5, c->y.high += 0.5;
    if (c->x.high <= c->x.low)
        c->x.high = c->x.low + 1;
    c->y.step = chart_tick(c->y.high - c->y.low, c->height / 3);
    c->y.low = floor(c->y.low / c->y.step + 1e-9) * c->y.step;
    c->y.high = ceil(c->y.high / c->y.step - 1e-9) * c->y.step;
    c->x.step = chart_tick(c->x.high - c->x.low, c->width / 10);
    set_ticks(&c->x);
    set_ticks(&c->y);
}

static void print_tick(char text[TICK_BYTES], double value, double step)
{
    int decimals = (int)fmax(0, -floor(log10(step) + 1e-9));
    if (fabs(value) < step / 2)
        value = 0;
    snprintf(text, TICK_BYTES, "%.*f", decimals > 9 ? 9 : decimals, value);
}

static int widest_tick(const struct canvas *c)
{
    char text[TICK_BYTES];
    int widest = 0;
    for (int i = 0; i < c->y.ticks; i++) {
        print_tick(text, tick(&c->y, i), c->y.step);
        int width = (int)strlen(text);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static int column_of(const struct canvas *c, double x)
{
    double part = (x - c->x.low) / (c->x.high - c->x.low);
    return (int)lround(part * (c->width * c->across - 1));
}

static int row_of(const struct canvas *c, double y)
{
    double part = (c->y.high - y) / (c->y.high - c->y.low);
    return (int)lround(part * (c->height * c->down - 1));
}

static void put_dot(struct canvas *c, int column, int row, int series)
{
    static const uint8_t bits[DOTS_DOWN][DOTS_ACROSS] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    struct cell *cell =
        &c->cells[row / c->down * c->width + column / c->across];
    cell->dots |= bits[row % c->down][column % c->across];
    cell->series = (int8_t)series;
}

static void put_segment(struct canvas *c, int from_column, int from_row,
                        int to_column, int to_row, int series)
{
    int across = abs(to_column - from_column), down = abs(to_row - from_row);
    int steps = across > down ? across : down;
    for (int i = 0; i <= steps; i++) {
        double part = steps > 0 ? (double)i / steps : 0;
        put_dot(c, from_column + (int)lround(part * (to_column - from_column)),
                from_row + (int)lround(part * (to_row - from_row)), series);
    }
}

static void put_series(struct canvas *c, int s)
{
    const struct chart_series *series = &c->chart->series[s];
    int column = -1, row = -1;
    for (int i = 0; i < series->count; i++) {
        if (!isfinite(series->y[i]) || !isfinite(series->x[i]))
            continue;
        int to_column = column_of(c, series->x[i]);
        int to_row = row_of(c, series->y[i]);
        put_segment(c, column < 0 ? to_column : column, row < 0 ? to_row : row,
                    to_column, to_row, s);
        column = to_column;
        row = to_row;
    }
}

static enum style_name colour(int series)
{
    static const enum style_name colours[] = {STYLE_CYAN,    STYLE_YELLOW,
                                              STYLE_MAGENTA, STYLE_GREEN,
                                              STYLE_RED,     STYLE_BLUE};
    return colours[(size_t)series % (sizeof colours / sizeof *colours)];
}

static char letter(int series)
{
    return (char)('A' + series);
}

static void draw_cell(const struct canvas *c, const struct cell *cell)
{
    if (cell->series < 0) {
        fputc(' ', c->file);
        return;
    }
    fputs(style_code(c->style, colour(cell->series)), c->file);
    if (c->style->has_utf8)
        fprintf(c->file, "\xe2%c%c", 0xa0 + (cell->dots >> 6),
                0x80 + (cell->dots & 0x3f));
    else
        fputc(letter(cell->series), c->file);
    fputs(style_code(c->style, STYLE_PLAIN), c->file);
}

/* The last series point, as a row of cells; -1 when there is none. */
static int end_row(const struct canvas *c, int s)
{
    const struct chart_series *series = &c->chart->series[s];
    for (int i = series->count - 1; i >= 0; i--)
        if (isfinite(series->y[i]))
            return row_of(c, series->y[i]) / c->down;
    return -1;
}

/* Letters of the series whose last point is in this row. */
static void draw_ends(const struct canvas *c, int row, int blank)
{
    int used = 0;
    for (int s = 0; s < c->chart->count && used < MARGIN - 1; s++) {
        if (end_row(c, s) != row)
            continue;
        fprintf(c->file, "%*s%s%c%s", used == 0 ? blank + 1 : 0, "",
                style_code(c->style, colour(s)), letter(s),
                style_code(c->style, STYLE_PLAIN));
        used++;
    }
}

/* The tick that falls into a row of cells, as text, or "". */
static void label_of_row(const struct canvas *c, int row, char text[TICK_BYTES])
{
    text[0] = '\0';
    for (int i = 0; i < c->y.ticks; i++)
        if (row_of(c, tick(&c->y, i)) / c->down == row)
            print_tick(text, tick(&c->y, i), c->y.step);
}

/* Spaces at the end of a line are left out. */
static void draw_row(const struct canvas *c, int row)
{
    char text[TICK_BYTES];
    label_of_row(c, row, text);
    bool has_tick = text[0] != '\0';
    const char *axis = has_tick ? (c->style->has_utf8 ? "┤" : "+")
                                : (c->style->has_utf8 ? "│" : "|");
    fprintf(c->file, "%*s %s", c->gutter, text, axis);
    int drawn = c->width;
    while (drawn > 0 && c->cells[row * c->width + drawn - 1].series < 0)
        drawn--;
    for (int i = 0; i < drawn; i++)
        draw_cell(c, &c->cells[row * c->width + i]);
    draw_ends(c, row, c->width - drawn);
    fputc('\n', c->file);
}

static bool is_tick_column(const struct canvas *c, int column, double *value)
{
    for (int i = 0; i < c->x.ticks; i++) {
        *value = tick(&c->x, i);
        if (column_of(c, *value) / c->across == column)
            return true;
    }
    return false;
}

static void draw_x_axis(const struct canvas *c)
{
    double value;
    bool is_fancy = c->style->has_utf8;
    fprintf(c->file, "%*s %s", c->gutter, "", is_fancy ? "└" : "+");
    for (int i = 0; i < c->width; i++)
        fputs(is_tick_column(c, i, &value) ? (is_fancy ? "┬" : "+")
                                           : (is_fancy ? "─" : "-"),
              c->file);
    fputc('\n', c->file);
}

static void draw_x_labels(const struct canvas *c)
{
    char text[TICK_BYTES];
    double value;
    int used = 0;
    for (int i = 0; i < c->width; i++) {
        if (!is_tick_column(c, i, &value))
            continue;
        print_tick(text, value, c->x.step);
        int width = (int)strlen(text);
        int start = c->gutter + 2 + i - width / 2;
        if (start < used)
            continue;
        fprintf(c->file, "%*s%s", start - used, "", text);
        used = start + width + 1;
        fputc(' ', c->file);
    }
    fprintf(c->file, " %s\n", c->chart->x_label);
}

static void draw_legend(const struct canvas *c)
{
    int widest = 0;
    for (int s = 0; s < c->chart->count; s++) {
        int width = text_width(c->chart->series[s].name);
        widest = width > widest ? width : widest;
    }
    for (int s = 0; s < c->chart->count; s++) {
        const struct chart_series *series = &c->chart->series[s];
        fprintf(c->file, "  %s%c%s  %s%*s  %s\n",
                style_code(c->style, colour(s)), letter(s),
                style_code(c->style, STYLE_PLAIN), series->name,
                widest - text_width(series->name), "", series->note);
    }
}

static int at_least(int value, int least)
{
    return value > least ? value : least;
}

static void size_canvas(struct canvas *c)
{
    c->height = at_least(c->chart->height - 2, LEAST);
    c->width = at_least(c->chart->width - 2 * MARGIN - 4, LEAST);
    round_spans(c);
    c->gutter = widest_tick(c);
    c->width = at_least(c->chart->width - c->gutter - 2 - MARGIN, LEAST);
    round_spans(c);
    c->cells = xcalloc((size_t)c->width * (size_t)c->height, sizeof *c->cells);
    for (int i = 0; i < c->width * c->height; i++)
        c->cells[i].series = -1;
}

void chart_draw(const struct chart *chart, const struct style *style,
                FILE *file)
{
    struct canvas c = {.chart = chart, .style = style, .file = file};
    c.across = style->has_utf8 ? DOTS_ACROSS : 1;
    c.down = style->has_utf8 ? DOTS_DOWN : 1;
    if (!find_spans(&c))
        return;
    size_canvas(&c);
    /* The first series is drawn last: on top. */
    for (int s = chart->count - 1; s >= 0; s--)
        put_series(&c, s);
    fprintf(file, "%s%s%s\n", style_code(style, STYLE_BOLD), chart->title,
            style_code(style, STYLE_PLAIN));
    for (int row = 0; row < c.height; row++)
        draw_row(&c, row);
    draw_x_axis(&c);
    draw_x_labels(&c);
    draw_legend(&c);
    free(c.cells);
}
