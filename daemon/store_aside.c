/* Jobs that no slot here can take because of their run's device class or their
 * threads: they are taken out of the queue with a reason, once, and come back
 * when a slot opens that makes them possible.
 */
#include <stdio.h>

#include "daemon/operation.h"

enum { REASON_BYTES = 256 };

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

bool store_set_aside(struct store *store, const struct queue_head *head,
                     struct error *error)
{
    char reason[REASON_BYTES];
    if (head->device_class[0])
        print_class_reason(reason, head->device_class);
    else
        print_slots_reason(reason, head->demand.threads);
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

/* All before the next dispatch, which may set some of them aside again. */
bool store_bring_back(struct store *store, const struct place *place, int count,
                      struct error *error)
{
    char device_class[CLASS_BYTES], reason[REASON_BYTES];
    place_print_class(place, count, device_class);
    print_class_reason(reason, device_class);
    if (!bring_back(store, reason, error))
        return false;
    print_slots_reason(reason, count);
    return bring_back(store, reason, error);
}
