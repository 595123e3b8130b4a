/* Checkpoints, as the database knows them.
 *
 * A row stands for a file in the run's folder.  Files come and go with workers,
 * and with the keeper where no worker is; both say so here, after the fact, so
 * after a crash a file may lack its row, or a row its file: the keeper finds
 * them.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "daemon/operation.h"

struct checkpoint_operation {
    struct operation operation;
    int64_t attempt; /* 0: `run` is given */
    int64_t run;
    struct saved_checkpoint saved;
    struct cJSON *removed; /* names */
    char text[1000];
};

/* Whose checkpoint it is; a run of 0: the attempt has ended. */
struct owner {
    int64_t job, sweep, run, replica;
};

static bool find_owner(struct store *store, int64_t attempt,
                       struct owner *owner, struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT j.id, j.sweep_id, r.id, r.replica FROM attempt a "
                   "JOIN job j ON j.id = a.job_id "
                   "JOIN run r ON r.id = j.run_id "
                   "WHERE a.id = ? AND a.ended_at IS NULL");
    bind_integer(s, attempt);
    while (statement_next(s)) {
        owner->job = column_integer(s, 0);
        owner->sweep = column_integer(s, 1);
        owner->run = column_integer(s, 2);
        owner->replica = column_integer(s, 3);
    }
    return statement_finish(s, error);
}

static bool forget(struct store *store, int64_t run, const char *file,
                   struct error *error)
{
    struct statement *s = db_sql(
        store->db, "DELETE FROM checkpoint WHERE run_id = ? AND file = ?");
    bind_integer(s, run);
    bind_text(s, file);
    return statement_run(s, error);
}

static bool forget_all(struct store *store, int64_t run,
                       const struct cJSON *names, struct error *error)
{
    const struct cJSON *name;
    cJSON_ArrayForEach(name, names)
    {
        if (cJSON_IsString(name) &&
            !forget(store, run, name->valuestring, error))
            return false;
    }
    return true;
}

/* Crashes count in a row without progress, which a later checkpoint is. */
static bool forgive_crashes(struct store *store, const struct owner *owner,
                            int64_t step, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE job SET crashes = 0 WHERE id = ? AND "
                          "crashes > 0 AND NOT EXISTS (SELECT 1 FROM "
                          "checkpoint WHERE run_id = ? AND step >= ?)");
    bind_integer(s, owner->job);
    bind_integer(s, owner->run);
    bind_integer(s, step);
    return statement_run(s, error);
}

static void bind_saved(struct statement *s, int64_t run,
                       const struct saved_checkpoint *saved)
{
    bind_integer(s, run);
    bind_integer(s, saved->step);
    bind_integer(s, saved->attempt);
    bind_text(s, saved->file);
    bind_integer(s, saved->bytes);
    bind_text(s, saved->hash);
}

static bool insert(struct store *store, int64_t run,
                   const struct saved_checkpoint *saved, struct error *error)
{
    struct statement *s = db_sql(
        store->db, "INSERT OR REPLACE INTO checkpoint (run_id, step, attempt, "
                   "file, bytes, hash) VALUES (?, ?, ?, ?, ?, ?)");
    bind_saved(s, run, saved);
    return statement_run(s, error);
}

static bool run_saved(struct store *store, struct operation *operation,
                      struct error *error)
{
    const struct checkpoint_operation *o =
        (struct checkpoint_operation *)operation;
    struct owner owner = {0};
    if (!find_owner(store, o->attempt, &owner, error))
        return false;
    if (!owner.run)
        return true;
    if (!forgive_crashes(store, &owner, o->saved.step, error) ||
        !insert(store, owner.run, &o->saved, error) ||
        !forget_all(store, owner.run, o->removed, error))
        return false;
    if (store->hooks.on_saved)
        store->hooks.on_saved(store->hooks.user, o->saved.bytes,
                              owner.replica < 0);
    return true;
}

static void release(struct operation *operation)
{
    cJSON_Delete(((struct checkpoint_operation *)operation)->removed);
}

static struct checkpoint_operation *
new_operation(bool (*run)(struct store *, struct operation *, struct error *))
{
    struct checkpoint_operation *o = operation_new(sizeof *o, run);
    o->operation.is_kept = true;
    o->operation.release = release;
    return o;
}

