/* Deleting a sweep: with its jobs goes what no other sweep uses.
 *
 * In pieces.  First its queued jobs are cancelled; then, in one piece, it is
 * marked: it has a row in `deletion`, is incomplete (nobody sees it), and its
 * name is free.  From there on the rest is bound to happen, at the next start
 * if need be: its jobs go, and with a run's last job the run, which is first
 * given a key that nothing asks for.  Verifications of its jobs go with them.
 *
 * The row stays, so that no id comes a second time, and neither the request
 * that made the sweep nor the one that deleted it is acted on again.  Files
 * are left to the keeper, which knows them by their missing run.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/operation.h"
#include "daemon/target.h"
#include "schema/json.h"
#include "schema/memory.h"

struct delete_operation {
    struct operation operation;
    char *target, *request_id; /* NULL: what is left of earlier ones */
    struct caller caller;
    int64_t sweep;    /* once it is marked */
    int64_t position; /* of the last job that was cancelled */
    int64_t finished;
};

/* Beginning. */

static bool refuse_busy(struct store *store, const struct target *target,
                        struct error *error)
{
    int64_t running, leaving, verifying;
    if (!db_read_number(store->db,
                        "SELECT count FROM job_count WHERE sweep_id = ? "
                        "AND state = 'running'",
                        target->sweep, &running, error) ||
        !db_read_number(
            store->db,
            "SELECT count(*) FROM attempt a INDEXED BY attempt_open "
            "JOIN job j ON j.id = a.job_id "
            "WHERE a.ended_at IS NULL AND j.sweep_id = ?",
            target->sweep, &leaving, error) ||
        !db_read_number(
            store->db,
            "SELECT h.sweep_id FROM job h INDEXED BY job_verifies "
            "JOIN job j ON j.id = h.verifies "
            "WHERE h.verifies IS NOT NULL AND j.sweep_id = ? AND h.state "
            "IN ('held', 'queued', 'running') LIMIT 1",
            target->sweep, &verifying, error))
        return false;
    if (running)
        return error_set(error, ERROR_CONFLICT,
                         "sweep \"%s\" has %lld running job%s; cancel it first "
                         "(gaitctl cancel %s)",
                         target->name, (long long)running,
                         running == 1 ? "" : "s", target->name);
    if (leaving)
        return error_set(error, ERROR_CONFLICT,
                         "sweep \"%s\" has %lld cancelled job%s that %s still "
                         "saving; try again in a moment",
                         target->name, (long long)leaving,
                         leaving == 1 ? "" : "s", leaving == 1 ? "is" : "are");
    return !verifying ||
           error_set(error, ERROR_CONFLICT,
                     "verify-%lld is still training what jobs of sweep \"%s\" "
                     "have; cancel it first (gaitctl cancel verify-%lld)",
                     (long long)verifying, target->name, (long long)verifying);
}

/* Queued jobs, so that none is dispatched between two pieces. */
static bool cancel_waiting(struct store *store, struct delete_operation *o,
                           int64_t sweep, bool *is_done, struct error *error)
{
    struct stored_job job;
    *is_done = false;
    do {
        int64_t id;
        if (!store_sweep_waiting(store, sweep, &o->position, &id, error))
            return false;
        *is_done = id == 0;
        if (*is_done)
            return true;
        if (!store_job_load(store, id, &job, error) ||
            !store_job_move(store, &job, JOB_ON_cancel, "deleted", error) ||
            !store_run_wake(store, job.run, error))
            return false;
    } while (!store_piece_is_over(store));
    return true;
}

static bool insert(struct store *store, const struct delete_operation *o,
                   int64_t sweep, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "INSERT INTO deletion (sweep_id, name, submit_id, request_id, uid, "
        "last_sweep, last_job, deleted_at) SELECT s.id, s.name, s.request_id, "
        "?, ?, (" STORE_LAST_SWEEP "), (" STORE_LAST_JOB "), ? FROM sweep s "
        "WHERE s.id = ?");
    bind_text(s, o->request_id);
    bind_integer(s, o->caller.uid);
    bind_real(s, store->now);
    bind_integer(s, sweep);
    return statement_run(s, error);
}

static bool mark(struct store *store, struct delete_operation *o, int64_t sweep,
                 struct error *error)
{
    o->sweep = sweep;
    return insert(store, o, sweep, error) &&
           db_change(
               store->db,
               "UPDATE job_total SET count = job_total.count - c.count FROM "
               "job_count "
               "c JOIN sweep s ON s.id = c.sweep_id WHERE s.id = ? AND "
               "s.is_hidden = 0 AND c.state = job_total.state",
               sweep, error) &&
           db_change(store->db,
                     "UPDATE sweep SET is_complete = 0, entered = NULL, name = "
                     "'deleted/' || id, "
                     "request_id = 'deleted/' || id WHERE id = ?",
                     sweep, error);
}

