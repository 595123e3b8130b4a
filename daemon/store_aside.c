/* Jobs that no slot here can take because of their run's device class or their
 * threads: they are taken out of the queue with a reason, once, and come back
 * when a slot opens that makes them possible, in pieces.
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

struct return_operation {
    struct operation operation;
    char class_reason[REASON_BYTES], slots_reason[REASON_BYTES];
};

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

static bool bring_back(struct store *store, const char *reason, bool *is_done,
                       struct error *error)
{
    *is_done = false;
    while (!store_piece_is_over(store)) {
        int64_t run = 0;
        if (!bring_back_one(store, reason, &run, error))
            return false;
        *is_done = !run;
        if (*is_done)
            return true;
        if (!store_run_wake(store, run, error))
            return false;
    }
    return true;
}

static bool run_return(struct store *store, struct operation *operation,
                       struct error *error)
{
    const struct return_operation *o = (struct return_operation *)operation;
    bool is_done;
    if (!bring_back(store, o->class_reason, &is_done, error) ||
        (is_done && !bring_back(store, o->slots_reason, &is_done, error)))
        return false;
    operation->is_unfinished = !is_done;
    return true;
}

struct operation *store_bring_back(const struct place *place, int count)
{
    struct return_operation *o = operation_new(sizeof *o, run_return);
    char device_class[CLASS_BYTES];
    o->operation.is_kept = o->operation.is_spare = true;
    place_print_class(place, count, device_class);
    print_class_reason(o->class_reason, device_class);
    print_slots_reason(o->slots_reason, count);
    return &o->operation;
}
