/* Sweeps that are going in, and what is left of those that never came in.
 *
 * A large sweep goes in in pieces.  Until the last of them it is incomplete:
 * nobody sees it, and none of its jobs is in the queue.  Then one transaction
 * makes it complete, and its jobs enter the queue, in pieces too, from the
 * first: sweep.entered says how many have, NULL when all; a sweep that waits
 * for another (store_after.c) begins with that when it may go.  An incomplete
 * sweep that nobody goes on with (refused, or cut short by a crash) is removed.
 * Either is settling it, and what the database says is enough to do it.
 */
#include <string.h>

#include "daemon/columns.h"
#include "daemon/operation.h"

enum { CHUNK = 128 }; /* jobs looked at between two looks at the clock */

/* Ids. */

static bool highest(struct store *store, const char *sql, int64_t *id,
                    struct error *error)
{
    struct statement *s = db_sql(store->db, sql);
    while (statement_next(s))
        if (column_integer(s, 0) > *id)
            *id = column_integer(s, 0);
    return statement_finish(s, error);
}

static bool look_up_ids(struct store *store, struct error *error)
{
    return highest(store, STORE_LAST_SWEEP, &store->reserved.sweep, error) &&
           highest(store, STORE_LAST_JOB, &store->reserved.job, error);
}

bool store_sweep_reserve(struct store *store, int64_t job_count, int64_t *sweep,
                         int64_t *first_job, struct error *error)
{
    if (!look_up_ids(store, error))
        return false;
    *sweep = ++store->reserved.sweep;
    *first_job = store->reserved.job + 1;
    store->reserved.job += job_count;
    return true;
}

/* Entering. */

struct unsettled {
    int64_t id, job_count, entered;
    bool is_complete;
};

/* Jobs of positions from `first` to before `end`. */
#define CHUNK_JOBS "sweep_id = ? AND position >= ? AND position < ?"

static struct statement *of_chunk(struct store *store, const char *sql,
                                  const struct unsettled *sweep)
{
    struct statement *s = db_sql(store->db, sql);
    bind_integer(s, sweep->id);
    bind_integer(s, sweep->entered);
    bind_integer(s, sweep->entered + CHUNK);
    return s;
}

/* A column of the chunk's jobs. */
static bool list(struct statement *s, int64_t ids[CHUNK], int *count,
                 struct error *error)
{
    *count = 0;
    while (statement_next(s))
        ids[(*count)++] = column_integer(s, 0);
    return statement_finish(s, error);
}

/* Only who watches jobs by number can have waited for them. */
static bool tell_births(struct store *store, const struct unsettled *sweep,
                        struct error *error)
{
    int64_t ids[CHUNK];
    int count;
    struct statement *s = of_chunk(store,
                                   "SELECT id FROM job WHERE " CHUNK_JOBS
                                   " AND id <= ? ORDER BY position",
                                   sweep);
    bind_integer(s, store->watched_job);
    if (!list(s, ids, &count, error))
        return false;
    for (int i = 0; i < count; i++) {
        struct stored_job job;
        if (!store_job_load(store, ids[i], &job, error) ||
            !store_job_tell(store, &job, job.state, NULL, error))
            return false;
    }
    return true;
}

static bool note_entered(struct store *store, const struct unsettled *sweep,
                         struct error *error)
{
    struct statement *s = db_sql(store->db, "UPDATE sweep SET entered = CASE "
                                            "WHEN ?1 < job_count THEN ?1 END "
                                            "WHERE id = ?");
    bind_integer(s, sweep->entered + CHUNK);
    bind_integer(s, sweep->id);
    return statement_run(s, error);
}

/* Jobs whose runs nobody has touched are ready, all at once. */
static bool let_in(struct store *store, const struct unsettled *sweep,
                   struct error *error)
{
    return statement_run(
        of_chunk(store,
                 "UPDATE job SET is_ready = 1 WHERE " CHUNK_JOBS
                 " AND state = 'queued' AND reason IS NULL AND NOT EXISTS "
                 "(SELECT 1 FROM job t WHERE t.run_id = job.run_id "
                 "AND t.id <> job.id) AND EXISTS (SELECT 1 FROM run r "
                 "WHERE r.id = job.run_id AND r.epochs_done IS NULL "
                 "AND r.diverged_epoch IS NULL)",
                 sweep),
        error);
}

/* The others end, or wait their turn. */
static bool wake_others(struct store *store, const struct unsettled *sweep,
                        struct error *error)
{
    int64_t runs[CHUNK];
    int count;
    if (!list(of_chunk(store,
                       "SELECT DISTINCT run_id FROM job WHERE " CHUNK_JOBS
                       " AND state IN ('held', 'queued') AND is_ready = 0",
                       sweep),
              runs, &count, error))
        return false;
    for (int i = 0; i < count; i++)
        if (!store_run_wake(store, runs[i], error))
            return false;
    return true;
}

static bool enter(struct store *store, const struct unsettled *sweep,
                  struct error *error)
{
    return note_entered(store, sweep, error) &&
           tell_births(store, sweep, error) && let_in(store, sweep, error) &&
           wake_others(store, sweep, error);
}

/* Removing. */

/* A run that only a removed job had asked for. */
static bool remove_run(struct store *store, int64_t run, struct error *error)
{
    struct statement *s = db_sql(
        store->db, "DELETE FROM run WHERE id = ?1 AND epochs_done IS NULL AND "
                   "NOT EXISTS (SELECT 1 FROM job WHERE run_id = ?1) AND "
                   "NOT EXISTS (SELECT 1 FROM history WHERE run_id = ?1) AND "
                   "NOT EXISTS (SELECT 1 FROM checkpoint WHERE run_id = ?1)");
    bind_integer(s, run);
    return statement_run(s, error);
}

