/* Which jobs get the slots that are free.
 *
 * store_queue.c gives the next job of each lane, in order.  The first that has
 * room starts.  A job that only has to wait, for several slots at once or for
 * the memory of a GPU, holds back those behind it from every slot that it could
 * use, or it would wait for ever; but not while some of those are out of
 * service, and too few are left.  One that no slot here can take is set aside
 * (store_aside.c), unless it asks for a GPU that is not here: it stays in its
 * lane, which costs a look.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/operation.h"
#include "schema/json.h"
#include "schema/memory.h"

/* Rooms. */

static bool is_held(const uint64_t held[], int slot)
{
    return held[slot / 64] >> (slot % 64) & 1;
}

/* Slots of a class that the job could have now. */
static int count_free(const struct store *store, const char *device_class,
                      const uint64_t held[])
{
    int count = 0;
    for (int i = 0; i < store->slot_count; i++) {
        const struct slot *slot = &store->slots[i];
        count += store_slot_is_free(slot) && !is_held(held, i) &&
                 !strcmp(slot->place.device_class, device_class);
    }
    return count;
}

/* Whether a job may run on a slot at all, if it and enough others were free. */
static bool suits(const struct store *store, const struct queue_head *head,
                  const struct slot *slot)
{
    char device_class[CLASS_BYTES];
    struct place place = slot->place;
    place.slots = store_slots_count(store, place.device_class);
    place_print_class(&place, head->demand.threads, device_class);
    return slot->is_open &&
           (!head->device_class[0] ||
            !strcmp(head->device_class, device_class)) &&
           place_suits(&place, &head->demand);
}

bool store_offers(const struct store *store, const char *device_class,
                  int threads)
{
    struct queue_head head = {.demand = {.device = "any", .threads = threads}};
    snprintf(head.device_class, sizeof head.device_class, "%s", device_class);
    for (int i = 0; i < store->slot_count; i++)
        if (suits(store, &head, &store->slots[i]))
            return true;
    return false;
}

/* Memory of a GPU that no job of ours has; *is_idle: there is none. */
static int64_t count_room(const struct store *store, int device, bool *is_idle)
{
    int64_t room = store->cards[device].room_bytes;
    *is_idle = true;
    for (int i = 0; i < store->slot_count; i++) {
        const struct slot *slot = &store->slots[i];
        if (!slot->attempt || slot->place.number != device)
            continue;
        *is_idle = false;
        room -= slot->job_of.gpu_bytes;
    }
    return room;
}

static void ask(struct store *store, int device)
{
    struct card *card = &store->cards[device];
    card->is_refused = card->is_refused || card->is_free;
    card->is_free = false;
    if (!card->is_asked)
        notice_wanted(&store->said, device);
    card->is_asked = true;
}

enum room { ROOM_NONE, ROOM_SOON, ROOM_NOW };

/* Whether a free slot's device has room for the job.  A GPU without jobs of
 * ours is looked at before; what was seen there does not last. */
static enum room look(struct store *store, const struct queue_head *head,
                      const struct slot *slot, const uint64_t held[])
{
    bool is_idle;
    int device = slot->place.number;
    if (slot->place.gpu < 0)
        return count_free(store, slot->place.device_class, held) >=
                       head->demand.threads
                   ? ROOM_NOW
                   : ROOM_NONE;
    bool fits = count_room(store, device, &is_idle) >= head->demand.gpu_bytes;
    if (fits && store->cards[device].is_free)
        return ROOM_NOW;
    if (!is_idle)
        return ROOM_NONE;
    ask(store, device);
    return store->cards[device].is_refused ? ROOM_NONE : ROOM_SOON;
}

/* The lowest free slot with room for the job now, or NULL; *is_possible says
 * whether there ever is one.  A GPU that is only to be looked at is worth the
 * wait: what comes after it, the CPU, is slower. */
static struct slot *find_room(struct store *store,
                              const struct queue_head *head,
                              const uint64_t held[], bool *is_possible)
{
    *is_possible = false;
    for (int i = 0; i < store->slot_count; i++) {
        struct slot *slot = &store->slots[i];
        if (!suits(store, head, slot))
            continue;
        *is_possible = true;
        if (!store_slot_is_free(slot) || is_held(held, i))
            continue;
        enum room room = look(store, head, slot, held);
        if (room != ROOM_NONE)
            return room == ROOM_NOW ? slot : NULL;
    }
    return NULL;
}

/* Whether the slot's class has as many in service as the job takes of it. */
static bool has_enough(const struct store *store, const struct queue_head *head,
                       const struct place *place)
{
    int count = 0;
    for (int i = 0; i < store->slot_count; i++) {
        const struct slot *slot = &store->slots[i];
        count += slot->is_open && !slot->is_out &&
                 !strcmp(slot->place.device_class, place->device_class);
    }
    return count >= place_slots(place, &head->demand);
}

static void hold_back(const struct store *store, const struct queue_head *head,
                      uint64_t held[])
{
    for (int i = 0; i < store->slot_count; i++)
        if (suits(store, head, &store->slots[i]) &&
            has_enough(store, head, &store->slots[i].place))
            held[i / 64] |= UINT64_C(1) << (i % 64);
}

