/* How attempts end, and what becomes of their jobs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/operation.h"

struct ending_operation {
    struct operation operation;
    int64_t attempt;
    struct ending ending;
};

#define NAME(name) #name,
static const char *const outcomes[] = {OUTCOMES(NAME)};

/* Outcomes worth a line in the table of events. */
static const bool is_event[OUTCOME_COUNT] = {
    [OUTCOME_lost] = true,
    [OUTCOME_crowded] = true,
    [OUTCOME_crashed] = true,
    [OUTCOME_stalled] = true,
    [OUTCOME_nondeterministic] = true,
};

/* Outcomes that count against a job, and what they are called then. */
static const struct {
    const char *done, *noun;
} counted[OUTCOME_COUNT] = {
    [OUTCOME_crashed] = {"crashed", "a crash"},
    [OUTCOME_stalled] = {"stalled", "a stall"},
};

bool store_attempt_job(struct store *store, int64_t attempt, int64_t *job,
                       struct error *error)
{
    struct statement *s =
        db_sql(store->db,
               "SELECT job_id FROM attempt WHERE id = ? AND ended_at IS NULL");
    bind_integer(s, attempt);
    *job = 0;
    while (statement_next(s))
        *job = column_integer(s, 0);
    return statement_finish(s, error);
}

static bool close_attempt(struct store *store, int64_t attempt,
                          const struct ending *ending, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE attempt SET ended_at = ?, outcome = ?, "
                          "message = nullif(?, ''), step = nullif(?, -1), "
                          "seconds = ifnull(?, seconds) WHERE id = ?");
    bind_real(s, store->now);
    bind_text(s, outcomes[ending->outcome]);
    bind_text(s, ending->message);
    bind_integer(s, ending->step);
    bind_real(s, ending->seconds);
    bind_integer(s, attempt);
    return statement_run(s, error);
}

/* Jobs that end before that epoch still succeed. */
static bool remember_divergence(struct store *store, int64_t run,
                                const struct ending *ending,
                                struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE run SET diverged_epoch = ?, failure = ? "
                          "WHERE id = ? AND ifnull(diverged_epoch > ?1, 1)");
    bind_integer(s, ending->diverged_epoch);
    bind_text(s, ending->message);
    bind_integer(s, run);
    return statement_run(s, error);
}

static bool count_crash(struct store *store, struct stored_job *job,
                        struct error *error)
{
    job->crashes++;
    struct statement *s =
        db_sql(store->db, "UPDATE job SET crashes = ? WHERE id = ?");
    bind_integer(s, job->crashes);
    bind_integer(s, job->id);
    return statement_run(s, error);
}

/* The event that an ending is to a running job.  `reason` holds the ending's
 * message, and may be replaced. */
static enum job_event judge(const struct stored_job *job,
                            const struct ending *ending, struct error *reason)
{
    bool has_all = job->nb_epochs <= job->epochs_done;
    if (has_all && ending->outcome != OUTCOME_nondeterministic)
        return JOB_ON_finish; /* whatever happened after its last row */
    switch (ending->outcome) {
    case OUTCOME_stopped:
    case OUTCOME_lost:
    case OUTCOME_crowded:
        return JOB_ON_requeue;
    case OUTCOME_crashed:
    case OUTCOME_stalled:
        if (job->crashes < CRASHES_MAX)
            return JOB_ON_requeue;
        error_prefix(reason,
                     "crashed or stalled %d times without a new checkpoint, "
                     "and %s at last",
                     job->crashes, counted[ending->outcome].done);
        return JOB_ON_fail;
    case OUTCOME_done:
        error_set(reason, ERROR_CORRUPT,
                  "the worker was done at step %lld, but the row of epoch "
                  "%lld is missing",
                  (long long)ending->step, (long long)job->nb_epochs);
        return JOB_ON_fail;
    default:
        return JOB_ON_fail;
    }
}

static bool end_job(struct store *store, struct stored_job *job,
                    const struct ending *ending, struct error *error)
{
    struct error reason;
    error_set(&reason, ERROR_NONE, "%s", ending->message);
    enum job_event event = judge(job, ending, &reason);
    bool is_over = false;
    if (event == JOB_ON_requeue &&
        !store_limit_check(store, job, &is_over, &reason, error))
        return false;
    if (is_over)
        event = JOB_ON_fail;
    const char *text =
        event == JOB_ON_finish || !reason.text[0] ? NULL : reason.text;
    const char *noun = counted[ending->outcome].noun;
    if (!store_job_move(store, job, event, text, error))
        return false;
    if (job->state != JOB_queued)
        return true;
    if (ending->outcome == OUTCOME_crowded)
        return store_job_wait_for_memory(store, job, error);
    return !noun || store_job_wait(store, job, noun, error);
}

