/* output.h: what a command found, as table, json, jsonl or csv on stdout.
 *
 * One place for all commands.  Rows are flat JSON objects as the daemon sends
 * them and come page by page:
 *
 *     output_begin(output, columns, count);
 *     output_rows(output, page);             again and again
 *     output_end(output);                    closes the array, prints headers
 *                                            that no row brought
 * A table shows the columns that are `in_table`, for people: local times,
 * percent where the heading says so.  Data formats hold every column under
 * its key, as protocol.md has it.  Nothing is cut unless a terminal is too
 * narrow: see table.c.
 */
#ifndef CLIENT_OUTPUT_H
#define CLIENT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/style.h"
#include "schema/error.h"

struct cJSON;

/* X(name in -o, C suffix) */
#define OUTPUT_FORMATS(X)                                                      \
    X(table, TABLE) X(json, JSON) X(jsonl, JSONL) X(csv, CSV)
#define OUTPUT_FORMAT_ENUM(name, suffix) OUTPUT_##suffix,
enum output_format { OUTPUT_FORMATS(OUTPUT_FORMAT_ENUM) OUTPUT_FORMAT_COUNT };

enum column_format {
    COLUMN_TEXT,
    COLUMN_STATE,    /* of a job: coloured */
    COLUMN_NUMBER,   /* six digits, right-aligned as all that follow */
    COLUMN_PERCENT,  /* a fraction; the heading says % */
    COLUMN_TIME,     /* local time */
    COLUMN_DURATION, /* seconds */
};

struct column {
    const char *key;
    const char *heading; /* NULL: the key with spaces */
    enum column_format format;
    bool in_table;
};

struct output {
    FILE *file;
    enum output_format format;
    struct style style;
    const struct column *columns; /* borrowed from begin to end */
    int column_count;
    int *widths; /* of the table, set by its first page */
    int64_t rows;
};

/* False with a sentence when there is no format of that name (NULL: table). */
bool output_init(struct output *output, FILE *file, const char *format,
                 struct error *error);

void output_begin(struct output *output, const struct column *columns,
                  int column_count);
void output_rows(struct output *output, const struct cJSON *rows);
void output_row(struct output *output, const struct cJSON *row); /* no table */
void output_end(struct output *output);

/* One object: a table of its scalar members, an object of json (over several
 * lines), a line, or a header and a row. */
void output_object(struct output *output, const struct cJSON *object,
                   const struct column *columns, int column_count);

/* Any value as json of several lines, and as a line. */
void output_json(struct output *output, const struct cJSON *value);
void output_line(struct output *output, const struct cJSON *value);

/* The cell of a table: new text, the caller's. */
char *output_cell(const struct column *column, const struct cJSON *value);

/* Whatever is still in a buffer is written; false when that, or anything
 * before it, could not be.  `is_pipe_closed`: because nobody reads it. */
bool output_flush(struct output *output, bool *is_pipe_closed,
                  struct error *error);

/* table.c */
void table_rows(struct output *output, const struct cJSON *rows);
void table_end(struct output *output);

#endif
