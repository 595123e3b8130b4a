/* What jobs came to: a row each, or statistics over groups of them. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/metrics.h"
#include "daemon/query.h"
#include "daemon/query_groups.h"
#include "schema/json.h"
#include "schema/memory.h"

#define METRIC_FIELD(kind, column) {#kind "_" #column, row_real},
static const struct field fields[] = {
    {"epoch", row_integer},
    METRICS(METRIC_FIELD){"diverged_epoch", row_integer},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static struct cJSON *write_job(struct statement *s,
                               const struct varying *varying)
{
    struct cJSON *row = cJSON_CreateObject();
    row_integer(row, "job", s, 0);
    row_text(row, "state", s, 1);
    varying_write_row(varying, row, s, 2 + FIELD_COUNT);
    row_fields(row, fields, FIELD_COUNT, s, 2);
    return row;
}

static bool fill(const struct question *question, const struct target *target,
                 const struct varying *varying, struct page *page,
                 int64_t *next, struct error *error)
{
    struct target rest = *target;
    if (rest.first <= page->after)
        rest.first = page->after + 1;
    struct statement *s = db_sql(
        question->db,
        "SELECT j.id, j.state, min(r.epochs_done, j.nb_epochs)" METRIC_COLUMNS
        ", " DIVERGED_EPOCH SETTING_COLUMNS
        " FROM job j CROSS JOIN run r ON r.id = j.run_id WHERE " TARGET_RESULTS
        " ORDER BY j.id");
    target_bind_results(s, &rest);
    int64_t last = 0;
    *next = 0;
    while (statement_next(s)) {
        if (page_is_full(page)) {
            *next = last;
            break;
        }
        last = column_integer(s, 0);
        page_add(page, write_job(s, varying));
    }
    return statement_finish(s, error);
}

struct cJSON *query_results(const struct question *question,
                            struct error *error)
{
    struct target target;
    struct varying varying;
    struct page page;
    int64_t next = 0;
    const struct cJSON *by =
        cJSON_GetObjectItemCaseSensitive(question->params, "by");
    struct cJSON *answer = cJSON_CreateObject();
    struct cJSON *rows = cJSON_AddArrayToObject(answer, "rows");
    if (page_init(&page, question, rows, error) &&
        question_target(question, &target, error) &&
        (by && !cJSON_IsNull(by)
             ? query_groups(question, &target, by, &varying, &page, error)
             : varying_find(question, &target, &varying, error) &&
                   fill(question, &target, &varying, &page, &next, error))) {
        varying_write(&varying, answer);
        page_end(answer, next);
        return answer;
    }
    cJSON_Delete(answer);
    return NULL;
}
