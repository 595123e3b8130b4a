/* Jobs and runs as the store moves them.
 *
 * A job is ready when it may be dispatched as soon as a slot is free; the index
 * job_ready holds no other.  While a run is not being trained, the first queued
 * job of each sweep and priority is: which of them goes is the queue's choice,
 * so that none waits for what keeps another back.  Then none is.
 */
#include <math.h>
#include <string.h>

#include "daemon/ledger_notes.h"
#include "daemon/operation.h"

/* Must match read_job. */
#define JOB                                                                    \
    "SELECT j.id, j.sweep_id, j.position, j.run_id, j.nb_epochs, "             \
    "r.steps_per_epoch, r.epochs_done, r.step, j.crashes, j.state, j.label, "  \
    "j.attempts, j.verifies IS NOT NULL FROM job j "
#define RUN "JOIN run r ON r.id = j.run_id "

static void read_job(struct statement *s, struct stored_job *job)
{
    job->id = column_integer(s, 0);
    job->sweep = column_integer(s, 1);
    job->position = column_integer(s, 2);
    job->run = column_integer(s, 3);
    job->nb_epochs = column_integer(s, 4);
    job->steps_per_epoch = column_integer(s, 5);
    job->epochs_done = column_integer_or(s, 6, -1);
    job->step = column_integer_or(s, 7, -1);
    job->crashes = (int)column_integer(s, 8);
    job->state = (enum job_state)job_state_find(column_text(s, 9));
    column_copy(s, 10, job->label, sizeof job->label);
    job->attempts = column_integer(s, 11);
    job->is_hidden = column_integer(s, 12);
}

bool store_job_load(struct store *store, int64_t id, struct stored_job *job,
                    struct error *error)
{
    struct statement *s = db_sql(store->db, JOB RUN "WHERE j.id = ?");
    bind_integer(s, id);
    bool is_there = statement_next(s);
    if (is_there)
        read_job(s, job);
    if (!statement_finish(s, error))
        return false;
    return is_there || error_set(error, ERROR_INTERNAL, "job %lld is not there",
                                 (long long)id);
}

/* Telling. */

static bool last_accuracy(struct store *store, const struct stored_job *job,
                          double *accuracy, struct error *error)
{
    *accuracy = NAN;
    if (job->step < 0)
        return true;
    struct statement *s =
        db_sql(store->db, "SELECT test_accuracy FROM history WHERE run_id = ? "
                          "AND step <= ? ORDER BY step DESC LIMIT 1");
    bind_integer(s, job->run);
    bind_integer(s, job->nb_epochs * job->steps_per_epoch);
    if (statement_next(s))
        *accuracy = column_real(s, 0);
    return statement_finish(s, error);
}

bool store_job_tell(struct store *store, const struct stored_job *job,
                    enum job_state from, const char *reason,
                    struct error *error)
{
    struct job_change change = {
        .at = store->now,
        .job = job->id,
        .sweep = job->sweep,
        .position = job->position,
        .from = from,
        .to = job->state,
        .epoch = job->epochs_done < job->nb_epochs ? job->epochs_done
                                                   : job->nb_epochs,
        .nb_epochs = job->nb_epochs,
        .label = job->label,
        .reason = reason,
    };
    if (!last_accuracy(store, job, &change.test_accuracy, error))
        return false;
    notice_change(&store->said, &change);
    return true;
}

/* Moving. */

/* Must match bind_moved, which leaves what follows. */
#define MOVED                                                                  \
    "UPDATE job SET state = ?, is_ready = 0, reason = ?, retry_at = NULL, "    \
    "attempts = ?, "                                                           \
    "started_at = CASE WHEN ? THEN ifnull(started_at, ?) "                     \
    "ELSE started_at END, finished_at = CASE WHEN ? THEN ? END"

static void bind_moved(struct statement *s, const struct store *store,
                       const struct stored_job *job, const char *reason)
{
    bind_text(s, job_state_name(job->state));
    /* A reason keeps a queued job from being woken: see store_aside.c. */
    bool has_reason = job_is_final(job->state) || job->state == JOB_held;
    bind_text(s, has_reason ? reason : NULL);
    bind_integer(s, job->attempts);
    bind_integer(s, job->state == JOB_running);
    bind_real(s, store->now);
    bind_integer(s, job_is_final(job->state));
    bind_real(s, store->now);
}

