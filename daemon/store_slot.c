/* Slots: which there are, whose attempt they have, and the GPUs they are on. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/operation.h"
#include "schema/json.h"
#include "schema/memory.h"

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

bool store_slot_is_free(const struct slot *slot)
{
    return slot->is_open && !slot->is_out && slot->attempt == 0;
}

int store_slots_count(const struct store *store, const char *device_class)
{
    int count = 0;
    for (int i = 0; i < store->slot_count; i++)
        count += store->slots[i].is_open &&
                 !strcmp(store->slots[i].place.device_class, device_class);
    return count;
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
    const struct place *place = &slot->place;
    int count = store_slots_count(store, place->device_class);
    return store_bring_back(store, place, count, error) &&
           (!o->was_out ||
            add_event(store, "in_service", o->number, "", error));
}

void store_slot_open_at(struct store *store, int slot,
                        const struct place *place)
{
    struct slot_operation *o = operation_new(sizeof *o, run_slot_open);
    o->operation.is_kept = true;
    o->number = slot;
    o->slot.is_open = true;
    o->slot.place = *place;
    store_push(store, &o->operation);
}

void store_slot_open(struct store *store, int slot, const char *device,
                     const char *device_class)
{
    struct place place = {.number = -1, .gpu = -1, .slots = 1};
    snprintf(place.device, sizeof place.device, "%s", device);
    snprintf(place.device_class, sizeof place.device_class, "%s", device_class);
    store_slot_open_at(store, slot, &place);
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

/* A GPU was looked at. */

struct device_operation {
    struct operation operation;
    int device;
    struct card card;
};

static bool run_device_answer(struct store *store, struct operation *operation,
                              struct error *error)
{
    const struct device_operation *o = (struct device_operation *)operation;
    (void)error;
    store->cards[o->device] = o->card;
    return true;
}

void store_device_answer(struct store *store, int device, bool is_free,
                         int64_t room_bytes)
{
    struct device_operation *o = operation_new(sizeof *o, run_device_answer);
    o->operation.is_kept = true;
    o->device = device;
    o->card = (struct card){
        .is_free = is_free, .is_refused = !is_free, .room_bytes = room_bytes};
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
