/* Sweeps that wait for another.
 *
 * While sweep.after_id is not NULL, no job of the sweep enters the queue
 * (store_sweep.c); when it need not wait any more its jobs do, in pieces.
 */
#include <stdio.h>

#include "daemon/operation.h"
#include "daemon/target.h"
#include "schema/faults.h"

/* Whether each of its jobs is done, or it does not exist. */
static bool is_over(struct store *store, int64_t sweep, bool *is_over,
                    struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT 1 FROM sweep s WHERE s.id = ? AND (s.is_complete = 0 OR EXISTS "
        "(SELECT 1 FROM job_count c WHERE c.sweep_id = s.id AND "
        "c.state <> 'done' AND c.count > 0))");
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

/* One that is still going in enters the queue once it is complete. */
bool store_sweep_release(struct store *store, int64_t sweep, bool *waited,
                         struct error *error)
{
    bool is_complete = false;
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET after_id = NULL WHERE id = ? AND "
                          "after_id IS NOT NULL RETURNING is_complete");
    bind_integer(s, sweep);
    *waited = statement_next(s);
    if (*waited)
        is_complete = column_integer(s, 0);
    if (!statement_finish(s, error))
        return false;
    if (is_complete)
        store_sweep_settle(store, sweep);
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

/* The awaited sweep was deleted. */
bool store_after_recover(struct store *store, struct error *error)
{
    return statement_run(
        db_sql(store->db,
               "UPDATE sweep SET after_id = NULL WHERE after_id IS NOT NULL "
               "AND NOT EXISTS (SELECT 1 FROM sweep a WHERE "
               "a.id = sweep.after_id)"),
        error);
}
