/* Retrying: what failed or was cancelled goes to the queue again.
 *
 * Every cell of a sweep has a job from the moment the sweep is acknowledged,
 * so what a sweep lacks are its failed and cancelled jobs.  A job whose run is
 * known to diverge before its end is left as it is: the same settings diverge
 * in the same step again.  A large target goes in pieces; each is whole.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "daemon/operation.h"
#include "daemon/target.h"
#include "schema/json.h"
#include "schema/memory.h"

enum { PIECE_JOBS = 250 };

struct retry_operation {
    struct operation operation;
    char *text;
    struct caller caller;
    struct target target;
    int64_t time_limit; /* to be set; -1: not */
    int64_t after;      /* the last job that was looked at */
    int64_t failed, cancelled, diverged;
};

static bool next_candidate(struct store *store, struct retry_operation *o,
                           struct stored_job *job, bool *found,
                           struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT j.id FROM job j WHERE " TARGET_JOBS
                          " AND j.state IN ('failed', 'cancelled') "
                          "AND (? OR j.verifies IS NULL) "
                          "ORDER BY j.id LIMIT 1");
    struct target rest = o->target;
    if (o->after >= rest.first)
        rest.first = o->after + 1;
    target_bind(s, &rest);
    bind_integer(s, o->target.has_hidden);
    *found = statement_next(s);
    if (*found)
        o->after = column_integer(s, 0);
    return statement_finish(s, error) &&
           (!*found || store_job_load(store, o->after, job, error));
}

static bool is_hopeless(struct store *store, const struct stored_job *job,
                        bool *is_hopeless, struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT 1 FROM run WHERE id = ? AND diverged_epoch <= ?");
    bind_integer(s, job->run);
    bind_integer(s, job->nb_epochs);
    *is_hopeless = statement_next(s);
    return statement_finish(s, error);
}

static bool forget_crashes(struct store *store, int64_t job,
                           struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE job SET crashes = 0 WHERE id = ?");
    bind_integer(s, job);
    return statement_run(s, error);
}

static bool retry_one(struct store *store, struct retry_operation *o,
                      struct stored_job *job, struct error *error)
{
    bool diverges;
    if (!is_hopeless(store, job, &diverges, error))
        return false;
    if (diverges) {
        o->diverged++;
        return true;
    }
    *(job->state == JOB_failed ? &o->failed : &o->cancelled) += 1;
    return forget_crashes(store, job->id, error) &&
           store_job_move(store, job, JOB_ON_retry, NULL, error) &&
           store_run_wake(store, job->run, error);
}

static bool set_limit(struct store *store, const struct retry_operation *o,
                      struct error *error)
{
    if (o->time_limit < 0)
        return true;
    if (!o->target.sweep)
        return error_set(error, ERROR_PARAMS,
                         "\"time_limit\" is of a whole sweep, and \"%s\" is "
                         "none",
                         o->target.name);
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET time_limit = ? WHERE id = ?");
    bind_integer(s, o->time_limit);
    bind_integer(s, o->target.sweep);
    return statement_run(s, error) &&
           store_limit_changed(store, o->target.sweep, error);
}

/* The caller's own that would wait again, one by one. */
static bool count_own(struct store *store, const struct retry_operation *o,
                      int64_t *count, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT count(*) FROM job j JOIN run r ON r.id = j.run_id "
        "WHERE " TARGET_JOBS " AND j.state IN ('failed', 'cancelled') "
        "AND j.owner_uid = ? AND ifnull(r.diverged_epoch > j.nb_epochs, 1)");
    target_bind(s, &o->target);
    bind_integer(s, o->caller.uid);
    while (statement_next(s))
        *count = column_integer(s, 0);
    return statement_finish(s, error);
}

/* They count as a submission of them would.  How many there are at most is
 * known at once, and nearly always enough. */
static bool check_quota(struct store *store, const struct retry_operation *o,
                        struct error *error)
{
    int64_t counts[JOB_STATE_COUNT], own = 0;
    if (!target_count(store->db, &o->target, counts, error))
        return false;
    return store_quota_check(store, o->caller.uid,
                             counts[JOB_failed] + counts[JOB_cancelled],
                             error) ||
           (error->code == ERROR_BUSY && count_own(store, o, &own, error) &&
            store_quota_check(store, o->caller.uid, own, error));
}

static bool find_target(struct store *store, struct retry_operation *o,
                        struct error *error)
{
    return target_find(store->db, o->text, &o->caller, &o->target, error) &&
           target_check_owner(store->db, &o->target, &o->caller, error) &&
           check_quota(store, o, error) && set_limit(store, o, error);
}

static bool finish(struct store *store, struct retry_operation *o,
                   struct error *error)
{
    int64_t retried = o->failed + o->cancelled;
    struct cJSON *result = o->operation.result = cJSON_CreateObject();
    cJSON_AddItemToObject(result, "retried", json_integer(retried));
    cJSON_AddItemToObject(result, "failed", json_integer(o->failed));
    cJSON_AddItemToObject(result, "cancelled", json_integer(o->cancelled));
    cJSON_AddItemToObject(result, "diverged", json_integer(o->diverged));
    struct error text;
    error_set(&text, ERROR_NONE, "%lld job%s of \"%s\" by %s",
              (long long)retried, retried == 1 ? "" : "s", o->target.name,
              o->caller.name);
    bool is_one = o->target.first == o->target.last;
    return !retried ||
           store_event_add(store, "retried", o->target.sweep,
                           is_one ? o->target.first : 0, text.text, error);
}

static bool run_retry(struct store *store, struct operation *operation,
                      struct error *error)
{
    struct retry_operation *o = (struct retry_operation *)operation;
    if (!o->target.first && !find_target(store, o, error))
        return false;
    for (int i = 0; i < PIECE_JOBS; i++) {
        struct stored_job job;
        bool found;
        if (!next_candidate(store, o, &job, &found, error))
            return false;
        if (!found)
            return finish(store, o, error);
        if (!retry_one(store, o, &job, error))
            return false;
    }
    operation->is_unfinished = true;
    return true;
}

static void release_retry(struct operation *operation)
{
    free(((struct retry_operation *)operation)->text);
}

void store_retry(struct store *store, const char *target, int64_t time_limit,
                 const struct caller *caller, store_reply *reply, void *user)
{
    struct retry_operation *o = operation_new(sizeof *o, run_retry);
    o->operation.release = release_retry;
    o->operation.reply = reply;
    o->operation.user = user;
    o->text = xstrdup(target);
    o->caller = *caller;
    o->time_limit = time_limit;
    store_push(store, &o->operation);
}
