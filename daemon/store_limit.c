/* Time limits: how long the attempts of a job have taken, and what then.
 *
 * The limit is the sweep's control time_limit, as it is now; what counts is the
 * sum over all attempts of a job, from dispatch to end.  An attempt that has
 * used it up is told to stop, which saves a checkpoint, and the job fails when
 * it has ended, so that a retry with a greater limit goes on from there.
 */
#include <math.h>
#include <stdio.h>

#include "daemon/operation.h"

struct took_operation {
    struct operation operation;
    int64_t attempt;
    double seconds;
};

/* Seconds that a job has left; NaN: no limit. */
static bool count_left(struct store *store, int64_t job, int64_t *limit,
                       double *left, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT s.time_limit, s.time_limit - (SELECT total(a.seconds) FROM "
        "attempt a WHERE a.job_id = j.id) FROM job j JOIN sweep s "
        "ON s.id = j.sweep_id WHERE j.id = ? AND s.time_limit > 0");
    bind_integer(s, job);
    *left = NAN;
    while (statement_next(s)) {
        *limit = column_integer(s, 0);
        *left = column_real(s, 1);
    }
    return statement_finish(s, error);
}

bool store_limit_load(struct store *store, int64_t job, double *seconds_left,
                      struct error *error)
{
    int64_t limit;
    return count_left(store, job, &limit, seconds_left, error);
}

/* "2 h", "1 h 30 min", "90 s" */
static void print_duration(char text[48], int64_t seconds)
{
    long long hours = seconds / 3600, minutes = seconds % 3600 / 60;
    if (seconds % 60 || seconds < 60)
        snprintf(text, 48, "%lld s", (long long)seconds);
    else if (hours && minutes)
        snprintf(text, 48, "%lld h %lld min", hours, minutes);
    else
        snprintf(text, 48, "%lld %s", hours ? hours : minutes,
                 hours ? "h" : "min");
}

bool store_limit_check(struct store *store, const struct stored_job *job,
                       bool *is_over, struct error *reason, struct error *error)
{
    int64_t limit = 0;
    double left;
    char duration[48];
    if (!count_left(store, job->id, &limit, &left, error))
        return false;
    *is_over = left <= 0;
    if (!*is_over)
        return true;
    print_duration(duration, limit);
    error_set(reason, ERROR_NONE,
              "time limit of %s reached at epoch %lld of %lld", duration,
              (long long)(job->epochs_done > 0 ? job->epochs_done : 0),
              (long long)job->nb_epochs);
    return true;
}

bool store_limit_changed(struct store *store, int64_t sweep,
                         struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT a.id FROM attempt a INDEXED BY attempt_open "
                          "JOIN job j ON j.id = a.job_id "
                          "WHERE a.ended_at IS NULL AND j.sweep_id = ?");
    bind_integer(s, sweep);
    while (statement_next(s))
        notice_limited(&store->said, column_integer(s, 0));
    return statement_finish(s, error);
}

static bool took(struct store *store, int64_t attempt, double seconds,
                 struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE attempt SET seconds = ? WHERE id = ?");
    bind_real(s, seconds);
    bind_integer(s, attempt);
    return statement_run(s, error);
}

static bool run_took(struct store *store, struct operation *operation,
                     struct error *error)
{
    const struct took_operation *o = (struct took_operation *)operation;
    int64_t job, limit;
    double left;
    if (!store_attempt_job(store, o->attempt, &job, error))
        return false;
    if (!job)
        return true;
    if (!took(store, o->attempt, o->seconds, error) ||
        !count_left(store, job, &limit, &left, error))
        return false;
    if (left <= 0)
        notice_stop(&store->said, o->attempt);
    return true;
}

void store_attempt_took(struct store *store, int64_t attempt, double seconds)
{
    struct took_operation *o = operation_new(sizeof *o, run_took);
    o->operation.is_kept = true;
    o->attempt = attempt;
    o->seconds = seconds;
    store_push(store, &o->operation);
}
