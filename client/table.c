/* table.c: rows as a table for people (output.h).
 *
 * The first page decides the widths; a wider cell later pushes its line to
 * the right rather than being cut.  On a terminal that is too narrow headings
 * are wrapped at spaces, then the widest text columns shrink, then the last
 * columns are left out, which is said at the end.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "client/output.h"
#include "client/text.h"
#include "schema/memory.h"

enum { GAP = 2, TEXT_LEAST = 8 };

static const char *heading_of(const struct column *column)
{
    return column->heading != NULL ? column->heading : column->key;
}

static bool is_right(const struct column *column)
{
    return column->format >= COLUMN_NUMBER;
}

static int longest_word(const char *heading)
{
    int longest = 0;
    while (*heading != '\0') {
        int length = (int)strcspn(heading, " ");
        longest = length > longest ? length : longest;
        heading += length + (heading[length] == ' ');
    }
    return longest;
}

static bool is_shown(const struct output *output, int i)
{
    return output->columns[i].in_table && output->widths[i] >= 0;
}

static int total(const struct output *output)
{
    int sum = -GAP;
    for (int i = 0; i < output->column_count; i++)
        if (is_shown(output, i))
            sum += output->widths[i] + GAP;
    return sum;
}

static int widest_cell(const struct column *column, const struct cJSON *rows)
{
    const struct cJSON *row;
    int widest = 0;
    cJSON_ArrayForEach(row, rows)
    {
        char *cell = output_cell(
            column, cJSON_GetObjectItemCaseSensitive(row, column->key));
        int width = text_width(cell);
        widest = width > widest ? width : widest;
        free(cell);
    }
    return widest;
}

/* Widths that cells and headings ask for, headings wrapped or whole. */
static void ask_widths(struct output *output, const int *cells, bool is_wrapped)
{
    for (int i = 0; i < output->column_count; i++) {
        if (!is_shown(output, i))
            continue;
        const char *heading = heading_of(&output->columns[i]);
        int width = is_wrapped ? longest_word(heading) : text_width(heading);
        output->widths[i] = cells[i] > width ? cells[i] : width;
    }
}

/* The text column with most to spare, or -1 when none can be narrower. */
static int widest_text(const struct output *output)
{
    int widest = -1;
    for (int i = 0; i < output->column_count; i++) {
        const struct column *column = &output->columns[i];
        if (is_shown(output, i) && column->format == COLUMN_TEXT &&
            output->widths[i] > TEXT_LEAST &&
            output->widths[i] > longest_word(heading_of(column)) &&
            (widest < 0 || output->widths[i] > output->widths[widest]))
            widest = i;
    }
    return widest;
}

/* False when the columns that are shown do not fit whatever is tried. */
static bool fit(struct output *output, const int *cells)
{
    ask_widths(output, cells, false);
    if (total(output) > output->style.width)
        ask_widths(output, cells, true);
    int widest;
    while (total(output) > output->style.width &&
           (widest = widest_text(output)) >= 0)
        output->widths[widest]--;
    return total(output) <= output->style.width;
}

/* The first column always stays. */
static void lay_out(struct output *output, const struct cJSON *rows)
{
    size_t count = (size_t)output->column_count;
    output->widths = xcalloc(count, sizeof *output->widths);
    int *cells = xcalloc(count, sizeof *cells);
    for (size_t i = 0; i < count; i++)
        if (output->columns[i].in_table)
            cells[i] = widest_cell(&output->columns[i], rows);
    for (int last = output->column_count - 1; !fit(output, cells) && last > 0;
         last--)
        output->widths[last] = -1;
    free(cells);
}

void table_end(struct output *output)
{
    const char *before = "not shown for lack of width: ";
    for (int i = 0; output->widths != NULL && i < output->column_count; i++) {
        const struct column *column = &output->columns[i];
        if (!column->in_table || output->widths[i] >= 0)
            continue;
        fprintf(stderr, "%s%s", before, heading_of(column));
        before = ", ";
    }
    if (*before == ',')
        fputc('\n', stderr);
    free(output->widths);
    output->widths = NULL;
}

/* Bytes of the first line of `heading` when wrapped to `width`. */
static size_t first_line(const char *heading, int width)
{
    size_t fits = strcspn(heading, " ");
    while (heading[fits] == ' ') {
        size_t next = fits + 1 + strcspn(heading + fits + 1, " ");
        if (next > (size_t)width)
            break;
        fits = next;
    }
    return fits;
}

