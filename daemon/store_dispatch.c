/* Slots, and the jobs that get them.
 *
 * store_queue.c chooses the job.  One that no slot here can ever take (another
 * device class, more threads than slots) is taken out of the queue with a
 * reason, once, and comes back when a slot opens that makes it possible.  A job
 * that only has to wait for several slots at once holds those behind it back,
 * or it would wait for ever.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/operation.h"
#include "schema/json.h"
#include "schema/memory.h"

enum { REASON_BYTES = 256 };

/* Slots. */

struct slot *store_slot_of(struct store *store, int64_t attempt)
{
    for (int i = 0; i < store->slot_count; i++)
        if (store->slots[i].attempt == attempt)
            return &store->slots[i];
    return NULL;
}

void store_slots_free(struct store *store, int64_t attempt)
{
    for (int i = 0; i < store->slot_count; i++)
        if (store->slots[i].attempt == attempt)
            store->slots[i].attempt = 0;
}

static bool is_free(const struct slot *slot)
{
    return slot->is_open && !slot->is_out && slot->attempt == 0;
}

static bool has_free_slot(const struct store *store)
{
    for (int i = 0; i < store->slot_count; i++)
        if (is_free(&store->slots[i]))
            return true;
    return false;
}

static void print_class(char text[160], const char *device_class, int threads)
{
    snprintf(text, 160, "%s threads-%d", device_class, threads);
}

/* Open slots of a class; `free_only` those without an attempt. */
static int count_slots(const struct store *store, const char *device_class,
                       bool free_only)
{
    int count = 0;
    for (int i = 0; i < store->slot_count; i++) {
        const struct slot *slot = &store->slots[i];
        if (slot->is_open && !strcmp(slot->device_class, device_class))
            count += !free_only || is_free(slot);
    }
    return count;
}

/* Whether a job may run on a class at all, if enough of its slots are free. */
static bool suits(const struct store *store, const struct queue_head *head,
                  const struct slot *slot)
{
    char device_class[160];
    print_class(device_class, slot->device_class, head->threads);
    return slot->is_open &&
           (!head->device_class[0] ||
            !strcmp(head->device_class, device_class)) &&
           count_slots(store, slot->device_class, false) >= head->threads;
}

bool store_offers(const struct store *store, const char *device_class,
                  int threads)
{
    struct queue_head head = {.threads = threads};
    snprintf(head.device_class, sizeof head.device_class, "%s", device_class);
    for (int i = 0; i < store->slot_count; i++)
        if (suits(store, &head, &store->slots[i]))
            return true;
    return false;
}

/* The lowest free slot of a class with room for the job now, or NULL;
 * *is_possible says whether there ever is one. */
static struct slot *find_room(struct store *store,
                              const struct queue_head *head, bool *is_possible)
{
    *is_possible = false;
    for (int i = 0; i < store->slot_count; i++) {
        struct slot *slot = &store->slots[i];
        if (!suits(store, head, slot))
            continue;
        *is_possible = true;
        if (is_free(slot) &&
            count_slots(store, slot->device_class, true) >= head->threads)
            return slot;
    }
    return NULL;
}

static void occupy(struct store *store, struct slot *first,
                   const struct queue_head *head, int64_t attempt)
{
    struct slot *end = store->slots + store->slot_count;
    int threads = head->threads;
    for (struct slot *slot = first; slot < end && threads > 0; slot++)
        if (is_free(slot) && !strcmp(slot->device_class, first->device_class)) {
            slot->attempt = attempt;
            slot->job_of = (struct job_of){
                .owner = head->owner,
                .sweep = head->sweep,
                .is_lowest = slot == first,
            };
            threads--;
        }
}

/* Jobs that cannot run here. */

static void print_class_reason(char reason[REASON_BYTES],
                               const char *device_class)
{
    snprintf(reason, REASON_BYTES,
             "waits for a slot of device class \"%s\", on which its run began; "
             "--fresh would train it anew",
             device_class);
}

static void print_slots_reason(char reason[REASON_BYTES], int threads)
{
    snprintf(reason, REASON_BYTES, "waits for %d slots of one device class",
             threads);
}

static bool set_aside(struct store *store, const struct queue_head *head,
                      struct error *error)
{
    char reason[REASON_BYTES];
    if (head->device_class[0])
        print_class_reason(reason, head->device_class);
    else
        print_slots_reason(reason, head->threads);
    struct statement *s = db_sql(
        store->db, "UPDATE job SET is_ready = 0, reason = ? WHERE id = ?");
    bind_text(s, reason);
    bind_integer(s, head->job);
    return statement_run(s, error) && store_run_wake(store, head->run, error);
}

static bool bring_back_one(struct store *store, const char *reason,
                           int64_t *run, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "UPDATE job SET reason = NULL WHERE id = (SELECT id FROM job "
        "WHERE state = 'queued' AND reason = ? LIMIT 1) RETURNING run_id");
    bind_text(s, reason);
    while (statement_next(s))
        *run = column_integer(s, 0);
    return statement_finish(s, error);
}

