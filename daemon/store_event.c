/* Lines of the table `event`, and what attempts cost that came to nothing. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/operation.h"

bool store_event_cost(struct store *store, const char *kind, int64_t sweep,
                      int64_t job, const char *text, double cost_s,
                      struct error *error)
{
    struct statement *s = db_sql(
        store->db, "INSERT INTO event (at, kind, sweep_id, job_id, text, "
                   "cost_s) VALUES (?, ?, nullif(?, 0), nullif(?, 0), ?, ?)");
    bind_real(s, store->now);
    bind_text(s, kind);
    bind_integer(s, sweep);
    bind_integer(s, job);
    bind_text(s, text);
    bind_real(s, cost_s);
    if (!statement_run(s, error))
        return false;
    notice_event(&store->said, db_last_id(store->db), kind);
    return true;
}

bool store_event_add(struct store *store, const char *kind, int64_t sweep,
                     int64_t job, const char *text, struct error *error)
{
    return store_event_cost(store, kind, sweep, job, text, NAN, error);
}

/* Of a job that goes on: what is known of where it was.  Steps are -1, and
 * seconds NaN, where they are not known. */
struct resumption {
    int64_t job, sweep, steps; /* of the job in all */
    int64_t from_step, step;   /* of the attempt before this one */
    int64_t row_step;          /* of the run's last row */
    double row_seconds;        /* of computing until then */
    double seconds;            /* that the attempt took */
};

static bool load(struct store *store, int64_t attempt, struct resumption *r,
                 bool *found, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT j.id, j.sweep_id, j.nb_epochs * r.steps_per_epoch, "
        "p.from_step, p.step, r.step, h.seconds, p.ended_at - p.started_at "
        "FROM attempt a JOIN attempt p ON p.id = (SELECT max(id) FROM attempt "
        "WHERE job_id = a.job_id AND id < a.id) JOIN job j ON j.id = a.job_id "
        "JOIN run r ON r.id = j.run_id LEFT JOIN history h "
        "ON h.run_id = r.id AND h.step = r.step "
        "WHERE a.id = ? AND a.ended_at IS NULL");
    bind_integer(s, attempt);
    *found = statement_next(s);
    if (*found) {
        r->job = column_integer(s, 0);
        r->sweep = column_integer(s, 1);
        r->steps = column_integer(s, 2);
        r->from_step = column_integer_or(s, 3, -1);
        r->step = column_integer_or(s, 4, -1);
        r->row_step = column_integer_or(s, 5, -1);
        r->row_seconds = column_real(s, 6);
        r->seconds = column_real(s, 7);
    }
    return statement_finish(s, error);
}

/* Seconds of computing per step: those of the run's rows, which a worker
 * measured, else those of the attempt that was lost, else NaN. */
static double pace(const struct resumption *r)
{
    if (r->row_step > 0 && r->row_seconds > 0)
        return r->row_seconds / (double)r->row_step;
    if (r->from_step >= 0 && r->step > r->from_step)
        return r->seconds / (double)(r->step - r->from_step);
    return NAN;
}

bool store_attempt_resumed(struct store *store, int64_t attempt, int64_t step,
                           struct error *error)
{
    struct resumption r;
    bool found;
    if (!load(store, attempt, &r, &found, error))
        return false;
    if (!found)
        return true;
    int64_t reached = r.step > r.row_step ? r.step : r.row_step;
    long long again = reached > step ? reached - step : 0;
    struct error text;
    error_set(&text, ERROR_NONE, "goes on from step %lld of %lld; ",
              (long long)step, (long long)r.steps);
    size_t used = strlen(text.text), left = sizeof text.text - used;
    if (!again)
        snprintf(text.text + used, left, "nothing is computed again");
    else
        snprintf(text.text + used, left, "%s%lld step%s computed again",
                 r.step < 0 ? "at least " : "", again,
                 again == 1 ? " is" : "s are");
    return store_event_cost(store, "resumed", r.sweep, r.job, text.text,
                            again ? (double)again * pace(&r) : 0, error);
}
