#include "daemon/query.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "schema/json.h"
#include "schema/message.h"

enum {
    LIMIT_MOST = 10000,
    LIMIT_INITIAL = 1000,
    PAGE_BYTES = MESSAGE_BYTES_MAX - 65536, /* the rest of the message */
};

static const struct {
    const char *method;
    query_function *run;
} queries[] = {
    {"list", query_list},         {"sweeps", query_sweeps},
    {"show", query_show},         {"history", query_history},
    {"results", query_results},   {"counts", query_counts},
    {"explain", query_explain},   {"verification", query_verification},
    {"deletion", query_deletion}, {"events", query_events},
    {"fsck", query_fsck},         {"backup", query_backup},
};

query_function *query_find(const char *method)
{
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        if (!strcmp(queries[i].method, method))
            return queries[i].run;
    return NULL;
}

/* Pages. */

bool page_init(struct page *page, const struct question *question,
               struct cJSON *rows, struct error *error)
{
    *page = (struct page){.rows = rows};
    page->limit = json_integer_or(question->params, "limit", LIMIT_INITIAL);
    page->after = json_integer_or(question->params, "after", 0);
    if (page->limit < 1 || page->limit > LIMIT_MOST)
        return error_set(error, ERROR_PARAMS,
                         "\"limit\" is %lld, expected 1 to %d",
                         (long long)page->limit, LIMIT_MOST);
    if (page->after < 0)
        return error_set(error, ERROR_PARAMS,
                         "\"after\" is %lld, expected 0 or \"next\" of the "
                         "page before",
                         (long long)page->after);
    return true;
}

bool page_is_full(const struct page *page)
{
    return page->count >= page->limit || page->bytes > PAGE_BYTES;
}

/* No less than the row takes when printed. */
static int64_t weigh(const struct cJSON *row)
{
    int64_t bytes = 3;
    const struct cJSON *item;
    cJSON_ArrayForEach(item, row)
    {
        bytes += (int64_t)strlen(item->string) + 4;
        bytes += cJSON_IsString(item) ? (int64_t)strlen(item->valuestring) + 2
                                      : JSON_NUMBER_BYTES;
    }
    return bytes;
}

void page_add(struct page *page, struct cJSON *row)
{
    page->count++;
    page->bytes += weigh(row);
    cJSON_AddItemToArray(page->rows, row);
}

void page_end(struct cJSON *answer, int64_t next)
{
    cJSON_AddItemToObject(answer, "next",
                          next ? json_integer(next) : cJSON_CreateNull());
}

bool question_target(const struct question *question, struct target *target,
                     struct error *error)
{
    const char *text;
    return json_get_text(question->params, "target", &text, error) &&
           target_find(question->db, text, question->caller, target, error);
}

/* Rows. */

void row_integer(struct cJSON *row, const char *name, struct statement *s,
                 int column)
{
    cJSON_AddItemToObjectCS(row, name,
                            column_is_null(s, column)
                                ? cJSON_CreateNull()
                                : json_integer(column_integer(s, column)));
}

void row_real(struct cJSON *row, const char *name, struct statement *s,
              int column)
{
    cJSON_AddItemToObjectCS(row, name, json_number(column_real(s, column)));
}

void row_boolean(struct cJSON *row, const char *name, struct statement *s,
                 int column)
{
    cJSON_AddBoolToObject(row, name, column_integer(s, column) != 0);
}

void row_text(struct cJSON *row, const char *name, struct statement *s,
              int column)
{
    const char *text = column_text(s, column);
    cJSON_AddItemToObjectCS(
        row, name, text ? cJSON_CreateString(text) : cJSON_CreateNull());
}

void row_fields(struct cJSON *row, const struct field *fields, int count,
                struct statement *s, int first)
{
    for (int i = 0; i < count; i++)
        fields[i].write(row, fields[i].name, s, first + i);
}
