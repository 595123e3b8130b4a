/* Sweeps that wait for another.
 *
 * While sweep.after_id is an id, no job of the sweep is made ready
 * (store_run_release).  When it need not wait any more after_id becomes 0,
 * which stands until every one of its jobs has been woken: that goes in pieces,
 * since they may be many, and is gone on with after a crash.
 */
#include <stdio.h>

#include "daemon/operation.h"
#include "daemon/target.h"
#include "schema/faults.h"

enum { PIECE_JOBS = 250 };

struct wake_operation {
    struct operation operation;
    int64_t sweep, position; /* of the last job that was woken */
};

static bool next_job(struct store *store, struct wake_operation *o,
                     int64_t *run, bool *found, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT position, run_id FROM job WHERE sweep_id = ? "
                          "AND position > ? ORDER BY position LIMIT 1");
    bind_integer(s, o->sweep);
    bind_integer(s, o->position);
    *found = statement_next(s);
    if (*found) {
        o->position = column_integer(s, 0);
        *run = column_integer(s, 1);
    }
    return statement_finish(s, error);
}

/* The sweep waits no longer, and was not made to begin anew. */
static bool end_wait(struct store *store, int64_t sweep, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET after_id = NULL WHERE id = ? AND "
                          "after_id = 0");
    bind_integer(s, sweep);
    return statement_run(s, error);
}

static bool run_wake(struct store *store, struct operation *operation,
                     struct error *error)
{
    struct wake_operation *o = (struct wake_operation *)operation;
    for (int i = 0; i < PIECE_JOBS; i++) {
        int64_t run = 0;
        bool found;
        if (!next_job(store, o, &run, &found, error))
            return false;
        if (!found)
            return end_wait(store, o->sweep, error);
        if (!store_run_release(store, run, error))
            return false;
    }
    operation->is_unfinished = true;
    return true;
}

/* Should this transaction fail, the operation finds nothing that it may do. */
static void wake(struct store *store, int64_t sweep)
{
    struct wake_operation *o = operation_new(sizeof *o, run_wake);
    o->operation.is_kept = true;
    o->sweep = sweep;
    o->position = -1;
    store_push(store, &o->operation);
}

/* Whether each of its jobs is done, or it does not exist. */
static bool is_over(struct store *store, int64_t sweep, bool *is_over,
                    struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT 1 FROM sweep s WHERE s.id = ? AND (s.is_complete = 0 OR EXISTS "
        "(SELECT 1 FROM job j WHERE j.sweep_id = s.id AND j.state IN "
        "('held', 'queued', 'running', 'failed', 'cancelled')))");
    bind_integer(s, sweep);
    *is_over = !statement_next(s);
    return statement_finish(s, error);
}

void store_after_find(struct store *store, struct submission *submission,
                      struct faults *faults)
{
    struct submission *s = submission;
    struct target target;
    struct error error;
    if (!s->controls.after[0])
        return;
    faults->context = "controls";
    if (!target_find(store->db, s->controls.after, &s->caller, &target, &error))
        faults_add(faults, "after", "%s", error.text);
    else if (!target.sweep)
        faults_add(faults, "after", "\"%s\" names jobs, not a sweep",
                   s->controls.after);
    faults->context = "";
    s->after_id = target.sweep;
    snprintf(s->controls.after, CONTROL_TEXT_BYTES, "%s", target.name);
}

bool store_sweep_wait(struct store *store, int64_t sweep, int64_t other,
                      bool *waits, struct error *error)
{
    bool may_go = true;
    if (other && !is_over(store, other, &may_go, error))
        return false;
    *waits = !may_go;
    if (may_go)
        return true;
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET after_id = ? WHERE id = ?");
    bind_integer(s, other);
    bind_integer(s, sweep);
    return statement_run(s, error);
}

bool store_sweep_release(struct store *store, int64_t sweep, bool *waited,
                         struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET after_id = 0 WHERE id = ? AND "
                          "after_id > 0 RETURNING id");
    bind_integer(s, sweep);
    *waited = statement_next(s);
    if (!statement_finish(s, error))
        return false;
    if (*waited)
        wake(store, sweep);
    return true;
}

/* The first sweep that waits for `sweep`; 0: none. */
static bool find_waiting(struct store *store, int64_t sweep, int64_t *waiting,
                         struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT id FROM sweep WHERE after_id = ? LIMIT 1");
    bind_integer(s, sweep);
    *waiting = 0;
    while (statement_next(s))
        *waiting = column_integer(s, 0);
    return statement_finish(s, error);
}

bool store_sweep_over(struct store *store, int64_t sweep, struct error *error)
{
    for (;;) {
        int64_t waiting;
        bool may_go, waited;
        if (!find_waiting(store, sweep, &waiting, error))
            return false;
        if (!waiting)
            return true;
        if (!is_over(store, sweep, &may_go, error))
            return false;
        if (!may_go)
            return true;
        if (!store_sweep_release(store, waiting, &waited, error))
            return false;
    }
}

/* The first one after `*sweep` that is being let go, or could be. */
static bool next_free(struct store *store, int64_t *sweep, bool *found,
                      struct error *error)
{
    struct statement *s =
        db_sql(store->db,
               "SELECT s.id FROM sweep s INDEXED BY sweep_after WHERE "
               "s.after_id IS NOT NULL AND s.id > ? AND (s.after_id = 0 OR "
               "NOT EXISTS (SELECT 1 FROM sweep a WHERE a.id = s.after_id)) "
               "ORDER BY s.id LIMIT 1");
    bind_integer(s, *sweep);
    *found = statement_next(s);
    if (*found)
        *sweep = column_integer(s, 0);
    return statement_finish(s, error);
}

bool store_sweep_recover(struct store *store, struct error *error)
{
    int64_t sweep = 0;
    for (;;) {
        bool found, waited;
        if (!next_free(store, &sweep, &found, error))
            return false;
        if (!found)
            return true;
        if (!store_sweep_release(store, sweep, &waited, error))
            return false;
        if (!waited)
            wake(store, sweep);
    }
}
