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

enum { SKIPPED_TOLD = 1000, REASON_BYTES = 512, CHOSEN_AT_ONCE = 256 };

/* A job whose rows are to come again, to an epoch that is there. */
struct original {
    int64_t job, epochs;
};

struct verification {
    int64_t sweep, first_job; /* 0: it has not begun */
    int64_t owner;
    int64_t looked_at; /* the last job that was */
    int64_t position;  /* of the next one to be made */
    int64_t count, capacity;
    struct original *originals;
    int64_t skipped_count;
    struct cJSON *skipped; /* the first of them, {job, reason} */
};

struct verify_operation {
    struct operation operation;
    char *target, *request_id;
    struct caller caller;
    struct target found; /* job_count 0: it is not looked for yet */
    char name[32];
    struct verification verification;
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

/* The jobs behind the last one looked at, so many; of those that share a run
 * the one with the most epochs, and of these the first. */
static bool choose_some(const struct store *store, const struct target *target,
                        struct verification *v, struct error *error)
{
    struct target some = *target;
    if (some.first <= v->looked_at)
        some.first = v->looked_at + 1;
    if (some.last - some.first >= CHOSEN_AT_ONCE)
        some.last = some.first + CHOSEN_AT_ONCE - 1;
    struct statement *s = db_sql(
        store->db,
        "SELECT j.id, min(ifnull(r.epochs_done, -1), j.nb_epochs), "
        "r.replica, j.threads, r.device_class FROM job j "
        "CROSS JOIN run r ON r.id = j.run_id WHERE " TARGET_RESULTS
        " AND NOT EXISTS (SELECT 1 FROM job t WHERE t.run_id = j.run_id "
        "AND t.id BETWEEN ? AND ? AND t.sweep_id BETWEEN ? AND ? AND "
        "t.sweep_id NOT IN (SELECT id FROM sweep WHERE is_complete = 0) AND "
        "(min(t.nb_epochs, ifnull(r.epochs_done, -1)), -t.id) > "
        "(min(j.nb_epochs, ifnull(r.epochs_done, -1)), -j.id)) ORDER BY j.id");
    target_bind_results(s, &some);
    target_bind(s, target);
    while (statement_next(s))
        choose(store, v, s);
    v->looked_at = some.last;
    return statement_finish(s, error);
}

/* Ids beyond the last job are not there to be looked at. */
static bool end_target(struct store *store, struct target *target,
                       struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT ifnull(max(id), 0) FROM job");
    while (statement_next(s))
        if (target->last > column_integer(s, 0))
            target->last = column_integer(s, 0);
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

static bool begin(struct store *store, struct verify_operation *o,
                  struct error *error)
{
    struct verification *v = &o->verification;
    if (!store_sweep_reserve(store, v->count, &v->sweep, &v->first_job, error))
        return false;
    snprintf(o->name, sizeof o->name, "verify-%lld", (long long)v->sweep);
    struct cJSON *spec = cJSON_CreateObject();
    cJSON_AddStringToObject(spec, "verifies", o->target);
    size_t length;
    char *text = json_print(spec, &length);
    struct controls controls;
    controls_init(&controls);
    const struct new_sweep sweep = {
        .id = v->sweep,
        .job_count = v->count,
        .name = o->name,
        .owner = o->caller.name,
        .spec = text,
        .request_id = o->request_id,
        .owner_uid = o->caller.uid,
        .is_hidden = true,
        .controls = &controls,
    };
    v->owner = o->caller.uid;
    bool is_fine = store_sweep_begin(store, &sweep, &o->operation, error);
    free(text);
    cJSON_Delete(spec);
    return is_fine;
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
    int64_t written = db_written(store->db);
    if (!statement_run(s, error))
        return false;
    *run = db_last_id(store->db);
    return db_written(store->db) > written ||
           error_set(error, ERROR_CONFLICT,
                     "job %lld, which was to be verified, has been deleted "
                     "meanwhile",
                     (long long)job);
}

static bool insert_job(struct store *store, const struct verification *v,
                       int64_t position, struct error *error)
{
    const struct original *original = &v->originals[position];
    int64_t run;
    if (!insert_run(store, original->job, &run, error))
        return false;
    struct statement *s = db_sql(
        store->db, "INSERT INTO job (id, sweep_id, owner_uid, position, "
                   "run_id, nb_epochs, label, device, threads, gpu_bytes, "
                   "lane, state, submitted_at, verifies) "
                   "SELECT ?, ?, ?, ?, ?, ?, label, 'any', threads, gpu_bytes, "
                   "'any' || substr(lane, instr(lane, ' ')), 'queued', ?, id "
                   "FROM job WHERE id = ?");
    bind_integer(s, v->first_job + position);
    bind_integer(s, v->sweep);
    bind_integer(s, v->owner);
    bind_integer(s, position);
    bind_integer(s, run);
    bind_integer(s, original->epochs);
    bind_real(s, store->now);
    bind_integer(s, original->job);
    return statement_run(s, error);
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

/* Nothing was skipped this time. */
static struct cJSON *write_existing(struct statement *s)
{
    struct cJSON *reply =
        write_reply(column_integer(s, 0), column_text(s, 1),
                    column_integer(s, 2), column_integer(s, 3), true);
    add(reply, "skipped_count", 0);
    cJSON_AddItemToObject(reply, "skipped", cJSON_CreateArray());
    return reply;
}

/* The verification that this request, sent once before, has made. */
static bool find_request(struct store *store, struct verify_operation *o,
                         bool *is_there, struct error *error)
{
    if (!store_deletion_check(store, o->request_id, error))
        return false;
    struct statement *s = db_sql(
        store->db, "SELECT s.id, s.name, s.job_count, (SELECT id FROM job "
                   "WHERE sweep_id = s.id ORDER BY position LIMIT 1), "
                   "s.owner_uid = ? AND s.is_hidden, "
                   "s.is_complete "
                   "FROM sweep s WHERE s.request_id = ?");
    bind_integer(s, o->caller.uid);
    bind_text(s, o->request_id);
    *is_there = statement_next(s);
    bool is_ours = !*is_there || column_integer(s, 4);
    bool is_coming = *is_there && is_ours && !column_integer(s, 5);
    o->operation.is_unfinished = is_coming; /* ask again */
    if (*is_there && is_ours && !is_coming)
        o->operation.result = write_existing(s);
    if (!statement_finish(s, error))
        return false;
    return is_ours || error_set(error, ERROR_CONFLICT,
                                "request_id \"%s\" was used for another sweep",
                                o->request_id);
}

/* Steps; each does as much as there is time for. */

static bool choose_all(struct store *store, struct verify_operation *o,
                       struct error *error)
{
    struct verification *v = &o->verification;
    if (!o->found.job_count &&
        (!target_find(store->db, o->target, &o->caller, &o->found, error) ||
         !end_target(store, &o->found, error)))
        return false;
    while (v->looked_at < o->found.last && !store_piece_is_over(store))
        if (!choose_some(store, &o->found, v, error))
            return false;
    return v->looked_at < o->found.last || v->count || refuse_nothing(v, error);
}

static bool add_jobs(struct store *store, struct verify_operation *o,
                     struct error *error)
{
    struct verification *v = &o->verification;
    if (!store_disk_check(store, error) ||
        (!v->sweep && !begin(store, o, error)))
        return false;
    for (; v->position < v->count && !store_piece_is_over(store); v->position++)
        if (!insert_job(store, v, v->position, error))
            return false;
    return v->position < v->count ||
           store_sweep_complete(store, v->sweep, o->name, &o->operation, error);
}

static void answer(struct verify_operation *o)
{
    struct verification *v = &o->verification;
    struct cJSON *result = o->operation.result =
        write_reply(v->sweep, o->name, v->count, v->first_job, false);
    add(result, "skipped_count", v->skipped_count);
    cJSON_AddItemToObject(result, "skipped", v->skipped);
    v->skipped = NULL;
}

static bool run_verify(struct store *store, struct operation *operation,
                       struct error *error)
{
    struct verify_operation *o = (struct verify_operation *)operation;
    struct verification *v = &o->verification;
    bool is_there = false;
    if (!o->found.job_count && !find_request(store, o, &is_there, error))
        return false;
    if (is_there)
        return true;
    if (!v->sweep && !choose_all(store, o, error))
        return false;
    bool is_chosen = v->looked_at >= o->found.last;
    if (is_chosen && !add_jobs(store, o, error))
        return false;
    operation->is_unfinished = !is_chosen || v->position < v->count;
    if (!operation->is_unfinished)
        answer(o);
    return true;
}

static void release_verify(struct operation *operation)
{
    struct verify_operation *o = (struct verify_operation *)operation;
    cJSON_Delete(o->verification.skipped);
    free(o->verification.originals);
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
    o->verification.skipped = cJSON_CreateArray();
    store_push(store, &o->operation);
}