void store_checkpoint(struct store *store, int64_t attempt,
                      const struct saved_checkpoint *saved,
                      const struct cJSON *removed)
{
    struct checkpoint_operation *o = new_operation(run_saved);
    o->attempt = attempt;
    o->saved = *saved;
    o->removed = cJSON_Duplicate(removed, true);
    store_push(store, &o->operation);
}

/* Trouble. */

static bool run_damaged(struct store *store, struct operation *operation,
                        struct error *error)
{
    const struct checkpoint_operation *o =
        (struct checkpoint_operation *)operation;
    struct owner owner = {0};
    if (!find_owner(store, o->attempt, &owner, error))
        return false;
    return !owner.run || (forget(store, owner.run, o->saved.file, error) &&
                          store_event_add(store, "damaged", owner.sweep,
                                          owner.job, o->text, error));
}

void store_checkpoint_damaged(struct store *store, int64_t attempt,
                              const char *file, const char *text)
{
    struct checkpoint_operation *o = new_operation(run_damaged);
    o->attempt = attempt;
    snprintf(o->saved.file, sizeof o->saved.file, "%s", file);
    snprintf(o->text, sizeof o->text, "%s", text);
    store_push(store, &o->operation);
}

static bool run_missed(struct store *store, struct operation *operation,
                       struct error *error)
{
    const struct checkpoint_operation *o =
        (struct checkpoint_operation *)operation;
    struct owner owner = {0};
    if (!find_owner(store, o->attempt, &owner, error))
        return false;
    if (store->hooks.on_saved)
        store->hooks.on_saved(store->hooks.user, -1, false);
    return !owner.run || store_event_add(store, "unsaved", owner.sweep,
                                         owner.job, o->text, error);
}

void store_checkpoint_missed(struct store *store, int64_t attempt,
                             const char *text)
{
    struct checkpoint_operation *o = new_operation(run_missed);
    o->attempt = attempt;
    snprintf(o->text, sizeof o->text, "%s", text);
    store_push(store, &o->operation);
}

/* The keeper's. */

static bool run_adopt(struct store *store, struct operation *operation,
                      struct error *error)
{
    const struct checkpoint_operation *o =
        (struct checkpoint_operation *)operation;
    struct statement *s = db_sql(
        store->db, "INSERT OR IGNORE INTO checkpoint (run_id, step, attempt, "
                   "file, bytes, hash) SELECT ?, ?, ?, ?, ?, ? WHERE EXISTS "
                   "(SELECT 1 FROM run WHERE id = ?)");
    bind_saved(s, o->run, &o->saved);
    bind_integer(s, o->run);
    return statement_run(s, error);
}

void store_checkpoint_adopt(struct store *store, int64_t run,
                            const struct saved_checkpoint *found)
{
    struct checkpoint_operation *o = new_operation(run_adopt);
    o->run = run;
    o->saved = *found;
    store_push(store, &o->operation);
}

static bool run_forget(struct store *store, struct operation *operation,
                       struct error *error)
{
    const struct checkpoint_operation *o =
        (struct checkpoint_operation *)operation;
    return forget(store, o->run, o->saved.file, error);
}

void store_checkpoint_forget(struct store *store, int64_t run, const char *file)
{
    struct checkpoint_operation *o = new_operation(run_forget);
    o->run = run;
    snprintf(o->saved.file, sizeof o->saved.file, "%s", file);
    store_push(store, &o->operation);
}

/* For a dispatch. */

bool store_checkpoints_load(struct store *store, struct dispatch *dispatch,
                            struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT step, attempt, bytes, file, hash FROM checkpoint "
                   "WHERE run_id = ? ORDER BY step DESC, attempt DESC LIMIT ?");
    bind_integer(s, dispatch->run);
    bind_integer(s, CHECKPOINTS_TOLD);
    while (statement_next(s)) {
        struct saved_checkpoint *one =
            &dispatch->checkpoints[dispatch->checkpoint_count++];
        one->step = column_integer(s, 0);
        one->attempt = column_integer(s, 1);
        one->bytes = column_integer(s, 2);
        column_copy(s, 3, one->file, sizeof one->file);
        column_copy(s, 4, one->hash, sizeof one->hash);
    }
    return statement_finish(s, error);
}