static int line_count(const char *heading, int width)
{
    int lines = 0;
    while (*heading != '\0') {
        heading += first_line(heading, width);
        heading += *heading == ' ';
        lines++;
    }
    return lines;
}

/* Line `line` of the wrapped heading, counted from 0; "" beyond. */
static void heading_line(const char *heading, int width, int line, char *text,
                         size_t bytes)
{
    text[0] = '\0';
    for (int i = 0; i <= line && line >= 0; i++) {
        size_t length = first_line(heading, width);
        if (i == line)
            text_clean(text, length + 1 < bytes ? length + 1 : bytes, heading);
        heading += length;
        heading += *heading == ' ';
    }
}

/* Adds a cell to a line under way; `used` counts the cells of the screen. */
static void put_cell(const struct output *output, int i, const char *text,
                     enum style_name style, int *used)
{
    const struct style *s = &output->style;
    int room = s->width - *used, width = text_width(text);
    if (room <= 0)
        return;
    if (s->is_terminal && room > output->widths[i])
        room = output->widths[i];
    size_t bytes = s->is_terminal ? text_fitting(text, room) : strlen(text);
    bool is_cut = text[bytes] != '\0';
    if (is_cut)
        bytes = text_fitting(text, room - 1), width = room;
    int pad = output->widths[i] - width;
    int before = is_right(&output->columns[i]) && pad > 0 ? pad : 0;
    fprintf(output->file, "%*s%s%.*s%s%s", before, "",
            style != STYLE_PLAIN ? style_code(s, style) : "", (int)bytes, text,
            is_cut ? (s->has_utf8 ? "…" : "~") : "",
            style != STYLE_PLAIN ? style_code(s, STYLE_PLAIN) : "");
    *used += before + width;
}

/* Spaces up to where column `i` begins or, on the right, its gap. */
static void put_gap(const struct output *output, int to, int *used)
{
    if (to > output->style.width)
        to = output->style.width;
    int spaces = to - *used;
    if (spaces <= 0)
        spaces = *used > 0 && *used < output->style.width ? GAP : 0;
    fprintf(output->file, "%*s", spaces, "");
    *used += spaces;
}

typedef char *cell_text(const struct output *output, int i, const void *from,
                        enum style_name *style);

static void put_line(const struct output *output, cell_text *text,
                     const void *from)
{
    int used = 0, start = 0;
    for (int i = 0; i < output->column_count; i++) {
        if (!is_shown(output, i))
            continue;
        enum style_name style = STYLE_PLAIN;
        char *cell = text(output, i, from, &style);
        if (*cell != '\0') {
            put_gap(output, start, &used);
            put_cell(output, i, cell, style, &used);
        }
        free(cell);
        start += output->widths[i] + GAP;
    }
    fputc('\n', output->file);
}

static char *row_cell(const struct output *output, int i, const void *from,
                      enum style_name *style)
{
    const struct column *column = &output->columns[i];
    const struct cJSON *value =
        cJSON_GetObjectItemCaseSensitive(from, column->key);
    if (column->format == COLUMN_STATE && cJSON_IsString(value))
        *style = style_of_state(value->valuestring);
    return output_cell(column, value);
}

struct heading_row {
    int line, lines;
};

static char *heading_cell(const struct output *output, int i, const void *from,
                          enum style_name *style)
{
    const struct heading_row *row = from;
    const char *heading = heading_of(&output->columns[i]);
    int width = output->widths[i];
    char text[128];
    heading_line(heading, width,
                 row->line - row->lines + line_count(heading, width), text,
                 sizeof text);
    *style = STYLE_BOLD;
    return xstrdup(text);
}

static void put_header(struct output *output)
{
    struct heading_row row = {.lines = 1};
    for (int i = 0; i < output->column_count; i++) {
        if (!is_shown(output, i))
            continue;
        int lines =
            line_count(heading_of(&output->columns[i]), output->widths[i]);
        if (lines > row.lines)
            row.lines = lines;
    }
    for (; row.line < row.lines; row.line++)
        put_line(output, heading_cell, &row);
}

void table_rows(struct output *output, const struct cJSON *rows)
{
    const struct cJSON *row;
    if (output->widths == NULL && rows->child != NULL) {
        lay_out(output, rows);
        put_header(output);
    }
    cJSON_ArrayForEach(row, rows)
    {
        put_line(output, row_cell, row);
        output->rows++;
    }
}
