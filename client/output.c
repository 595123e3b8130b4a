#include "client/output.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/text.h"
#include "schema/json.h"
#include "schema/memory.h"

enum { CELL_BYTES = 64 };

bool output_init(struct output *output, FILE *file, const char *format,
                 struct error *error)
{
    static const char *const names[] = {
#define FORMAT_NAME(name, suffix) #name,
        OUTPUT_FORMATS(FORMAT_NAME)};
    *output = (struct output){.file = file};
    style_init(&output->style, fileno(file));
    if (format == NULL)
        return true;
    for (int i = 0; i < OUTPUT_FORMAT_COUNT; i++) {
        if (strcmp(names[i], format) == 0) {
            output->format = (enum output_format)i;
            return true;
        }
    }
    return error_set(error, ERROR_PARAMS,
                     "--output: \"%s\" is not table, json, jsonl or csv",
                     format);
}

static void put_compact(FILE *file, const struct cJSON *value)
{
    size_t length;
    char *text = json_print(value, &length);
    fwrite(text, 1, length, file);
    free(text);
}

static void put_csv_field(FILE *file, const struct cJSON *value)
{
    char *text = text_of_value(value);
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, file);
    } else {
        fputc('"', file);
        for (const char *c = text; *c != '\0'; c++) {
            if (*c == '"')
                fputc('"', file);
            fputc(*c, file);
        }
        fputc('"', file);
    }
    free(text);
}

static void put_csv_header(const struct output *output)
{
    for (int i = 0; i < output->column_count; i++)
        fprintf(output->file, "%s%s", i > 0 ? "," : "", output->columns[i].key);
    fputc('\n', output->file);
}

static void put_csv_row(const struct output *output, const struct cJSON *row)
{
    for (int i = 0; i < output->column_count; i++) {
        if (i > 0)
            fputc(',', output->file);
        put_csv_field(output->file, cJSON_GetObjectItemCaseSensitive(
                                        row, output->columns[i].key));
    }
    fputc('\n', output->file);
}

void output_begin(struct output *output, const struct column *columns,
                  int column_count)
{
    output->columns = columns;
    output->column_count = column_count;
    output->rows = 0;
    if (output->format == OUTPUT_CSV)
        put_csv_header(output);
}

void output_row(struct output *output, const struct cJSON *row)
{
    switch (output->format) {
    case OUTPUT_JSON:
        fputs(output->rows == 0 ? "[\n  " : ",\n  ", output->file);
        put_compact(output->file, row);
        break;
    case OUTPUT_JSONL:
        output_line(output, row);
        break;
    case OUTPUT_CSV:
        put_csv_row(output, row);
        break;
    default:
        assert(!"tables come by pages");
    }
    output->rows++;
}

void output_rows(struct output *output, const struct cJSON *rows)
{
    const struct cJSON *row;
    if (output->format == OUTPUT_TABLE) {
        table_rows(output, rows);
        return;
    }
    cJSON_ArrayForEach(row, rows)
    {
        output_row(output, row);
    }
}

void output_end(struct output *output)
{
    if (output->format == OUTPUT_JSON)
        fputs(output->rows == 0 ? "[]\n" : "\n]\n", output->file);
    table_end(output);
    output->columns = NULL;
}

void output_line(struct output *output, const struct cJSON *value)
{
    put_compact(output->file, value);
    fputc('\n', output->file);
}

static bool is_flat(const struct cJSON *value)
{
    const struct cJSON *member;
    cJSON_ArrayForEach(member, value)
    {
        if (member->child != NULL)
            return false;
    }
    return true;
}

/* Lists of flat things keep each of them on one line. */
static void put_pretty(FILE *file, const struct cJSON *value, int depth)
{
    bool is_list = cJSON_IsArray(value);
    if (value->child == NULL || (is_flat(value) && (is_list || depth > 1))) {
        put_compact(file, value);
        return;
    }
    fputc(is_list ? '[' : '{', file);
    for (const struct cJSON *m = value->child; m != NULL; m = m->next) {
        fprintf(file, "%s\n%*s", m == value->child ? "" : ",", 2 * depth + 2,
                "");
        if (!is_list) {
            struct cJSON *key = cJSON_CreateString(m->string);
            put_compact(file, key);
            cJSON_Delete(key);
            fputs(": ", file);
        }
        put_pretty(file, m, depth + 1);
    }
    fprintf(file, "\n%*s%c", 2 * depth, "", is_list ? ']' : '}');
}

void output_json(struct output *output, const struct cJSON *value)
{
    put_pretty(output->file, value, 0);
    fputc('\n', output->file);
}

static void put_members(struct output *output, const struct cJSON *object)
{
    int width = 0;
    for (int i = 0; i < output->column_count; i++) {
        const struct column *column = &output->columns[i];
        const char *name = column->heading ? column->heading : column->key;
        if (column->in_table && text_width(name) > width)
            width = text_width(name);
    }
    for (int i = 0; i < output->column_count; i++) {
        const struct column *column = &output->columns[i];
        const char *name = column->heading ? column->heading : column->key;
        if (!column->in_table)
            continue;
        char *cell = output_cell(
            column, cJSON_GetObjectItemCaseSensitive(object, column->key));
        fprintf(output->file, "%s%s%s%*s  %s\n",
                style_code(&output->style, STYLE_DIM), name,
                style_code(&output->style, STYLE_PLAIN),
                width - text_width(name), "", cell);
        free(cell);
    }
}

void output_object(struct output *output, const struct cJSON *object,
                   const struct column *columns, int column_count)
{
    output->columns = columns;
    output->column_count = column_count;
    switch (output->format) {
    case OUTPUT_JSON:
        output_json(output, object);
        break;
    case OUTPUT_JSONL:
        output_line(output, object);
        break;
    case OUTPUT_CSV:
        put_csv_header(output);
        put_csv_row(output, object);
        break;
    default:
        put_members(output, object);
    }
    output->columns = NULL;
}

char *output_cell(const struct column *column, const struct cJSON *value)
{
    char text[CELL_BYTES];
    double number = cJSON_IsNumber(value) ? value->valuedouble : NAN;
    if (cJSON_IsString(value))
        return text_cleaned(value->valuestring);
    if (cJSON_IsBool(value))
        return xstrdup(cJSON_IsTrue(value) ? "true" : "false");
    switch (column->format) {
    case COLUMN_PERCENT:
        text_percent(text, sizeof text, number);
        break;
    case COLUMN_TIME:
        text_time(text, sizeof text, number);
        break;
    case COLUMN_DURATION:
        text_duration(text, sizeof text, number);
        break;
    default:
        text_number(text, sizeof text, number);
    }
    return xstrdup(text);
}

bool output_flush(struct output *output, bool *is_pipe_closed,
                  struct error *error)
{
    *is_pipe_closed = false;
    errno = 0;
    if (fflush(output->file) == 0 && !ferror(output->file))
        return true;
    *is_pipe_closed = errno == EPIPE;
    return error_set(error, ERROR_IO, "cannot write the output: %s",
                     errno != 0 ? strerror(errno) : "a write failed");
}
