/* Verifying: what jobs have computed is computed again, and compared.
 *
 * A verification is a hidden sweep, named verify-<id>, of one job for each run:
 * it trains a hidden replica (its number is below 0) from nothing, on the
 * device class of the original, to the last epoch that is there, and every row
 * that comes is held against the original's (repeat.h).  So being done means
 * that all rows came out the same; the first that did not fails the job.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/operation.h"
#include "daemon/target.h"
#include "schema/json.h"
#include "schema/memory.h"

enum { SKIPPED_TOLD = 1000, REASON_BYTES = 512 };

struct verify_operation {
    struct operation operation;
    char *target, *request_id;
    struct caller caller;
};

/* A job whose rows are to come again, to an epoch that is there. */
struct original {
    int64_t job, epochs;
};

struct verification {
    int64_t sweep, first_job, owner;
    int64_t count, capacity;
    struct original *originals;
    int64_t skipped_count;
    struct cJSON *skipped; /* the first of them, {job, reason} */
};

static void add(struct cJSON *object, const char *name, int64_t value)
{
    cJSON_AddItemToObject(object, name, json_integer(value));
}

/* Which jobs. */

static void skip(struct verification *v, int64_t job, const char *reason)
{
    if (v->skipped_count++ >= SKIPPED_TOLD)
        return;
    struct cJSON *row = cJSON_CreateObject();
    add(row, "job", job);
    cJSON_AddStringToObject(row, "reason", reason);
    cJSON_AddItemToArray(v->skipped, row);
}

static void take(struct verification *v, int64_t job, int64_t epochs)
{
    if (v->count == v->capacity) {
        v->capacity = 2 * v->capacity + 64;
        v->originals =
            xrealloc(v->originals, (size_t)v->capacity * sizeof *v->originals);
    }
    v->originals[v->count++] = (struct original){job, epochs};
}

/* Of the open slots, each once: "\"a\" and \"b\"". */
static void print_classes(const struct store *store, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < store->slot_count && used < bytes; i++) {
        const char *name = store->slots[i].place.device_class;
        if (store->slots[i].is_open && !strstr(text, name))
            used += (size_t)snprintf(text + used, bytes - used, "%s\"%s\"",
                                     used ? " and " : "", name);
    }
    if (!used)
        snprintf(text, bytes, "none");
}

static void choose(const struct store *store, struct verification *v,
                   struct statement *s)
{
    char reason[REASON_BYTES], classes[REASON_BYTES / 2];
    int64_t job = column_integer(s, 0), epochs = column_integer(s, 1);
    const char *device_class = column_text(s, 4);
    if (column_integer(s, 2) < 0) {
        skip(v, job, "is a verification itself");
    } else if (epochs < 0) {
        skip(v, job, "has no rows yet");
    } else if (!store_offers(store, device_class, (int)column_integer(s, 3))) {
        print_classes(store, classes, sizeof classes);
        snprintf(reason, sizeof reason,
                 "began on device class \"%s\", which has no slot here; there "
                 "is %s",
                 device_class, classes);
        skip(v, job, reason);
    } else {
        take(v, job, epochs);
    }
}

/* Of the jobs that share a run, the one with the most epochs. */
static bool choose_all(struct store *store, const struct target *target,
                       struct verification *v, struct error *error)
{
    struct statement *s =
        db_sql(store->db,
               "SELECT j.id, max(min(ifnull(r.epochs_done, -1), j.nb_epochs)), "
               "r.replica, j.threads, r.device_class FROM job j "
               "CROSS JOIN run r ON r.id = j.run_id WHERE " TARGET_RESULTS
               " GROUP BY j.run_id ORDER BY 1");
    target_bind_results(s, target);
    while (statement_next(s))
        choose(store, v, s);
    return statement_finish(s, error);
}

static bool refuse_nothing(const struct verification *v, struct error *error)
{
    const struct cJSON *first = v->skipped->child;
    if (!first)
        return error_set(error, ERROR_CONFLICT,
                         "nothing to verify: these are verifications");
    char more[64] = "";
    if (v->skipped_count > 1)
        snprintf(more, sizeof more, ", and so on for %lld more",
                 (long long)v->skipped_count - 1);
    return error_set(error, ERROR_CONFLICT, "nothing to verify: job %lld %s%s",
                     (long long)json_integer_or(first, "job", 0),
                     json_text_or(first, "reason", ""), more);
}

/* Storing. */

static bool read_id(struct store *store, const char *sql, int64_t *id,
                    struct error *error)
{
    struct statement *s = db_sql(store->db, sql);
    while (statement_next(s))
        *id = column_integer(s, 0) + 1;
    return statement_finish(s, error);
}

static bool insert_sweep(struct store *store, const struct verify_operation *o,
                         const struct verification *v, const char *name,
                         struct error *error)
{
    struct cJSON *spec = cJSON_CreateObject();
    cJSON_AddStringToObject(spec, "verifies", o->target);
    size_t length;
    char *text = json_print(spec, &length);
    struct statement *s = db_sql(
        store->db, "INSERT INTO sweep (id, name, owner, owner_uid, spec, "
                   "request_id, job_count, submitted_at, is_hidden) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)");
    bind_integer(s, v->sweep);
    bind_text(s, name);
    bind_text(s, o->caller.name);
    bind_integer(s, o->caller.uid);
    bind_text(s, text);
    bind_text(s, o->request_id);
    bind_integer(s, v->count);
    bind_real(s, store->now);
    bool is_fine = statement_run(s, error);
    free(text);
    cJSON_Delete(spec);
    return is_fine &&
           store_event_add(store, "submitted", v->sweep, 0, name, error);
}