static bool bring_back(struct store *store, const char *reason,
                       struct error *error)
{
    for (;;) {
        int64_t run = 0;
        if (!bring_back_one(store, reason, &run, error))
            return false;
        if (!run)
            return true;
        if (!store_run_wake(store, run, error))
            return false;
    }
}

/* Dispatching. */

/* The run of the same key and replica that has begun on that class; 0: none. */
static bool find_begun(struct store *store, const struct queue_head *head,
                       const char *device_class, int64_t *run,
                       struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT b.id FROM run a JOIN run b ON b.key = a.key "
                          "AND ifnull(b.device_class, '') = ? "
                          "AND b.replica = a.replica WHERE a.id = ?");
    bind_text(s, device_class);
    bind_integer(s, head->run);
    *run = 0;
    while (statement_next(s))
        *run = column_integer(s, 0);
    return statement_finish(s, error);
}

/* Jobs that wait for one run are given another. */
static bool hand_on(struct store *store, int64_t from, int64_t to,
                    struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE job SET run_id = ?, is_ready = 0 "
                          "WHERE run_id = ? AND state IN ('held', 'queued')");
    bind_integer(s, to);
    bind_integer(s, from);
    return statement_run(s, error) && store_run_wake(store, to, error);
}

/* A run that has not begun takes the slot's class, unless there is one of that
 * class already, which then gets its jobs. */
static bool bind_run(struct store *store, const struct queue_head *head,
                     const struct slot *slot, bool *is_bound,
                     struct error *error)
{
    *is_bound = true;
    if (head->device_class[0])
        return true;
    char device_class[160];
    int64_t begun;
    print_class(device_class, slot->device_class, head->threads);
    if (!find_begun(store, head, device_class, &begun, error))
        return false;
    *is_bound = !begun;
    if (begun)
        return hand_on(store, head->run, begun, error);
    struct statement *s =
        db_sql(store->db, "UPDATE run SET device_class = ? WHERE id = ?");
    bind_text(s, device_class);
    bind_integer(s, head->run);
    return statement_run(s, error);
}

static bool add_attempt(struct store *store, const struct queue_head *head,
                        const struct slot *slot, int64_t *attempt,
                        struct error *error)
{
    struct statement *s = db_sql(
        store->db, "UPDATE job SET attempts = attempts + 1 WHERE id = ?");
    bind_integer(s, head->job);
    if (!statement_run(s, error))
        return false;
    s = db_sql(store->db,
               "INSERT INTO attempt (job_id, number, device, started_at) "
               "SELECT id, attempts, ?, ? FROM job WHERE id = ?");
    bind_text(s, slot->device);
    bind_real(s, store->now);
    bind_integer(s, head->job);
    if (!statement_run(s, error))
        return false;
    *attempt = db_last_id(store->db);
    return true;
}

static bool tell(struct store *store, const struct slot *slot,
                 const struct stored_job *job, int64_t attempt,
                 struct error *error)
{
    struct dispatch dispatch = {
        .slot = (int)(slot - store->slots),
        .attempt = attempt,
        .job = job->id,
        .sweep = job->sweep,
        .run = job->run,
        .nb_epochs = job->nb_epochs,
        .steps_per_epoch = job->steps_per_epoch,
        .step = job->step,
    };
    memcpy(dispatch.label, job->label, sizeof dispatch.label);
    for (int i = 0; i < store->slot_count; i++)
        if (store->slots[i].attempt == attempt)
            dispatch.slots[i / 64] |= UINT64_C(1) << (i % 64);
    struct statement *s = db_sql(
        store->db, "SELECT r.key, r.dataset_digest" SETTING_COLUMNS
                   " FROM job j JOIN run r ON r.id = j.run_id WHERE j.id = ?");
    bind_integer(s, job->id);
    if (statement_next(s)) {
        column_copy(s, 0, dispatch.key, sizeof dispatch.key);
        column_copy(s, 1, dispatch.dataset_digest,
                    sizeof dispatch.dataset_digest);
        columns_read(s, 2, &dispatch.settings);
    }
    if (!statement_finish(s, error) ||
        !store_limit_load(store, job->id, &dispatch.seconds_left, error) ||
        !store_checkpoints_load(store, &dispatch, error))
        return false;
    notice_dispatch(&store->said, &dispatch);
    return true;
}

static bool start(struct store *store, const struct queue_head *head,
                  struct slot *slot, struct error *error)
{
    struct stored_job job;
    int64_t attempt = 0;
    bool is_bound;
    if (!bind_run(store, head, slot, &is_bound, error))
        return false;
    if (!is_bound)
        return true; /* look again */
    if (!store_run_mend(store, head->run, error) ||
        !add_attempt(store, head, slot, &attempt, error) ||
        !store_queue_served(store, head->owner, attempt, error) ||
        !store_job_load(store, head->job, &job, error) ||
        !store_job_move(store, &job, JOB_ON_dispatch, NULL, error) ||
        !store_run_take(store, head->run, error))
        return false;
    occupy(store, slot, head, attempt);
    return tell(store, slot, &job, attempt, error);
}