/* With what a done job's rows come to; they never change any more. */
static bool update_done(struct store *store, const struct stored_job *job,
                        const char *reason, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        MOVED ", (final_train_accuracy, final_valid_accuracy, "
              "final_test_accuracy, final_test_loss) = (SELECT train_accuracy, "
              "valid_accuracy, test_accuracy, test_loss FROM history "
              "WHERE run_id = ? AND step = ?), "
              "(peak_train_accuracy, peak_valid_accuracy, peak_test_accuracy) "
              "= (SELECT max(train_accuracy), max(valid_accuracy), "
              "max(test_accuracy) FROM history "
              "WHERE run_id = ? AND step <= ?) WHERE id = ?");
    int64_t last = job->nb_epochs * job->steps_per_epoch;
    bind_moved(s, store, job, reason);
    bind_integer(s, job->run);
    bind_integer(s, last);
    bind_integer(s, job->run);
    bind_integer(s, last);
    bind_integer(s, job->id);
    return statement_run(s, error);
}

static bool update(struct store *store, const struct stored_job *job,
                   const char *reason, struct error *error)
{
    if (job->state == JOB_done)
        return update_done(store, job, reason, error);
    struct statement *s = db_sql(store->db, MOVED " WHERE id = ?");
    bind_moved(s, store, job, reason);
    bind_integer(s, job->id);
    return statement_run(s, error);
}

bool store_job_move(struct store *store, struct stored_job *job,
                    enum job_event event, const char *reason,
                    struct error *error)
{
    enum job_state from = job->state;
    int to = job_next(from, event);
    if (to < 0)
        return error_set(error, ERROR_INTERNAL, "job %lld: no %s while %s",
                         (long long)job->id, job_event_name(event),
                         job_state_name(from));
    job->state = (enum job_state)to;
    job->attempts += job->state == JOB_running;
    if (job_is_final(job->state))
        ledger_notes_job(ledger_notes(store->ledger), job->id,
                         job_state_name(job->state));
    return update(store, job, reason, error) &&
           store_count_move(store, job, from, error) &&
           (job->state != JOB_done ||
            store_sweep_over(store, job->sweep, error)) &&
           (job->state != JOB_failed ||
            store_event_add(store, "failed", job->sweep, job->id, reason,
                            error)) &&
           store_job_tell(store, job, from, reason, error) &&
           (!job_is_final(job->state) || store_sweep_check(store, job, error));
}

/* Runs. */

struct stored_run {
    int64_t id;
    int64_t epochs_done;    /* -1: not even step 0 */
    int64_t diverged_epoch; /* INT64_MAX: it has not */
    char failure[1000];
};

static bool load_run(struct store *store, struct stored_run *run,
                     struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT epochs_done, diverged_epoch, failure "
                          "FROM run WHERE id = ?");
    bind_integer(s, run->id);
    if (statement_next(s)) {
        run->epochs_done = column_integer_or(s, 0, -1);
        run->diverged_epoch = column_integer_or(s, 1, INT64_MAX);
        column_copy(s, 2, run->failure, sizeof run->failure);
    }
    return statement_finish(s, error);
}

static bool first_open(struct statement *s, int64_t run, enum job_state state,
                       struct stored_job *job, bool *found, struct error *error)
{
    bind_integer(s, run);
    bind_text(s, job_state_name(state));
    *found = statement_next(s);
    if (*found)
        read_job(s, job);
    return statement_finish(s, error);
}

/* Of one state: SQLite makes a table, with memory of its own, of each list
 * that it looks up in an index. */
#define OPEN                                                                   \
    JOB "INDEXED BY job_run " RUN "JOIN sweep s ON s.id = j.sweep_id "         \
        "WHERE j.run_id = ? AND j.state = ? AND " ENTERED                      \
        " ORDER BY j.nb_epochs "

/* Held or queued jobs whose last row is stored: for them nothing is left to
 * be held back. */