static void occupy(struct store *store, struct slot *first,
                   const struct queue_head *head, const uint64_t held[],
                   int64_t attempt)
{
    struct slot *end = store->slots + store->slot_count;
    int count = place_slots(&first->place, &head->demand);
    for (struct slot *slot = first; slot < end && count > 0; slot++) {
        if (!store_slot_is_free(slot) ||
            is_held(held, (int)(slot - store->slots)) ||
            strcmp(slot->place.device_class, first->place.device_class) != 0)
            continue;
        slot->attempt = attempt;
        slot->job_of = (struct job_of){
            .owner = head->owner,
            .sweep = head->sweep,
            .is_lowest = slot == first,
            .gpu_bytes = first->place.gpu < 0 ? 0 : head->demand.gpu_bytes,
        };
        count--;
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
                    const char *device_class, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE job SET run_id = ?, is_ready = 0, "
                          "lane = lane || ' ' || ? "
                          "WHERE run_id = ? AND state IN ('held', 'queued')");
    bind_integer(s, to);
    bind_text(s, device_class);
    bind_integer(s, from);
    return statement_run(s, error) && store_run_wake(store, to, error);
}

/* Its jobs learn of it, and are not ready any more, as after store_run_take. */
static bool begin_run(struct store *store, int64_t run,
                      const char *device_class, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE run SET device_class = ? WHERE id = ?");
    bind_text(s, device_class);
    bind_integer(s, run);
    if (!statement_run(s, error))
        return false;
    s = db_sql(store->db, "UPDATE job SET lane = lane || ' ' || ?, "
                          "is_ready = 0 WHERE run_id = ?");
    bind_text(s, device_class);
    bind_integer(s, run);
    return statement_run(s, error);
}

/* A run that has not begun takes the slot's class, unless there is one of that
 * class already, which then gets its jobs. */
static bool bind_run(struct store *store, const struct queue_head *head,
                     const struct slot *slot, bool *is_bound,
                     struct error *error)
{
    *is_bound = true;
    if (head->device_class[0])
        return store_run_take(store, head->run, error);
    char device_class[CLASS_BYTES];
    int64_t begun;
    place_print_class(&slot->place, head->demand.threads, device_class);
    if (!find_begun(store, head, device_class, &begun, error))
        return false;
    *is_bound = !begun;
    return begun ? hand_on(store, head->run, begun, device_class, error)
                 : begin_run(store, head->run, device_class, error);
}

static bool add_attempt(struct store *store, const struct stored_job *job,
                        const struct slot *slot, int64_t *attempt,
                        struct error *error)
{
    struct statement *s =
        db_sql(store->db, "INSERT INTO attempt (job_id, number, device, "
                          "started_at) VALUES (?, ?, ?, ?)");
    bind_integer(s, job->id);
    bind_integer(s, job->attempts);
    bind_text(s, slot->place.device);
    bind_real(s, store->now);
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
        .gpu_bytes = slot->job_of.gpu_bytes,
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
                  struct slot *slot, const uint64_t held[], struct error *error)
{
    struct stored_job job;
    int64_t attempt = 0;
    bool is_bound;
    if (!bind_run(store, head, slot, &is_bound, error))
        return false;
    if (!is_bound)
        return true; /* look again */
    if (!store_run_mend(store, head->run, error) ||
        !store_job_load(store, head->job, &job, error) ||
        !store_job_move(store, &job, JOB_ON_dispatch, NULL, error) ||
        !add_attempt(store, &job, slot, &attempt, error) ||
        !store_queue_served(store, head->owner, attempt, error))
        return false;
    occupy(store, slot, head, held, attempt);
    return tell(store, slot, &job, attempt, error);
}

/* It waits for a place that this gaitd may have another day. */
static bool is_absent(const struct store *store, const struct queue_head *head)
{
    struct demand demand = head->demand;
    demand.threads = 1;
    if (head->device_class[0])
        return false;
    for (int i = 0; i < store->slot_count; i++)
        if (store->slots[i].is_open &&
            place_suits(&store->slots[i].place, &demand))
            return false;
    return true;
}

enum served { SERVED_NONE, SERVED_STARTED, SERVED_ASIDE };

/* Starts the first that has room, or takes out one that never has; the order
 * may be another then. */
static bool serve(struct store *store, const struct queue_head *heads,
                  int count, enum served *served, struct error *error)
{
    uint64_t held[SLOTS_MAX / 64] = {0};
    for (int i = 0; i < count; i++) {
        const struct queue_head *head = &heads[i];
        bool is_possible = false;
        struct slot *slot = find_room(store, head, held, &is_possible);
        *served = slot ? SERVED_STARTED : SERVED_ASIDE;
        if (slot)
            return start(store, head, slot, held, error);
        if (is_possible)
            hold_back(store, head, held);
        else if (!is_absent(store, head))
            return store_set_aside(store, head, error);
    }
    *served = SERVED_NONE;
    return true;
}

static bool has_free_slot(const struct store *store)
{
    for (int i = 0; i < store->slot_count; i++)
        if (store_slot_is_free(&store->slots[i]))
            return true;
    return false;
}

/* Leave to use a GPU ends with its last job. */
static void end_leave(struct store *store)
{
    for (int i = 0; i < DEVICES_MAX; i++) {
        bool is_idle = false;
        if (store->cards[i].is_free)
            count_room(store, i, &is_idle);
        if (is_idle)
            store->cards[i].is_free = false;
    }
}

bool store_dispatch(struct store *store, struct error *error)
{
    bool is_over = store->is_draining || store->is_drained;
    while (!is_over && has_free_slot(store)) {
        struct queue_head *heads;
        enum served served;
        int count;
        if (!store_queue_heads(store, &heads, &count, error))
            return false;
        bool is_fine = serve(store, heads, count, &served, error);
        free(heads);
        if (!is_fine)
            return false;
        is_over = served == SERVED_NONE;
    }
    end_leave(store);
    return true;
}
