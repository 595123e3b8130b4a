#include <cjson/cJSON.h>

#include "daemon/query.h"
#include "schema/json.h"

static const struct field run_fields[] = {
    {"id", row_integer},          {"key", row_text},
    {"device_class", row_text},   {"replica", row_integer},
    {"dataset_digest", row_text}, {"epochs_done", row_integer},
    {"step", row_integer},        {"steps_per_epoch", row_integer},
    {"state_hash", row_text},     {"diverged_epoch", row_integer},
    {"failure", row_text},
};
static const struct field attempt_fields[] = {
    {"id", row_integer},   {"number", row_integer},  {"device", row_text},
    {"pid", row_integer},  {"started_at", row_real}, {"ended_at", row_real},
    {"outcome", row_text}, {"message", row_text},    {"stderr", row_text},
};
#define COUNT(fields) (int)(sizeof(fields) / sizeof *(fields))

static bool add_run(const struct question *question, int64_t job,
                    struct cJSON *answer, struct error *error)
{
    struct cJSON *run = cJSON_AddObjectToObject(answer, "run");
    struct statement *s = db_sql(
        question->db,
        "SELECT r.id, r.key, r.device_class, r.replica, r.dataset_digest, "
        "r.epochs_done, r.step, r.steps_per_epoch, r.state_hash, "
        "r.diverged_epoch, r.failure FROM job j JOIN run r ON r.id = j.run_id "
        "WHERE j.id = ?");
    bind_integer(s, job);
    while (statement_next(s))
        row_fields(run, run_fields, COUNT(run_fields), s, 0);
    return statement_finish(s, error);
}

static bool add_attempts(const struct question *question, int64_t job,
                         struct cJSON *answer, struct error *error)
{
    struct cJSON *attempts = cJSON_AddArrayToObject(answer, "attempts");
    struct statement *s = db_sql(
        question->db, "SELECT id, number, device, pid, started_at, ended_at, "
                      "outcome, message, stderr FROM attempt WHERE job_id = ? "
                      "ORDER BY number");
    bind_integer(s, job);
    while (statement_next(s)) {
        struct cJSON *attempt = cJSON_CreateObject();
        row_fields(attempt, attempt_fields, COUNT(attempt_fields), s, 0);
        cJSON_AddItemToArray(attempts, attempt);
    }
    return statement_finish(s, error);
}

static bool show_job(const struct question *question, int64_t id,
                     struct cJSON *answer, struct error *error)
{
    struct cJSON *job = NULL;
    bool is_fine = query_job_write(question, id, &job, error);
    cJSON_AddItemToObject(answer, "job", job);
    return is_fine && add_run(question, id, answer, error) &&
           add_attempts(question, id, answer, error);
}

static bool show_sweep(const struct question *question, int64_t id,
                       struct cJSON *answer, struct error *error)
{
    struct cJSON *sweep = NULL;
    bool is_fine = query_sweep_write(question, id, &sweep, error);
    cJSON_AddItemToObject(answer, "sweep", sweep);
    if (!is_fine)
        return false;
    struct statement *s =
        db_sql(question->db, "SELECT spec FROM sweep WHERE id = ?");
    bind_integer(s, id);
    while (statement_next(s))
        cJSON_AddItemToObject(answer, "spec", cJSON_Parse(column_text(s, 0)));
    return statement_finish(s, error);
}

static bool show(const struct question *question, struct cJSON *answer,
                 struct error *error)
{
    struct target target;
    if (!question_target(question, &target, error))
        return false;
    if (target.sweep)
        return show_sweep(question, target.sweep, answer, error);
    if (target.first == target.last)
        return show_job(question, target.first, answer, error);
    return error_set(error, ERROR_PARAMS,
                     "\"target\" is \"%s\", expected one job or a sweep",
                     target.name);
}

struct cJSON *query_show(const struct question *question, struct error *error)
{
    struct cJSON *answer = cJSON_CreateObject();
    if (show(question, answer, error))
        return answer;
    cJSON_Delete(answer);
    return NULL;
}