static bool insert_run(struct store *store, int64_t job, int64_t *run,
                       struct error *error)
{
    struct statement *s =
        db_sql(store->db,
               "INSERT INTO run (key, device_class, replica, dataset_digest, "
               "steps_per_epoch" RUN_COLUMNS ") SELECT key, device_class, "
               "(SELECT min(0, min(replica)) - 1 FROM run WHERE key = r.key), "
               "dataset_digest, steps_per_epoch" RUN_COLUMNS " FROM run r "
               "WHERE id = (SELECT run_id FROM job WHERE id = ?)");
    bind_integer(s, job);
    if (!statement_run(s, error))
        return false;
    *run = db_last_id(store->db);
    return true;
}

static bool insert_job(struct store *store, const struct verification *v,
                       int64_t position, struct error *error)
{
    const struct original *original = &v->originals[position];
    struct stored_job job;
    int64_t run;
    if (!insert_run(store, original->job, &run, error))
        return false;
    struct statement *s =
        db_sql(store->db,
               "INSERT INTO job (id, sweep_id, owner_uid, position, run_id, "
               "nb_epochs, label, device, threads, gpu_bytes, lane, state, "
               "is_ready, submitted_at, verifies) SELECT ?, ?, ?, ?, ?, ?, "
               "label, 'any', threads, gpu_bytes, "
               "'any' || substr(lane, instr(lane, ' ')), 'queued', 1, ?, id "
               "FROM job WHERE id = ?");
    bind_integer(s, v->first_job + position);
    bind_integer(s, v->sweep);
    bind_integer(s, v->owner);
    bind_integer(s, position);
    bind_integer(s, run);
    bind_integer(s, original->epochs);
    bind_real(s, store->now);
    bind_integer(s, original->job);
    return statement_run(s, error) &&
           store_job_load(store, v->first_job + position, &job, error) &&
           store_job_tell(store, &job, JOB_queued, NULL, error);
}

static struct cJSON *write_reply(int64_t sweep, const char *name,
                                 int64_t job_count, int64_t first_job,
                                 bool is_existing)
{
    struct cJSON *reply = cJSON_CreateObject();
    add(reply, "sweep_id", sweep);
    cJSON_AddStringToObject(reply, "name", name);
    add(reply, "job_count", job_count);
    add(reply, "first_job", first_job);
    add(reply, "last_job", first_job + job_count - 1);
    cJSON_AddBoolToObject(reply, "is_existing", is_existing);
    return reply;
}

static bool store_all(struct store *store, struct verify_operation *o,
                      struct verification *v, struct error *error)
{
    char name[32];
    if (!read_id(store, STORE_LAST_SWEEP, &v->sweep, error) ||
        !read_id(store, STORE_LAST_JOB, &v->first_job, error))
        return false;
    snprintf(name, sizeof name, "verify-%lld", (long long)v->sweep);
    v->owner = o->caller.uid;
    if (!insert_sweep(store, o, v, name, error))
        return false;
    for (int64_t i = 0; i < v->count; i++)
        if (!insert_job(store, v, i, error))
            return false;
    o->operation.result =
        write_reply(v->sweep, name, v->count, v->first_job, false);
    return true;
}

/* The verification that this request, sent once before, has made. */
static bool find_request(struct store *store, struct verify_operation *o,
                         bool *is_there, struct error *error)
{
    if (!store_deletion_check(store, o->request_id, error))
        return false;
    struct statement *s = db_sql(
        store->db, "SELECT s.id, s.name, s.job_count, (SELECT min(id) FROM job "
                   "WHERE sweep_id = s.id), s.owner_uid = ? AND s.is_hidden "
                   "FROM sweep s WHERE s.request_id = ?");
    bind_integer(s, o->caller.uid);
    bind_text(s, o->request_id);
    *is_there = statement_next(s);
    bool is_ours = !*is_there || column_integer(s, 4);
    if (*is_there && is_ours)
        o->operation.result =
            write_reply(column_integer(s, 0), column_text(s, 1),
                        column_integer(s, 2), column_integer(s, 3), true);
    if (!statement_finish(s, error))
        return false;
    return is_ours || error_set(error, ERROR_CONFLICT,
                                "request_id \"%s\" was used for another sweep",
                                o->request_id);
}

static bool verify(struct store *store, struct verify_operation *o,
                   struct verification *v, struct error *error)
{
    struct target target;
    bool is_there = false;
    if (!find_request(store, o, &is_there, error))
        return false;
    if (is_there)
        return true;
    if (!target_find(store->db, o->target, &o->caller, &target, error) ||
        !choose_all(store, &target, v, error))
        return false;
    return v->count ? store_all(store, o, v, error) : refuse_nothing(v, error);
}

static bool run_verify(struct store *store, struct operation *operation,
                       struct error *error)
{
    struct verification v = {.skipped = cJSON_CreateArray()};
    bool is_fine =
        verify(store, (struct verify_operation *)operation, &v, error);
    free(v.originals);
    if (!is_fine) {
        cJSON_Delete(v.skipped);
        return false;
    }
    add(operation->result, "skipped_count", v.skipped_count);
    cJSON_AddItemToObject(operation->result, "skipped", v.skipped);
    return true;
}

static void release_verify(struct operation *operation)
{
    struct verify_operation *o = (struct verify_operation *)operation;
    free(o->target);
    free(o->request_id);
}

void store_verify(struct store *store, const char *target,
                  const char *request_id, const struct caller *caller,
                  store_reply *reply, void *user)
{
    struct verify_operation *o = operation_new(sizeof *o, run_verify);
    o->operation.release = release_verify;
    o->operation.reply = reply;
    o->operation.user = user;
    o->target = xstrdup(target);
    o->request_id = xstrdup(request_id);
    o->caller = *caller;
    store_push(store, &o->operation);
}
