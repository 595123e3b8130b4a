#include <cjson/cJSON.h>
#include <math.h>

#include "daemon/columns.h"
#include "daemon/query.h"
#include "schema/json.h"

static const struct field fields[] = {
    {"id", row_integer},        {"name", row_text},       {"owner", row_text},
    {"job_count", row_integer}, {"is_kept", row_boolean},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static bool write_counts(const struct question *question, int64_t sweep,
                         struct cJSON *object, bool *is_final,
                         struct error *error)
{
    int64_t counts[JOB_STATE_COUNT] = {0};
    struct statement *s =
        db_sql(question->db, "SELECT state, count FROM job_count "
                             "WHERE sweep_id = ? AND count > 0");
    bind_integer(s, sweep);
    *is_final = true;
    while (statement_next(s)) {
        int state = job_state_find(column_text(s, 0));
        counts[state] = column_integer(s, 1);
        *is_final = *is_final && job_is_final((enum job_state)state);
    }
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        cJSON_AddItemToObjectCS(object, job_state_name((enum job_state)i),
                                json_integer(counts[i]));
    return statement_finish(s, error);
}

bool query_sweep_write(const struct question *question, int64_t id,
                       struct cJSON **sweep, struct error *error)
{
    bool is_final = false;
    *sweep = cJSON_CreateObject();
    struct statement *s =
        db_sql(question->db, "SELECT id, name, owner, job_count, is_kept, "
                             "submitted_at, finished_at" CONTROL_COLUMNS
                             " FROM sweep WHERE id = ?");
    bind_integer(s, id);
    double submitted_at = 0, finished_at = NAN;
    struct controls controls;
    controls_init(&controls);
    while (statement_next(s)) {
        row_fields(*sweep, fields, FIELD_COUNT, s, 0);
        submitted_at = column_real(s, FIELD_COUNT);
        finished_at = column_real(s, FIELD_COUNT + 1);
        controls_load(s, FIELD_COUNT + 2, &controls);
    }
    if (!statement_finish(s, error) ||
        !write_counts(question, id, *sweep, &is_final, error))
        return false;
    cJSON_AddItemToObjectCS(*sweep, "submitted_at", json_number(submitted_at));
    controls_write(&controls, *sweep);
    cJSON_AddItemToObjectCS(*sweep, "finished_at",
                            json_number(is_final ? finished_at : NAN));
    return true;
}

/* The next older sweep; 0: none. */
static bool next_sweep(const struct question *question, int64_t before,
                       int64_t *sweep, struct error *error)
{
    struct statement *s =
        db_sql(question->db, "SELECT max(id) FROM sweep WHERE id < ? "
                             "AND is_hidden = 0 AND is_complete");
    bind_integer(s, before);
    while (statement_next(s))
        *sweep = column_integer_or(s, 0, 0);
    return statement_finish(s, error);
}

static bool fill(const struct question *question, struct page *page,
                 int64_t *next, struct error *error)
{
    int64_t last = page->after ? page->after : INT64_MAX;
    for (;;) {
        int64_t id = 0;
        if (!next_sweep(question, last, &id, error))
            return false;
        *next = id ? last : 0;
        if (!id || page_is_full(page))
            return true;
        struct cJSON *sweep;
        bool is_fine = query_sweep_write(question, id, &sweep, error);
        page_add(page, sweep);
        if (!is_fine)
            return false;
        last = id;
    }
}

struct cJSON *query_sweeps(const struct question *question, struct error *error)
{
    struct page page;
    int64_t next;
    struct cJSON *answer = cJSON_CreateObject();
    struct cJSON *sweeps = cJSON_AddArrayToObject(answer, "sweeps");
    if (page_init(&page, question, sweeps, error) &&
        fill(question, &page, &next, error)) {
        page_end(answer, next);
        return answer;
    }
    cJSON_Delete(answer);
    return NULL;
}
