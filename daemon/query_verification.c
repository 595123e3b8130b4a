/* How the jobs of a verification fare, by the jobs they verify. */
#include <cjson/cJSON.h>

#include "daemon/query.h"

static const struct field fields[] = {
    {"job", row_integer}, {"verified_by", row_integer}, {"label", row_text},
    {"state", row_text},  {"nb_epochs", row_integer},   {"rows", row_integer},
    {"reason", row_text},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static bool fill(const struct question *question, const struct target *target,
                 struct page *page, int64_t *next, struct error *error)
{
    struct target rest = *target;
    if (rest.first <= page->after)
        rest.first = page->after + 1;
    struct statement *s =
        db_sql(question->db,
               "SELECT j.verifies, j.id, j.label, j.state, j.nb_epochs, "
               "(SELECT count(*) FROM history h WHERE h.run_id = j.run_id), "
               "j.reason FROM job j WHERE " TARGET_JOBS
               " AND j.verifies IS NOT NULL ORDER BY j.id");
    target_bind(s, &rest);
    int64_t last = 0;
    *next = 0;
    while (statement_next(s)) {
        if (page_is_full(page)) {
            *next = last;
            break;
        }
        last = column_integer(s, 1);
        struct cJSON *row = cJSON_CreateObject();
        row_fields(row, fields, FIELD_COUNT, s, 0);
        page_add(page, row);
    }
    return statement_finish(s, error);
}

struct cJSON *query_verification(const struct question *question,
                                 struct error *error)
{
    struct target target;
    struct page page;
    int64_t next;
    struct cJSON *answer = cJSON_CreateObject();
    struct cJSON *rows = cJSON_AddArrayToObject(answer, "rows");
    if (page_init(&page, question, rows, error) &&
        question_target(question, &target, error) &&
        fill(question, &target, &page, &next, error)) {
        page_end(answer, next);
        return answer;
    }
    cJSON_Delete(answer);
    return NULL;
}
