/* The end of a sweep whose deletion is bound to happen (store_deletion.c), a
 * piece at a time: its jobs, the runs that no other job has, and their rows. */
#include "daemon/operation.h"
#include "schema/spec.h"

enum { ROWS_AT_ONCE = 2000 };

/* What a deletion counts as it goes. */
static bool count(struct store *store, const char *sql, int64_t value,
                  int64_t sweep, struct error *error)
{
    struct statement *s = db_sql(store->db, sql);
    bind_integer(s, value);
    bind_integer(s, sweep);
    return statement_run(s, error);
}
#define COUNT(member)                                                          \
    "UPDATE deletion SET " member " = " member " + ? WHERE sweep_id = ?"

/* Runs. */

/* Some rows of a run that no job has any more; `*rows`: so many. */
static bool remove_rows(struct store *store, int64_t run, int64_t *rows,
                        struct error *error)
{
    int64_t last = -1;
    struct statement *s =
        db_sql(store->db, "SELECT max(step) FROM (SELECT step FROM history "
                          "WHERE run_id = ? ORDER BY step LIMIT ?)");
    bind_integer(s, run);
    bind_integer(s, ROWS_AT_ONCE);
    while (statement_next(s))
        last = column_integer_or(s, 0, -1);
    if (!statement_finish(s, error))
        return false;
    s = db_sql(store->db,
               "DELETE FROM diagnostic WHERE run_id = ? AND step <= ?");
    bind_integer(s, run);
    bind_integer(s, last);
    if (!statement_run(s, error))
        return false;
    s = db_sql(store->db, "DELETE FROM history WHERE run_id = ? AND step <= ?");
    bind_integer(s, run);
    bind_integer(s, last);
    bool is_fine = statement_run(s, error);
    *rows = db_changed(store->db);
    return is_fine;
}

static bool remove_run(struct store *store, int64_t run, int64_t sweep,
                       struct error *error)
{
    int64_t bytes;
    return db_read_number(store->db,
                          "SELECT sum(bytes) FROM checkpoint WHERE run_id = ?",
                          run, &bytes, error) &&
           db_change(store->db, "DELETE FROM checkpoint WHERE run_id = ?", run,
                     error) &&
           db_change(store->db, "DELETE FROM run WHERE id = ?", run, error) &&
           count(store, COUNT("bytes"), bytes, sweep, error) &&
           count(store, COUNT("runs"), 1, sweep, error);
}

/* Goes on with a run that is on its way out; `*is_there`: there was one. */
static bool step_run(struct store *store, int64_t sweep, bool *is_there,
                     struct error *error)
{
    int64_t run, rows;
    if (!db_read_number(
            store->db,
            "SELECT id FROM run WHERE key >= 'deleted-' || ?1 || '-' "
            "AND key < 'deleted-' || ?1 || '.' LIMIT 1",
            sweep, &run, error))
        return false;
    *is_there = run > 0;
    if (!run)
        return true;
    if (!remove_rows(store, run, &rows, error) ||
        !count(store, COUNT("rows"), rows, sweep, error))
        return false;
    return rows == ROWS_AT_ONCE || remove_run(store, run, sweep, error);
}

/* Jobs. */

/* A run that has lost a job: it stays for its others, or is on its way out. */
static bool release_run(struct store *store, int64_t run, int64_t sweep,
                        struct error *error)
{
    int64_t user;
    if (!db_read_number(store->db,
                        "SELECT sweep_id FROM job WHERE run_id = ? "
                        "ORDER BY sweep_id DESC LIMIT 1",
                        run, &user, error))
        return false;
    if (!user)
        return count(store,
                     "UPDATE run SET key = 'deleted-' || ?2 || '-' || id "
                     "WHERE id = ?1",
                     run, sweep, error);
    int64_t own = 0;
    struct statement *s = db_sql(
        store->db, "SELECT 1 FROM job WHERE run_id = ? AND sweep_id = ?");
    bind_integer(s, run);
    bind_integer(s, sweep);
    while (statement_next(s))
        own = 1;
    return statement_finish(s, error) &&
           (own || count(store, COUNT("shared_runs"), 1, sweep, error)) &&
           store_run_wake(store, run, error);
}

static bool remove_job(struct store *store, int64_t job, int64_t sweep,
                       struct error *error)
{
    int64_t run;
    return db_read_number(store->db, "SELECT run_id FROM job WHERE id = ?", job,
                          &run, error) &&
           db_change(store->db, "DELETE FROM attempt WHERE job_id = ?", job,
                     error) &&
           db_change(store->db, "DELETE FROM job WHERE id = ?", job, error) &&
           count(store, COUNT("jobs"), 1, sweep, error) &&
           release_run(store, run, sweep, error);
}

static bool uncount(struct store *store, int64_t job, struct error *error)
{
    return db_change(store->db,
                     "UPDATE job_count SET count = count - 1 WHERE "
                     "(sweep_id, state) = (SELECT sweep_id, state FROM job "
                     "WHERE id = ?)",
                     job, error);
}

/* A verification without jobs goes; one that lost some has fewer. */
static bool shrink_hidden(struct store *store, int64_t sweep,
                          struct error *error)
{
    return db_change(store->db,
                     "UPDATE sweep SET job_count = job_count - 1 WHERE id = ?",
                     sweep, error) &&
           db_change(store->db,
                     "DELETE FROM sweep WHERE id = ? AND job_count = 0", sweep,
                     error);
}

static bool step_job(struct store *store, int64_t sweep, bool *is_there,
                     struct error *error)
{
    int64_t job, verifier, hidden;
    if (!db_read_number(store->db,
                        "SELECT id FROM job WHERE sweep_id = ? LIMIT 1", sweep,
                        &job, error))
        return false;
    *is_there = job > 0;
    if (!job)
        return true;
    if (!db_read_number(store->db,
                        "SELECT id FROM job WHERE verifies = ? LIMIT 1", job,
                        &verifier, error))
        return false;
    if (!verifier)
        return remove_job(store, job, sweep, error);
    return db_read_number(store->db, "SELECT sweep_id FROM job WHERE id = ?",
                          verifier, &hidden, error) &&
           uncount(store, verifier, error) &&
           remove_job(store, verifier, sweep, error) &&
           shrink_hidden(store, hidden, error);
}

static bool finish(struct store *store, int64_t sweep, struct error *error)
{
    char name[SPEC_NAME_BYTES] = "";
    struct statement *s =
        db_sql(store->db, "UPDATE deletion SET is_finished = 1 WHERE "
                          "sweep_id = ? AND is_finished = 0 RETURNING name");
    bind_integer(s, sweep);
    while (statement_next(s))
        column_copy(s, 0, name, sizeof name);
    if (!statement_finish(s, error))
        return false;
    return db_change(store->db, "DELETE FROM hook WHERE sweep_id = ?", sweep,
                     error) &&
           db_change(store->db, "DELETE FROM sweep WHERE id = ?", sweep,
                     error) &&
           store_sweep_over(store, sweep, error) &&
           (!name[0] ||
            store_event_add(store, "deleted", sweep, 0, name, error));
}

bool store_removal_go_on(struct store *store, int64_t sweep, bool *is_done,
                         struct error *error)
{
    *is_done = false;
    do {
        bool is_there;
        if (!step_run(store, sweep, &is_there, error))
            return false;
        if (is_there)
            continue;
        if (!step_job(store, sweep, &is_there, error))
            return false;
        if (is_there)
            continue;
        *is_done = true;
        return finish(store, sweep, error);
    } while (!store_piece_is_over(store));
    return true;
}