bool store_dispatch(struct store *store, struct error *error)
{
    while (!store->is_draining && !store->is_drained && has_free_slot(store)) {
        struct queue_head head;
        bool found = false, is_possible = false;
        if (!store_queue_head(store, &head, &found, error))
            return false;
        if (!found)
            return true;
        struct slot *slot = find_room(store, &head, &is_possible);
        if (slot) {
            if (!start(store, &head, slot, error))
                return false;
        } else if (is_possible) {
            return true;
        } else if (!set_aside(store, &head, error)) {
            return false;
        }
    }
    return true;
}

/* A slot opens. */

struct slot_operation {
    struct operation operation;
    int number;
    struct slot slot;
    bool was_out;
    char reason[400]; /* of one that closes */
};

static void make_slots(struct store *store, int count)
{
    if (count <= store->slot_count)
        return;
    size_t wanted = (size_t)count, had = (size_t)store->slot_count;
    store->slots = xrealloc(store->slots, wanted * sizeof *store->slots);
    store->attempts =
        xrealloc(store->attempts, wanted * sizeof *store->attempts);
    store->jobs_of = xrealloc(store->jobs_of, wanted * sizeof *store->jobs_of);
    memset(store->slots + had, 0, (wanted - had) * sizeof *store->slots);
    memset(store->attempts + had, 0, (wanted - had) * sizeof *store->attempts);
    memset(store->jobs_of + had, 0, (wanted - had) * sizeof *store->jobs_of);
    store->slot_count = count;
}

static bool add_event(struct store *store, const char *kind, int slot,
                      const char *text, struct error *error)
{
    struct error line;
    error_set(&line, ERROR_NONE, "slot %d%s%s", slot, *text ? " is " : "",
              text);
    return store_event_add(store, kind, 0, 0, line.text, error);
}

static bool run_slot_open(struct store *store, struct operation *operation,
                          struct error *error)
{
    struct slot_operation *o = (struct slot_operation *)operation;
    make_slots(store, o->number + 1);
    struct slot *slot = &store->slots[o->number];
    struct slot before = *slot;
    o->was_out |= slot->is_out; /* this may be tried again */
    *slot = o->slot;
    slot->attempt = before.attempt;
    slot->job_of = before.job_of;
    int count = count_slots(store, slot->device_class, false);
    char device_class[160], reason[REASON_BYTES];
    print_class(device_class, slot->device_class, count);
    print_class_reason(reason, device_class);
    if (!bring_back(store, reason, error))
        return false;
    print_slots_reason(reason, count);
    return bring_back(store, reason, error) &&
           (!o->was_out ||
            add_event(store, "in_service", o->number, "", error));
}

void store_slot_open(struct store *store, int slot, const char *device,
                     const char *device_class)
{
    struct slot_operation *o = operation_new(sizeof *o, run_slot_open);
    o->operation.is_kept = true;
    o->number = slot;
    o->slot.is_open = true;
    snprintf(o->slot.device, sizeof o->slot.device, "%s", device);
    snprintf(o->slot.device_class, sizeof o->slot.device_class, "%s",
             device_class);
    store_push(store, &o->operation);
}

/* It stays possible: jobs that only it can take wait for it. */
static bool run_slot_close(struct store *store, struct operation *operation,
                           struct error *error)
{
    const struct slot_operation *o = (struct slot_operation *)operation;
    store->slots[o->number].is_out = true;
    return add_event(store, "out_of_service", o->number, o->reason, error);
}

void store_slot_close(struct store *store, int slot, const char *reason)
{
    struct slot_operation *o = operation_new(sizeof *o, run_slot_close);
    o->operation.is_kept = true;
    o->number = slot;
    snprintf(o->reason, sizeof o->reason, "%s", reason);
    store_push(store, &o->operation);
}

/* Draining. */

static bool run_drain(struct store *store, struct operation *operation,
                      struct error *error)
{
    int running = 0;
    for (int i = 0; i < store->slot_count; i++) {
        struct slot *slot = &store->slots[i];
        running += slot->attempt && store_slot_of(store, slot->attempt) == slot;
    }
    store->is_draining = true;
    operation->result = cJSON_CreateObject();
    cJSON_AddItemToObject(operation->result, "running", json_integer(running));
    struct error text;
    error_set(&text, ERROR_NONE, "%d running job%s saved first", running,
              running == 1 ? " is" : "s are");
    return store_event_add(store, "stopping", 0, 0, text.text, error);
}

void store_drain(struct store *store, store_reply *reply, void *user)
{
    struct operation *o = operation_new(sizeof *o, run_drain);
    o->is_kept = true;
    o->reply = reply;
    o->user = user;
    store_push(store, o);
}
