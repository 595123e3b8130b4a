/* Rows of jobs, in the order of job and step.
 *
 * `next` is one number, for a place in a list of two keys: how many ids the
 * job is behind the target's first, and the step.
 */
#include <cjson/cJSON.h>

#include "daemon/columns.h"
#include "daemon/metrics.h"
#include "daemon/query.h"
#include "schema/json.h"

#define STEPS_MAX (INT64_C(1) << 33) /* JOBS_MAX times this is 2^53 */
#define JOBS_MAX (INT64_C(1) << 20)

static const struct field fields[] = {
    {"step", row_integer},        {"epoch", row_integer},
    {"train_accuracy", row_real}, {"train_loss", row_real},
    {"valid_accuracy", row_real}, {"valid_loss", row_real},
    {"test_accuracy", row_real},  {"test_loss", row_real},
    {"state_hash", row_text},     {"seconds", row_real},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

struct place {
    int64_t job, step; /* of the last row that was given; -1: none of it */
};

static struct place read_place(const struct target *target,
                               const struct page *page)
{
    if (!page->after)
        return (struct place){target->first, -1};
    return (struct place){target->first + (page->after - 1) / STEPS_MAX,
                          (page->after - 1) % STEPS_MAX};
}

static bool write_place(const struct target *target, const struct place *place,
                        int64_t *next, struct error *error)
{
    int64_t jobs = place->job - target->first;
    if (jobs >= JOBS_MAX || place->step >= STEPS_MAX - 1)
        return error_set(error, ERROR_TOO_LARGE,
                         "history of more than %lld jobs or steps: ask for "
                         "fewer jobs at a time",
                         (long long)(jobs >= JOBS_MAX ? JOBS_MAX : STEPS_MAX));
    *next = jobs * STEPS_MAX + place->step + 1;
    return true;
}

static struct cJSON *write_row(struct statement *s,
                               const struct varying *varying)
{
    struct cJSON *row = cJSON_CreateObject();
    row_integer(row, "job", s, 0);
    for (int i = 0; i < varying->count; i++)
        row_setting(row, s, 1 + FIELD_COUNT, varying->indexes[i]);
    row_fields(row, fields, FIELD_COUNT, s, 1);
    return row;
}

/* One job's rows behind `place`. */
static bool fill_job(const struct question *question,
                     const struct target *target, struct place *place,
                     const struct varying *varying, struct page *page,
                     bool *is_full, struct error *error)
{
    struct statement *s = db_sql(
        question->db,
        "SELECT j.id, h.step, h.epoch, h.train_accuracy, h.train_loss, "
        "h.valid_accuracy, h.valid_loss, h.test_accuracy, h.test_loss, "
        "h.state_hash, h.seconds" SETTING_COLUMNS " FROM job j CROSS JOIN run "
        "r ON r.id = j.run_id CROSS JOIN history h ON " JOB_ROWS
        " WHERE j.id = ? AND h.step > ? AND +r.replica >= ? "
        "ORDER BY h.step");
    bind_integer(s, place->job);
    bind_integer(s, place->step);
    bind_integer(s, target->has_hidden ? INT64_MIN : 0);
    while (!*is_full && statement_next(s)) {
        if (page_is_full(page)) {
            *is_full = true;
            break;
        }
        page_add(page, write_row(s, varying));
        place->step = column_integer(s, 1);
    }
    return statement_finish(s, error);
}

/* The job of the target after `after` that has rows; 0: none. */
static bool next_job(const struct question *question,
                     const struct target *target, int64_t after, int64_t *job,
                     struct error *error)
{
    struct target rest = *target;
    rest.first = after + 1;
    struct statement *s =
        db_sql(question->db,
               "SELECT j.id FROM job j CROSS JOIN run r ON r.id = j.run_id "
               "WHERE " TARGET_RESULTS " AND r.step IS NOT NULL "
               "ORDER BY j.id LIMIT 1");
    target_bind_results(s, &rest);
    *job = 0;
    while (statement_next(s))
        *job = column_integer(s, 0);
    return statement_finish(s, error);
}

static bool fill(const struct question *question, const struct target *target,
                 const struct varying *varying, struct page *page,
                 int64_t *next, struct error *error)
{
    struct place place = read_place(target, page);
    bool is_full = false;
    *next = 0;
    for (int64_t job = place.job; job;) {
        if (job != place.job)
            place = (struct place){job, -1};
        if (!fill_job(question, target, &place, varying, page, &is_full, error))
            return false;
        if (is_full)
            return write_place(target, &place, next, error);
        if (!next_job(question, target, job, &job, error))
            return false;
    }
    return true;
}

struct cJSON *query_history(const struct question *question,
                            struct error *error)
{
    struct target target;
    struct varying varying;
    struct page page;
    int64_t next;
    struct cJSON *answer = cJSON_CreateObject();
    struct cJSON *rows = cJSON_AddArrayToObject(answer, "rows");
    if (page_init(&page, question, rows, error) &&
        question_target(question, &target, error) &&
        varying_find(question, &target, &varying, error) &&
        fill(question, &target, &varying, &page, &next, error)) {
        varying_write(&varying, answer);
        page_end(answer, next);
        return answer;
    }
    cJSON_Delete(answer);
    return NULL;
}