static bool end(struct store *store, int64_t attempt, int64_t job_id,
                const struct ending *ending, struct error *error)
{
    struct stored_job job;
    if (!close_attempt(store, attempt, ending, error) ||
        !store_job_load(store, job_id, &job, error))
        return false;
    if (is_event[ending->outcome] &&
        !store_event_add(store, outcomes[ending->outcome], job.sweep, job.id,
                         ending->message, error))
        return false;
    if (ending->outcome == OUTCOME_diverged &&
        !remember_divergence(store, job.run, ending, error))
        return false;
    /* One that was paused or cancelled may end as it likes. */
    if (counted[ending->outcome].noun && job.state == JOB_running &&
        !count_crash(store, &job, error))
        return false;
    if (job.state == JOB_running && !end_job(store, &job, ending, error))
        return false;
    return store_run_wake(store, job.run, error);
}

/* An attempt that had a row refused did not end as it says. */
static void correct(struct store *store, int64_t attempt, struct ending *ending)
{
    const struct slot *slot = store_slot_of(store, attempt);
    if (!slot || slot->refused != attempt)
        return;
    ending->outcome = OUTCOME_nondeterministic;
    snprintf(ending->message, sizeof ending->message, "%s", slot->refusal.text);
}

/* A worker that is done says in which state; the row of that epoch, if it is
 * stored, must say the same. */
static bool check_done(struct store *store, int64_t job, struct ending *ending,
                       struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT h.state_hash, h.step FROM job j "
                   "JOIN run r ON r.id = j.run_id "
                   "JOIN history h ON h.run_id = r.id AND "
                   "h.step = j.nb_epochs * r.steps_per_epoch WHERE j.id = ?");
    bind_integer(s, job);
    while (statement_next(s)) {
        const char *stored = column_text(s, 0);
        if (strcmp(stored, ending->state_hash) == 0)
            continue;
        ending->outcome = OUTCOME_nondeterministic;
        snprintf(ending->message, sizeof ending->message,
                 "nondeterministic: done at step %lld with state_hash %.32s, "
                 "but its row has %.32s",
                 (long long)column_integer(s, 1), ending->state_hash, stored);
    }
    return statement_finish(s, error);
}

static bool run_ending(struct store *store, struct operation *operation,
                       struct error *error)
{
    struct ending_operation *o = (struct ending_operation *)operation;
    int64_t job = 0;
    correct(store, o->attempt, &o->ending);
    if (!store_attempt_job(store, o->attempt, &job, error))
        return false;
    if (job && o->ending.outcome == OUTCOME_done &&
        !check_done(store, job, &o->ending, error))
        return false;
    if (job && !end(store, o->attempt, job, &o->ending, error))
        return false;
    store_slots_free(store, o->attempt);
    notice_closed(&store->said, o->attempt);
    return store_drain_check(store, error);
}

void store_attempt_end(struct store *store, int64_t attempt,
                       const struct ending *ending)
{
    struct ending_operation *o = operation_new(sizeof *o, run_ending);
    o->operation.is_kept = true;
    o->attempt = attempt;
    o->ending = *ending;
    store_push(store, &o->operation);
}

/* What stderr said. */

struct stderr_operation {
    struct operation operation;
    int64_t attempt;
    char text[];
};

static bool run_stderr(struct store *store, struct operation *operation,
                       struct error *error)
{
    const struct stderr_operation *o = (struct stderr_operation *)operation;
    struct statement *s =
        db_sql(store->db, "UPDATE attempt SET stderr = ? WHERE id = ?");
    bind_text(s, o->text);
    bind_integer(s, o->attempt);
    return statement_run(s, error);
}

void store_attempt_stderr(struct store *store, int64_t attempt,
                          const char *text)
{
    size_t bytes = strlen(text) + 1;
    struct stderr_operation *o = operation_new(sizeof *o + bytes, run_stderr);
    o->operation.is_kept = true;
    o->attempt = attempt;
    memcpy(o->text, text, bytes);
    store_push(store, &o->operation);
}

/* Recovery. */

static bool next_lost(struct store *store, int64_t *attempt, int64_t *job,
                      struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT id, job_id FROM attempt "
                          "WHERE ended_at IS NULL ORDER BY id LIMIT 1");
    *attempt = 0;
    while (statement_next(s)) {
        *attempt = column_integer(s, 0);
        *job = column_integer(s, 1);
    }
    return statement_finish(s, error);
}

bool store_recover(struct store *store, struct error *error)
{
    static const struct ending lost = {.outcome = OUTCOME_lost,
                                       .step = -1,
                                       .seconds = NAN,
                                       .message = "gaitd ended"};
    int count = 0;
    for (;; count++) {
        int64_t attempt, job;
        if (!next_lost(store, &attempt, &job, error))
            return false;
        if (!attempt)
            break;
        if (!end(store, attempt, job, &lost, error))
            return false;
    }
    if (!store_after_recover(store, error))
        return false;
    struct error text;
    error_set(&text, ERROR_NONE, "%d attempt%s had been cut short", count,
              count == 1 ? "" : "s");
    return store_event_add(store, "started", 0, 0, text.text, error);
}