static bool finish_satisfied(struct store *store, const struct stored_run *run,
                             enum job_state state, struct error *error)
{
    while (run->epochs_done >= 0) {
        struct stored_job job;
        bool found = false;
        if (!first_open(db_sql(store->db, OPEN "LIMIT 1"), run->id, state, &job,
                        &found, error))
            return false;
        if (!found || job.nb_epochs > run->epochs_done)
            return true;
        if (!store_job_move(store, &job, JOB_ON_finish, NULL, error))
            return false;
    }
    return true;
}

/* Those that the run's divergence forbids. */
static bool fail_hopeless(struct store *store, const struct stored_run *run,
                          enum job_state state, struct error *error)
{
    while (run->diverged_epoch < INT64_MAX) {
        struct stored_job job;
        bool found = false;
        if (!first_open(db_sql(store->db, OPEN "DESC LIMIT 1"), run->id, state,
                        &job, &found, error))
            return false;
        if (!found || job.nb_epochs < run->diverged_epoch)
            return true;
        if (!store_job_move(store, &job, JOB_ON_fail, run->failure, error))
            return false;
    }
    return true;
}

static bool is_taken(struct store *store, int64_t run, bool *is_taken,
                     struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT 1 FROM job j WHERE j.run_id = ? AND (j.state = "
                   "'running' OR EXISTS (SELECT 1 FROM attempt a "
                   "WHERE a.job_id = j.id AND a.ended_at IS NULL)) LIMIT 1");
    bind_integer(s, run);
    *is_taken = statement_next(s);
    return statement_finish(s, error);
}

bool store_run_release(struct store *store, int64_t run, struct error *error)
{
    bool is_busy = false;
    if (!is_taken(store, run, &is_busy, error))
        return false;
    if (is_busy)
        return true;
    struct statement *s = db_sql(
        store->db, "UPDATE job SET is_ready = 1 WHERE is_ready = 0 AND id IN "
                   "(SELECT min(j.id) FROM job j JOIN sweep s "
                   "ON s.id = j.sweep_id WHERE j.run_id = ? "
                   "AND j.state = 'queued' AND j.reason IS NULL AND " ENTERED
                   " GROUP BY j.sweep_id, j.priority)");
    bind_integer(s, run);
    return statement_run(s, error);
}

bool store_run_take(struct store *store, int64_t run, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE job INDEXED BY job_run SET is_ready = 0 "
                          "WHERE run_id = ? AND is_ready = 1");
    bind_integer(s, run);
    return statement_run(s, error);
}

bool store_run_mend(struct store *store, int64_t run, struct error *error)
{
    struct statement *s =
        db_sql(store->db,
               "UPDATE run SET (step, state_hash, epochs_done) = (SELECT step, "
               "state_hash, epoch FROM history WHERE run_id = run.id "
               "ORDER BY step DESC LIMIT 1) WHERE id = ? AND step IS NOT "
               "(SELECT max(step) FROM history WHERE run_id = run.id)");
    bind_integer(s, run);
    return statement_run(s, error);
}

/* Whether a job of it is held or queued.  Most often none is: this is asked
 * for every row that ends an epoch. */
static bool has_waiting(struct store *store, int64_t run, bool *has,
                        struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT 1 FROM job WHERE run_id = ? AND state = 'queued' UNION ALL "
        "SELECT 1 FROM job WHERE run_id = ?1 AND state = 'held' LIMIT 1");
    bind_integer(s, run);
    *has = statement_next(s);
    return statement_finish(s, error);
}

bool store_run_wake(struct store *store, int64_t id, struct error *error)
{
    struct stored_run run = {.id = id};
    bool has;
    if (!has_waiting(store, id, &has, error))
        return false;
    if (!has)
        return true;
    return load_run(store, &run, error) &&
           finish_satisfied(store, &run, JOB_held, error) &&
           finish_satisfied(store, &run, JOB_queued, error) &&
           fail_hopeless(store, &run, JOB_held, error) &&
           fail_hopeless(store, &run, JOB_queued, error) &&
           store_run_release(store, id, error);
}
