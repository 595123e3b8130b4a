/* Sweeps as a whole: when all their jobs are final, and when enough failed.
 *
 * A sweep finishes each time its last open job becomes final, so once more
 * after a retry.  In the same transaction goes the order for its hook, which is
 * taken up again by every start until its end is stored (hook.h).
 */
#include <stdio.h>

#include "daemon/operation.h"

struct sweep_totals {
    int64_t id;
    char hook[CONTROL_TEXT_BYTES]; /* "": none */
    int64_t done, failed, cancelled;
};

/* *found: it is no verification, and all of it is there and final. */
static bool find_finished(struct store *store, struct sweep_totals *sweep,
                          bool *found, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT s.on_finish FROM sweep s WHERE s.id = ? AND s.is_hidden = 0 "
        "AND s.is_complete AND NOT EXISTS (SELECT 1 FROM job_count c WHERE "
        "c.sweep_id = s.id AND c.count > 0 AND c.state <> 'done' AND "
        "c.state <> 'failed' AND c.state <> 'cancelled')");
    bind_integer(s, sweep->id);
    *found = statement_next(s);
    if (*found)
        column_copy(s, 0, sweep->hook, sizeof sweep->hook);
    return statement_finish(s, error);
}

static bool count_ends(struct store *store, struct sweep_totals *sweep,
                       struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT total(count) FILTER (WHERE state = 'done'), "
                          "total(count) FILTER (WHERE state = 'failed'), "
                          "total(count) FILTER (WHERE state = 'cancelled') "
                          "FROM job_count WHERE sweep_id = ?");
    bind_integer(s, sweep->id);
    while (statement_next(s)) {
        sweep->done = column_integer(s, 0);
        sweep->failed = column_integer(s, 1);
        sweep->cancelled = column_integer(s, 2);
    }
    return statement_finish(s, error);
}

static bool note_finished(struct store *store, int64_t sweep,
                          struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET finished_at = ? WHERE id = ?");
    bind_real(s, store->now);
    bind_integer(s, sweep);
    return statement_run(s, error);
}

static bool finish(struct store *store, const struct sweep_totals *sweep,
                   struct error *error)
{
    char text[128];
    snprintf(text, sizeof text, "%lld done, %lld failed, %lld cancelled",
             (long long)sweep->done, (long long)sweep->failed,
             (long long)sweep->cancelled);
    const int64_t counts[] = {sweep->done, sweep->failed, sweep->cancelled};
    return note_finished(store, sweep->id, error) &&
           store_event_add(store, "finished", sweep->id, 0, text, error) &&
           (!sweep->hook[0] ||
            store_hook_order(store, sweep->hook, sweep->id, counts, error));
}

/* What waits. */

static bool has_waiting(struct store *store, int64_t sweep, bool *has,
                        struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT 1 FROM job_count WHERE sweep_id = ? AND "
                          "state IN ('held', 'queued') AND count > 0");
    bind_integer(s, sweep);
    *has = statement_next(s);
    return statement_finish(s, error);
}

static bool find_waiting(struct store *store, int64_t sweep, int64_t *position,
                         int64_t *job, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT id, position FROM job WHERE sweep_id = ? AND "
                          "position >= ? AND +state IN ('held', 'queued') "
                          "ORDER BY position LIMIT 1");
    bind_integer(s, sweep);
    bind_integer(s, *position);
    *job = 0;
    while (statement_next(s)) {
        *job = column_integer(s, 0);
        *position = column_integer(s, 1);
    }
    return statement_finish(s, error);
}

bool store_sweep_waiting(struct store *store, int64_t sweep, int64_t *position,
                         int64_t *job, struct error *error)
{
    bool has;
    *job = 0;
    if (!has_waiting(store, sweep, &has, error))
        return false;
    if (!has)
        return true;
    if (!find_waiting(store, sweep, position, job, error))
        return false;
    if (*job)
        return true;
    *position = 0;
    return find_waiting(store, sweep, position, job, error);
}

/* Cancelling what waits, in pieces.  A job that was just made ready by the
 * failure is among the first, so that it does not start. */

struct fail_fast_operation {
    struct operation operation;
    int64_t sweep, position;
};

static bool cancel_one(struct store *store, int64_t id, struct error *error)
{
    struct stored_job job;
    return store_job_load(store, id, &job, error) &&
           store_job_move(store, &job, JOB_ON_cancel,
                          "fail_fast: too many jobs of the sweep failed",
                          error) &&
           store_run_wake(store, job.run, error);
}

static bool mark(struct store *store, int64_t sweep, bool is_failing,
                 struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET is_failing = ? WHERE id = ?");
    bind_integer(s, is_failing);
    bind_integer(s, sweep);
    return statement_run(s, error);
}

static bool run_fail_fast(struct store *store, struct operation *operation,
                          struct error *error)
{
    struct fail_fast_operation *o = (struct fail_fast_operation *)operation;
    while (!store_piece_is_over(store)) {
        int64_t job;
        if (!store_sweep_waiting(store, o->sweep, &o->position, &job, error))
            return false;
        if (!job)
            return mark(store, o->sweep, false, error);
        if (!cancel_one(store, job, error))
            return false;
    }
    operation->is_unfinished = true;
    return true;
}

static void urge_fail_fast(struct store *store, int64_t sweep)
{
    struct fail_fast_operation *o = operation_new(sizeof *o, run_fail_fast);
    o->operation.is_kept = o->operation.is_spare = true;
    o->sweep = sweep;
    store_urge(store, &o->operation);
}

bool store_fail_fast_recover(struct store *store, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT id FROM sweep WHERE is_failing = 1");
    while (statement_next(s))
        urge_fail_fast(store, column_integer(s, 0));
    return statement_finish(s, error);
}

/* *is_due: with this failure there are as many as were allowed. */
static bool is_fail_fast_due(struct store *store, int64_t sweep, bool *is_due,
                             struct error *error)
{
    struct statement *s =
        db_sql(store->db,
               "SELECT 1 FROM sweep s WHERE s.id = ? AND s.fail_fast > 0 AND "
               "s.is_failing = 0 AND s.fail_fast <= (SELECT count FROM "
               "job_count WHERE sweep_id = s.id AND state = 'failed')");
    bind_integer(s, sweep);
    *is_due = statement_next(s);
    return statement_finish(s, error);
}

static bool fail_fast(struct store *store, int64_t sweep, struct error *error)
{
    bool is_due;
    if (!is_fail_fast_due(store, sweep, &is_due, error))
        return false;
    if (!is_due)
        return true;
    urge_fail_fast(store, sweep);
    return mark(store, sweep, true, error);
}

bool store_sweep_check(struct store *store, const struct stored_job *job,
                       struct error *error)
{
    struct sweep_totals sweep = {.id = job->sweep};
    bool is_finished;
    if (job->state == JOB_failed && !fail_fast(store, job->sweep, error))
        return false;
    if (!find_finished(store, &sweep, &is_finished, error))
        return false;
    return !is_finished ||
           (count_ends(store, &sweep, error) && finish(store, &sweep, error));
}