static bool remove_sweep(struct store *store, int64_t sweep,
                         struct error *error)
{
    struct statement *s = db_sql(store->db, "DELETE FROM sweep WHERE id = ?");
    bind_integer(s, sweep);
    return statement_run(s, error);
}

static bool remove_some(struct store *store, const struct unsettled *sweep,
                        struct error *error)
{
    int64_t runs[CHUNK];
    int count;
    struct statement *s = db_sql(
        store->db, "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE "
                   "sweep_id = ? ORDER BY position DESC LIMIT ?) "
                   "RETURNING run_id");
    bind_integer(s, sweep->id);
    bind_integer(s, CHUNK);
    if (!list(s, runs, &count, error))
        return false;
    for (int i = 0; i < count; i++)
        if (!remove_run(store, runs[i], error))
            return false;
    return count > 0 || remove_sweep(store, sweep->id, error);
}

/* Settling. */

struct settle_operation {
    struct operation operation;
    int64_t first, last; /* sweeps */
};

static bool find_unsettled(struct store *store, int64_t first, int64_t last,
                           struct unsettled *sweep, bool *found,
                           struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT id, job_count, entered, is_complete "
                          "FROM sweep INDEXED BY sweep_unsettled "
                          "WHERE entered IS NOT NULL AND id BETWEEN ? AND ? "
                          "AND (after_id IS NULL OR is_complete = 0) "
                          "ORDER BY id LIMIT 1");
    bind_integer(s, first);
    bind_integer(s, last);
    *found = statement_next(s);
    if (*found)
        *sweep = (struct unsettled){
            .id = column_integer(s, 0),
            .job_count = column_integer(s, 1),
            .entered = column_integer(s, 2),
            .is_complete = column_integer(s, 3),
        };
    return statement_finish(s, error);
}

/* As far as the time allows; *is_settled: nothing is left. */
static bool settle(struct store *store, int64_t first, int64_t last,
                   bool *is_settled, struct error *error)
{
    struct unsettled sweep;
    bool found = false;
    for (;;) {
        if (!find_unsettled(store, first, last, &sweep, &found, error))
            return false;
        *is_settled = !found;
        if (!found || store_piece_is_over(store))
            return true;
        if (!(sweep.is_complete ? enter(store, &sweep, error)
                                : remove_some(store, &sweep, error)))
            return false;
    }
}

static bool run_settle(struct store *store, struct operation *operation,
                       struct error *error)
{
    const struct settle_operation *o = (struct settle_operation *)operation;
    bool is_settled = false;
    if (!settle(store, o->first, o->last, &is_settled, error))
        return false;
    operation->is_unfinished = !is_settled;
    return true;
}

static struct operation *new_settle(int64_t first, int64_t last)
{
    struct settle_operation *o = operation_new(sizeof *o, run_settle);
    o->operation.is_kept = o->operation.is_spare = true;
    o->first = first;
    o->last = last;
    return &o->operation;
}

void store_sweep_settle(struct store *store, int64_t sweep)
{
    store_push(store, new_settle(sweep, sweep));
}

bool store_sweep_recover(struct store *store, struct operation **settling,
                         struct error *error)
{
    if (!look_up_ids(store, error))
        return false;
    *settling = new_settle(0, store->reserved.sweep);
    return true;
}

bool store_sweep_begin(struct store *store, const struct new_sweep *sweep,
                       struct operation *operation, struct error *error)
{
    struct statement *s = db_sql(
        store->db, "INSERT INTO sweep (id, name, owner, owner_uid, spec, "
                   "request_id, job_count, submitted_at, is_hidden, "
                   "is_complete, entered" CONTROL_COLUMNS
                   ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, "
                   "0" CONTROL_PARAMETERS ")");
    bind_integer(s, sweep->id);
    bind_text(s, sweep->name);
    bind_text(s, sweep->owner);
    bind_integer(s, sweep->owner_uid);
    bind_text(s, sweep->spec);
    bind_text(s, sweep->request_id);
    bind_integer(s, sweep->job_count);
    bind_real(s, store->now);
    bind_integer(s, sweep->is_hidden);
    controls_bind(s, sweep->controls);
    operation->remedy = new_settle(sweep->id, sweep->id);
    return statement_run(s, error);
}

/* All its jobs are queued, or held. */
static bool count_jobs(struct store *store, int64_t sweep, struct error *error)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        struct statement *s =
            db_sql(store->db, "INSERT INTO job_count SELECT id, ?1, CASE ?1 "
                              "WHEN CASE WHEN hold THEN 'held' ELSE 'queued' "
                              "END THEN job_count ELSE 0 END "
                              "FROM sweep WHERE id = ?");
        bind_text(s, job_state_name((enum job_state)i));
        bind_integer(s, sweep);
        if (!statement_run(s, error))
            return false;
    }
    struct statement *s = db_sql(
        store->db, "INSERT INTO job_total SELECT c.state, c.count FROM "
                   "job_count c JOIN sweep s ON s.id = c.sweep_id WHERE "
                   "s.id = ? AND s.is_hidden = 0 ON CONFLICT DO UPDATE SET "
                   "count = count + excluded.count");
    bind_integer(s, sweep);
    return statement_run(s, error);
}

bool store_sweep_complete(struct store *store, int64_t sweep, const char *name,
                          struct operation *operation, struct error *error)
{
    bool is_settled = false;
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET is_complete = 1 WHERE id = ?");
    bind_integer(s, sweep);
    if (!statement_run(s, error) || !count_jobs(store, sweep, error) ||
        !store_event_add(store, "submitted", sweep, 0, name, error) ||
        !settle(store, sweep, sweep, &is_settled, error))
        return false;
    if (!is_settled)
        operation->sequel = new_settle(sweep, sweep);
    return true;
}
