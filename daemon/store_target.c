/* What is asked of jobs by target: cancelling, keeping, and watching. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/operation.h"
#include "daemon/target.h"
#include "schema/json.h"
#include "schema/memory.h"

struct target_operation {
    struct operation operation;
    char *target;
    struct caller caller;
};

static void release_target(struct operation *operation)
{
    free(((struct target_operation *)operation)->target);
}

static void push(struct store *store,
                 bool (*run)(struct store *, struct operation *,
                             struct error *),
                 const char *target, const struct caller *caller,
                 store_reply *reply, void *user)
{
    struct target_operation *o = operation_new(sizeof *o, run);
    o->operation.release = release_target;
    o->operation.reply = reply;
    o->operation.user = user;
    o->target = xstrdup(target);
    o->caller = *caller;
    store_push(store, &o->operation);
}

static void add(struct cJSON *object, const char *name, int64_t value)
{
    cJSON_AddItemToObject(object, name, json_integer(value));
}

/* Cancelling.  First all jobs, then their runs: else a job that is to be
 * cancelled would be woken by one that just was. */

struct cancelling {
    int64_t cancelled, stopping, already_final;
    int64_t job;   /* the last one looked at */
    int64_t count; /* runs, each once per job */
    int64_t *runs;
};

static bool next_open(struct store *store, const struct target *target,
                      int64_t after, int64_t *job, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT j.id FROM job j WHERE " TARGET_JOBS
                          " AND j.state IN ('held', 'queued', 'running') "
                          "ORDER BY j.id LIMIT 1");
    struct target rest = *target;
    if (after >= rest.first)
        rest.first = after + 1;
    target_bind(s, &rest);
    *job = 0;
    while (statement_next(s))
        *job = column_integer(s, 0);
    return statement_finish(s, error);
}

static bool tell_stop(struct store *store, int64_t job, struct error *error)
{
    struct statement *s =
        db_sql(store->db,
               "SELECT id FROM attempt WHERE job_id = ? AND ended_at IS NULL");
    bind_integer(s, job);
    while (statement_next(s))
        notice_stop(&store->said, column_integer(s, 0));
    return statement_finish(s, error);
}

static bool cancel_one(struct store *store, struct cancelling *c,
                       const char *reason, struct error *error)
{
    struct stored_job job;
    if (!store_job_load(store, c->job, &job, error))
        return false;
    bool is_running = job.state == JOB_running;
    if (!store_job_move(store, &job, JOB_ON_cancel, reason, error))
        return false;
    c->runs[c->count++] = job.run;
    c->stopping += is_running;
    c->cancelled += !is_running;
    return !is_running || tell_stop(store, job.id, error);
}

static bool cancel_all(struct store *store, const struct target *target,
                       struct cancelling *c, const char *reason,
                       struct error *error)
{
    for (;;) {
        if (!next_open(store, target, c->job, &c->job, error))
            return false;
        if (!c->job)
            break;
        if (!cancel_one(store, c, reason, error))
            return false;
    }
    for (int64_t i = 0; i < c->count; i++)
        if (!store_run_wake(store, c->runs[i], error))
            return false;
    c->already_final = target->job_count - c->count;
    return true;
}

static bool run_cancel(struct store *store, struct operation *operation,
                       struct error *error)
{
    struct target_operation *o = (struct target_operation *)operation;
    struct target target;
    if (!target_find(store->db, o->target, &o->caller, &target, error) ||
        !target_check_owner(store->db, &target, &o->caller, error))
        return false;
    struct cancelling c = {0};
    c.runs = xcalloc((size_t)target.job_count, sizeof *c.runs);
    char *reason = xprintf("cancelled by %s", o->caller.name);
    bool is_fine = cancel_all(store, &target, &c, reason, error);
    free(c.runs);
    if (is_fine)
        is_fine =
            store_event_add(store, "cancelled", target.sweep, 0, reason, error);
    free(reason);
    operation->result = cJSON_CreateObject();
    add(operation->result, "cancelled", c.cancelled);
    add(operation->result, "stopping", c.stopping);
    add(operation->result, "already_final", c.already_final);
    return is_fine;
}

void store_cancel(struct store *store, const char *target,
                  const struct caller *caller, store_reply *reply, void *user)
{
    push(store, run_cancel, target, caller, reply, user);
}

/* Keeping. */

static bool set_kept(struct store *store, const struct target *target,
                     bool is_kept, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET is_kept = ? WHERE id = ?");
    bind_integer(s, is_kept);
    bind_integer(s, target->sweep);
    return statement_run(s, error);
}

static bool keep(struct store *store, struct operation *operation, bool is_kept,
                 struct error *error)
{
    struct target_operation *o = (struct target_operation *)operation;
    struct target target;
    if (!target_find(store->db, o->target, &o->caller, &target, error))
        return false;
    if (!target.sweep)
        return error_set(error, ERROR_PARAMS,
                         "\"target\" is \"%s\", expected a sweep", o->target);
    if (!target_check_owner(store->db, &target, &o->caller, error) ||
        !set_kept(store, &target, is_kept, error))
        return false;
    operation->result = cJSON_CreateObject();
    add(operation->result, "sweep_id", target.sweep);
    cJSON_AddStringToObject(operation->result, "name", target.name);
    cJSON_AddBoolToObject(operation->result, "is_kept", is_kept);
    return true;
}

static bool run_keep(struct store *store, struct operation *operation,
                     struct error *error)
{
    return keep(store, operation, true, error);
}

static bool run_unkeep(struct store *store, struct operation *operation,
                       struct error *error)
{
    return keep(store, operation, false, error);
}

void store_keep(struct store *store, const char *target, bool undo,
                const struct caller *caller, store_reply *reply, void *user)
{
    push(store, undo ? run_unkeep : run_keep, target, caller, reply, user);
}

/* Watching. */

static bool count_states(struct store *store, const struct target *target,
                         struct cJSON *counts, struct error *error)
{
    int64_t count[JOB_STATE_COUNT] = {0};
    struct statement *s = db_sql(
        store->db,
        target->sweep ? "SELECT state, count(*) FROM job WHERE sweep_id = ? "
                        "GROUP BY state"
                      : "SELECT j.state, count(*) FROM job j WHERE " TARGET_JOBS
                        " GROUP BY j.state");
    if (target->sweep)
        bind_integer(s, target->sweep);
    else
        target_bind(s, target);
    while (statement_next(s))
        count[job_state_find(column_text(s, 0))] = column_integer(s, 1);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        add(counts, job_state_name((enum job_state)i), count[i]);
    return statement_finish(s, error);
}

static bool run_watch(struct store *store, struct operation *operation,
                      struct error *error)
{
    struct target_operation *o = (struct target_operation *)operation;
    struct target target;
    if (!target_find(store->db, o->target, &o->caller, &target, error))
        return false;
    struct cJSON *result = operation->result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "target", o->target);
    if (target.sweep) {
        cJSON_AddStringToObject(result, "sweep", target.name);
        add(result, "sweep_id", target.sweep);
    } else {
        cJSON_AddNullToObject(result, "sweep");
        add(result, "first", target.first);
        add(result, "last", target.last);
    }
    add(result, "job_count", target.job_count);
    struct cJSON *counts = cJSON_AddObjectToObject(result, "counts");
    return count_states(store, &target, counts, error);
}

void store_watch(struct store *store, const char *target,
                 const struct caller *caller, store_reply *reply, void *user)
{
    push(store, run_watch, target, caller, reply, user);
}
