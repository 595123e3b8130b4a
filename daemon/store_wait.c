/* Jobs that wait after a crash or a stall.
 *
 * Such a job is queued with a reason, which keeps it from being ready, and
 * with retry_at, when the wait is over by the wall clock.  That is only looked
 * at when gaitd starts: while it runs, a timer of the loop counts, whose wait
 * comes with on_wait and ends with store_wait_over.  So a clock that jumps
 * cannot make a job wait longer than it would have to at first.
 */
#include <stdio.h>

#include "daemon/operation.h"

struct retry_operation {
    struct operation operation;
    int64_t job;
    double seconds;
};

/* `crashes` in a row. */
static double wait_after(const struct store *store, int64_t crashes)
{
    double seconds = store->retry_s;
    while (--crashes > 0 && seconds < RETRY_S_MAX)
        seconds *= 5;
    return seconds < RETRY_S_MAX ? seconds : RETRY_S_MAX;
}

static bool wait(struct store *store, const struct stored_job *job,
                 double seconds, const char *what, struct error *error)
{
    struct error reason;
    error_set(&reason, ERROR_NONE, "waits %g s after %s", seconds, what);
    struct statement *s = db_sql(
        store->db, "UPDATE job SET reason = ?, retry_at = ? WHERE id = ?");
    bind_text(s, reason.text);
    bind_real(s, store->now + seconds);
    bind_integer(s, job->id);
    if (!statement_run(s, error))
        return false;
    notice_wait(&store->said, job->id, seconds);
    return true;
}

bool store_job_wait(struct store *store, const struct stored_job *job,
                    const char *what, struct error *error)
{
    struct error why;
    error_set(&why, ERROR_NONE, "%s (%d of %d)", what, job->crashes,
              CRASHES_MAX);
    return wait(store, job, wait_after(store, job->crashes), why.text, error);
}

bool store_job_wait_for_memory(struct store *store,
                               const struct stored_job *job,
                               struct error *error)
{
    int64_t times = 0;
    struct statement *s =
        db_sql(store->db,
               "SELECT count(*) FROM attempt WHERE job_id = ?1 AND id > ifnull("
               "(SELECT max(id) FROM attempt WHERE job_id = ?1 AND "
               "outcome <> 'crowded'), 0)");
    bind_integer(s, job->id);
    while (statement_next(s))
        times = column_integer(s, 0);
    return statement_finish(s, error) &&
           wait(store, job, wait_after(store, times),
                "others took its GPU's memory", error);
}

/* The wait is over, if the job still waits. */
static bool run_retry(struct store *store, struct operation *operation,
                      struct error *error)
{
    const struct retry_operation *o = (struct retry_operation *)operation;
    int64_t run = 0;
    struct statement *s = db_sql(
        store->db, "UPDATE job SET reason = NULL, retry_at = NULL WHERE id = ? "
                   "AND state = 'queued' AND retry_at IS NOT NULL "
                   "RETURNING run_id");
    bind_integer(s, o->job);
    while (statement_next(s))
        run = column_integer(s, 0);
    return statement_finish(s, error) &&
           (!run || store_run_wake(store, run, error));
}

void store_wait_over(struct store *store, int64_t job)
{
    struct retry_operation *o = operation_new(sizeof *o, run_retry);
    o->operation.is_kept = o->operation.is_spare = true;
    o->job = job;
    store_push(store, &o->operation);
}

/* What is left of a wait by the wall clock, but no more than all of it. */
static bool run_set_retry(struct store *store, struct operation *operation,
                          struct error *error)
{
    const struct retry_operation *o = (struct retry_operation *)operation;
    store->retry_s = o->seconds;
    struct statement *s =
        db_sql(store->db, "SELECT id, retry_at, crashes FROM job WHERE "
                          "state = 'queued' AND retry_at IS NOT NULL");
    while (statement_next(s)) {
        double left = column_real(s, 1) - store->now;
        double most = wait_after(store, column_integer(s, 2));
        left = left < 0 ? 0 : left > most ? most : left;
        notice_wait(&store->said, column_integer(s, 0), left);
    }
    return statement_finish(s, error);
}

void store_set_retry(struct store *store, double seconds)
{
    struct retry_operation *o = operation_new(sizeof *o, run_set_retry);
    o->operation.is_kept = true;
    o->seconds = seconds;
    store_push(store, &o->operation);
}
