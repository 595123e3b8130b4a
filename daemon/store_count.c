/* How many jobs are in each state, of each sweep and of all.
 *
 * Of all, only users ask, who see what is committed: so those numbers, which
 * every job that starts or ends changes, are written once a transaction.
 */
#include "daemon/operation.h"

static bool add_to_sweep(struct store *store, int64_t sweep,
                         enum job_state state, int64_t change,
                         struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE job_count SET count = count + ? "
                          "WHERE sweep_id = ? AND state = ?");
    bind_integer(s, change);
    bind_integer(s, sweep);
    bind_text(s, job_state_name(state));
    return statement_run(s, error);
}

bool store_count_move(struct store *store, const struct stored_job *job,
                      enum job_state from, struct error *error)
{
    if (from == job->state)
        return true;
    if (!job->is_hidden) {
        store->moved.count[from]--;
        store->moved.count[job->state]++;
    }
    return add_to_sweep(store, job->sweep, from, -1, error) &&
           add_to_sweep(store, job->sweep, job->state, 1, error);
}

static bool add_to_total(struct store *store, enum job_state state,
                         int64_t change, struct error *error)
{
    struct statement *s = db_sql(
        store->db, "UPDATE job_total SET count = count + ? WHERE state = ?");
    bind_integer(s, change);
    bind_text(s, job_state_name(state));
    return statement_run(s, error);
}

bool store_count_write(struct store *store, struct error *error)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        int64_t change = store->moved.count[i];
        store->moved.count[i] = 0;
        if (change && !add_to_total(store, (enum job_state)i, change, error))
            return false;
    }
    return true;
}
