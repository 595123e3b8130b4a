/* Sweeps as a whole: when all their jobs are final, and when enough failed.
 *
 * A sweep finishes each time its last open job becomes final, so once more
 * after a retry.  In the same transaction goes the order for its hook, which is
 * taken up again by every start until its end is stored (hook.h).
 */
#include <stdio.h>

#include "daemon/operation.h"

struct sweep_totals {
    int64_t id, fail_fast;
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
        "AND s.is_complete "
        "AND NOT EXISTS (SELECT 1 FROM job WHERE sweep_id = s.id AND state IN "
        "('held', 'queued', 'running'))");
    bind_integer(s, sweep->id);
    *found = statement_next(s);
    if (*found)
        column_copy(s, 0, sweep->hook, sizeof sweep->hook);
    return statement_finish(s, error);
}

static bool count_ends(struct store *store, struct sweep_totals *sweep,
                       struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT total(state = 'done'), total(state = 'failed'), "
                   "total(state = 'cancelled') FROM job WHERE sweep_id = ?");
    bind_integer(s, sweep->id);
    while (statement_next(s)) {
        sweep->done = column_integer(s, 0);
        sweep->failed = column_integer(s, 1);
        sweep->cancelled = column_integer(s, 2);
    }
    return statement_finish(s, error);
}

static bool finish(struct store *store, const struct sweep_totals *sweep,
                   struct error *error)
{
    char text[128];
    snprintf(text, sizeof text, "%lld done, %lld failed, %lld cancelled",
             (long long)sweep->done, (long long)sweep->failed,
             (long long)sweep->cancelled);
    return store_event_add(store, "finished", sweep->id, 0, text, error);
}

bool store_sweep_check(struct store *store, const struct stored_job *job,
                       struct error *error)
{
    struct sweep_totals sweep = {.id = job->sweep};
    bool is_finished;
    if (!find_finished(store, &sweep, &is_finished, error))
        return false;
    return !is_finished ||
           (count_ends(store, &sweep, error) && finish(store, &sweep, error));
}
