#include <cjson/cJSON.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/metrics.h"
#include "daemon/query.h"
#include "schema/json.h"
#include "schema/nearest.h"

static const struct field fields[] = {
    {"id", row_integer},          {"sweep_id", row_integer},
    {"sweep", row_text},          {"position", row_integer},
    {"run_id", row_integer},      {"key", row_text},
    {"replica", row_integer},     {"verifies", row_integer},
    {"owner", row_text},          {"state", row_text},
    {"epoch", row_integer},       {"nb_epochs", row_integer},
    {"priority", row_integer},    {"attempts", row_integer},
    {"reason", row_text},         {"submitted_at", row_real},
    {"started_at", row_real},     {"finished_at", row_real},
    {"train_accuracy", row_real}, {"test_accuracy", row_real},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* The last row is the one with the highest step that is the job's. */
#define JOBS                                                                   \
    "SELECT j.id, j.sweep_id, s.name, j.position, j.run_id, r.key, "           \
    "r.replica, "                                                              \
    "j.verifies, s.owner, "                                                    \
    "j.state, min(r.epochs_done, j.nb_epochs), j.nb_epochs, j.priority, "      \
    "j.attempts, j.reason, j.submitted_at, j.started_at, j.finished_at, "      \
    "l.train_accuracy, l.test_accuracy" SETTING_COLUMNS " FROM job j "         \
    "CROSS JOIN run r ON r.id = j.run_id "                                     \
    "CROSS JOIN sweep s ON s.id = j.sweep_id LEFT JOIN history l "             \
    "ON l.run_id = j.run_id AND l.step = (SELECT max(h.step) FROM history h "  \
    "WHERE " JOB_ROWS ") WHERE "

static struct cJSON *write_job(struct statement *s)
{
    struct cJSON *job = cJSON_CreateObject();
    row_fields(job, fields, FIELD_COUNT, s, 0);
    struct varying all = {.count = 0};
    for (int i = 0; i < setting_count; i++)
        if (strcmp(setting_table[i].name, "nb_epochs")) /* is there */
            all.indexes[all.count++] = i;
    varying_write_row(&all, job, s, FIELD_COUNT);
    return job;
}

bool query_job_write(const struct question *question, int64_t id,
                     struct cJSON **job, struct error *error)
{
    struct statement *s = db_sql(question->db, JOBS "j.id = ?");
    bind_integer(s, id);
    while (statement_next(s))
        *job = write_job(s);
    return statement_finish(s, error);
}

static bool check_state(const char *state, struct error *error)
{
    if (!state || job_state_find(state) >= 0)
        return true;
    struct nearest nearest;
    nearest_init(&nearest, state);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        nearest_try(&nearest, job_state_name((enum job_state)i));
    if (nearest.word)
        return error_set(error, ERROR_PARAMS,
                         "\"state\" is \"%s\", did you mean \"%s\"?", state,
                         nearest.word);
    return error_set(error, ERROR_PARAMS,
                     "\"state\" is \"%s\", expected held, queued, running, "
                     "done, failed or cancelled",
                     state);
}

/* *last: the id of the page's last job so far; *next becomes it when there are
 * more. */
static bool fill(struct statement *s, struct page *page, int64_t *last,
                 int64_t *next, struct error *error)
{
    while (statement_next(s)) {
        if (page_is_full(page)) {
            *next = *last;
            break;
        }
        *last = column_integer(s, 0);
        page_add(page, write_job(s));
    }
    return statement_finish(s, error);
}

/* The ids that were reserved for the newest sweep that is still going in and
 * begins below `end`; 0 and 0: none does. */
static bool find_hole(const struct question *question, int64_t end,
                      int64_t *first, int64_t *last, struct error *error)
{
    struct statement *s =
        db_sql(question->db, "SELECT j.id, j.id + s.job_count - 1 "
                             "FROM sweep s INDEXED BY sweep_incomplete "
                             "CROSS JOIN job j ON j.sweep_id = s.id "
                             "AND j.position = 0 WHERE s.is_complete = 0 "
                             "AND +j.id < ? ORDER BY +j.id DESC LIMIT 1");
    bind_integer(s, end);
    *first = *last = 0;
    while (statement_next(s)) {
        *first = column_integer(s, 0);
        *last = column_integer(s, 1);
    }
    return statement_finish(s, error);
}

/* Newest first: `after` is the lowest id of the page before.  A sweep that is
 * still going in may have a million jobs, which are stepped over. */
static bool fill_all(const struct question *question, struct page *page,
                     const char *state, int64_t *next, struct error *error)
{
    int64_t end = page->after ? page->after : INT64_MAX;
    int64_t last = 0, first, hole;
    do {
        if (!find_hole(question, end, &first, &hole, error))
            return false;
        struct statement *s = db_sql(
            question->db, JOBS "j.id < ? AND j.id > ? AND r.replica >= 0 AND "
                               "ifnull(+j.state = ?, 1) ORDER BY j.id DESC");
        bind_integer(s, end);
        bind_integer(s, hole);
        bind_text(s, state);
        if (!fill(s, page, &last, next, error))
            return false;
        end = first;
    } while (end && !*next);
    return true;
}

static bool fill_target(const struct question *question,
                        const struct target *target, struct page *page,
                        const char *state, int64_t *next, struct error *error)
{
    int64_t last = 0;
    struct statement *s = db_sql(question->db, JOBS TARGET_RESULTS
                                 " AND ifnull(+j.state = ?, 1) ORDER BY j.id");
    struct target rest = *target;
    if (rest.first <= page->after)
        rest.first = page->after + 1;
    target_bind_results(s, &rest);
    bind_text(s, state);
    return fill(s, page, &last, next, error);
}

struct cJSON *query_list(const struct question *question, struct error *error)
{
    const char *text = json_text_or(question->params, "target", NULL);
    const char *state = json_text_or(question->params, "state", NULL);
    struct target target;
    struct page page;
    int64_t next = 0;
    struct cJSON *answer = cJSON_CreateObject();
    struct cJSON *jobs = cJSON_AddArrayToObject(answer, "jobs");
    if (page_init(&page, question, jobs, error) && check_state(state, error) &&
        (!text || question_target(question, &target, error)) &&
        (text ? fill_target(question, &target, &page, state, &next, error)
              : fill_all(question, &page, state, &next, error))) {
        page_end(answer, next);
        return answer;
    }
    cJSON_Delete(answer);
    return NULL;
}