static bool begin(struct store *store, struct delete_operation *o,
                  bool *is_marked, struct error *error)
{
    struct target target;
    *is_marked = false;
    if (!target_find(store->db, o->target, &o->caller, &target, error))
        return false;
    if (!target.sweep)
        return error_set(error, ERROR_PARAMS,
                         "\"target\" is \"%s\", expected a sweep; single jobs "
                         "cannot be deleted",
                         target.name);
    if (!target_check_owner(store->db, &target, &o->caller, error) ||
        !refuse_busy(store, &target, error) ||
        !cancel_waiting(store, o, target.sweep, is_marked, error))
        return false;
    return !*is_marked || mark(store, o, target.sweep, error);
}

/* Answering. */

static const char *const members[] = {"jobs", "runs", "rows", "bytes",
                                      "shared_runs"};

static struct cJSON *write_reply(struct statement *s, bool is_existing)
{
    struct cJSON *reply = cJSON_CreateObject();
    cJSON_AddItemToObject(reply, "sweep_id",
                          json_integer(column_integer(s, 0)));
    cJSON_AddStringToObject(reply, "name", column_text(s, 1));
    for (int i = 0; i < (int)(sizeof members / sizeof *members); i++)
        cJSON_AddItemToObject(reply, members[i],
                              json_integer(column_integer(s, 2 + i)));
    cJSON_AddBoolToObject(reply, "is_existing", is_existing);
    return reply;
}

/* The deletion that this request is, or has been; answered when it is over. */
static bool find_deletion(struct store *store, struct delete_operation *o,
                          bool is_existing, bool *is_there, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT sweep_id, name, jobs, runs, rows, bytes, "
                          "shared_runs, uid, is_finished FROM deletion "
                          "WHERE request_id = ?");
    bind_text(s, o->request_id);
    *is_there = statement_next(s);
    bool is_ours = !*is_there || column_integer(s, 7) == (int64_t)o->caller.uid;
    bool is_over = *is_there && column_integer(s, 8);
    if (is_over && is_ours)
        o->operation.result = write_reply(s, is_existing);
    o->operation.is_unfinished = !is_over;
    if (!statement_finish(s, error))
        return false;
    return is_ours || error_set(error, ERROR_CONFLICT,
                                "request_id \"%s\" was used by somebody else",
                                o->request_id);
}

bool store_deletion_check(struct store *store, const char *request_id,
                          struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT name FROM deletion "
                          "WHERE submit_id = ?1 OR request_id = ?1");
    bind_text(s, request_id);
    bool is_there = statement_next(s);
    char name[SPEC_NAME_BYTES] = "";
    if (is_there)
        column_copy(s, 0, name, sizeof name);
    if (!statement_finish(s, error))
        return false;
    return !is_there ||
           error_set(error, ERROR_CONFLICT,
                     "request_id \"%s\" was used for sweep \"%s\", "
                     "which has been deleted since",
                     request_id, name);
}

/* The operation. */

static bool run_delete(struct store *store, struct operation *operation,
                       struct error *error)
{
    struct delete_operation *o = (struct delete_operation *)operation;
    bool is_there, is_done;
    if (!o->sweep) {
        if (!find_deletion(store, o, true, &is_there, error))
            return false;
        return is_there || begin(store, o, &is_done, error);
    }
    if (!store_removal_go_on(store, o->sweep, &is_done, error))
        return false;
    operation->is_unfinished = !is_done;
    return !is_done || find_deletion(store, o, false, &is_there, error);
}

static void release_delete(struct operation *operation)
{
    struct delete_operation *o = (struct delete_operation *)operation;
    free(o->target);
    free(o->request_id);
}

void store_delete(struct store *store, const char *target,
                  const char *request_id, const struct caller *caller,
                  store_reply *reply, void *user)
{
    struct delete_operation *o = operation_new(sizeof *o, run_delete);
    o->operation.release = release_delete;
    o->operation.reply = reply;
    o->operation.user = user;
    o->target = xstrdup(target);
    o->request_id = xstrdup(request_id);
    o->caller = *caller;
    store_push(store, &o->operation);
}

static bool run_rest(struct store *store, struct operation *operation,
                     struct error *error)
{
    struct delete_operation *o = (struct delete_operation *)operation;
    bool is_done = false;
    if (!db_read_number(
            store->db,
            "SELECT sweep_id FROM deletion WHERE is_finished = ? LIMIT 1", 0,
            &o->sweep, error))
        return false;
    if (o->sweep && !store_removal_go_on(store, o->sweep, &is_done, error))
        return false;
    o->finished += is_done;
    operation->is_unfinished = o->sweep != 0;
    if (!o->sweep) {
        operation->result = cJSON_CreateObject();
        cJSON_AddItemToObject(operation->result, "deletions",
                              json_integer(o->finished));
    }
    return true;
}

void store_delete_rest(struct store *store, store_reply *reply, void *user)
{
    struct delete_operation *o = operation_new(sizeof *o, run_rest);
    o->operation.is_kept = o->operation.is_spare = true;
    o->operation.reply = reply;
    o->operation.user = user;
    store_push(store, &o->operation);
}
