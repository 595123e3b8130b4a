/* Orders that move jobs: hold, pause, release, cancel.
 *
 * What an order does to a job in each state is a table.  A large target goes in
 * pieces, each of which leaves everything in order: first all jobs of a piece
 * are moved, then their runs are woken, else a job that is to be moved would be
 * made ready by one that just was.  Giving an order again moves what is left.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/operation.h"
#include "daemon/target.h"
#include "schema/json.h"
#include "schema/memory.h"

enum { PIECE_JOBS = 250, COUNTS_MAX = 4 };

/* `moves`: states whose jobs the order moves.  `counted[state]`: under which of
 * `counts`, the members of its answer, it counts a job in the state; the last
 * of them is for the rest. */
struct order {
    const char *name; /* of the event in the table of events, and in reasons */
    enum job_event event;
    bool moves[JOB_STATE_COUNT];
    const char *counts[COUNTS_MAX];
    unsigned char counted[JOB_STATE_COUNT];
    bool is_hold; /* of a whole sweep: jobs that it gets later too */
};

static const struct order orders[] = {
    [ORDER_hold] =
        {.name = "held",
         .event = JOB_ON_hold,
         .moves = {[JOB_queued] = true},
         .counts = {"held", "already_held", "running", "already_final"},
         .counted = {[JOB_queued] = 0, [JOB_held] = 1, [JOB_running] = 2},
         .is_hold = true},
    [ORDER_pause] =
        {.name = "paused",
         .event = JOB_ON_hold,
         .moves = {[JOB_queued] = true, [JOB_running] = true},
         .counts = {"held", "stopping", "already_held", "already_final"},
         .counted = {[JOB_queued] = 0, [JOB_running] = 1, [JOB_held] = 2},
         .is_hold = true},
    [ORDER_release] =
        {.name = "released",
         .event = JOB_ON_release,
         .moves = {[JOB_held] = true},
         .counts = {"released", "already_released", "already_final"},
         .counted = {[JOB_held] = 0, [JOB_queued] = 1, [JOB_running] = 1}},
    [ORDER_cancel] =
        {.name = "cancelled",
         .event = JOB_ON_cancel,
         .moves =
             {[JOB_held] = true, [JOB_queued] = true, [JOB_running] = true},
         .counts = {"cancelled", "stopping", "already_final"},
         .counted = {[JOB_held] = 0, [JOB_queued] = 0, [JOB_running] = 1}},
};

struct order_operation {
    struct operation operation;
    const struct order *order;
    char *text, *reason;
    struct caller caller;
    struct target target;
    bool has_begun;
    int64_t after; /* the last job that was moved */
    int64_t counts[COUNTS_MAX];
};

static int count_of_counts(const struct order *order)
{
    int count = 0;
    while (count < COUNTS_MAX && order->counts[count])
        count++;
    return count;
}

/* Jobs that are left as they are. */

/* *moving: of those that are not. */
static bool count_rest(struct store *store, struct order_operation *o,
                       int64_t *moving, struct error *error)
{
    int64_t count[JOB_STATE_COUNT];
    *moving = 0;
    if (!target_count(store->db, &o->target, count, error))
        return false;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        if (o->order->moves[i])
            *moving += count[i];
        else if (!job_is_final((enum job_state)i))
            o->counts[o->order->counted[i]] += count[i];
    return true;
}

/* Whole sweeps. */

static bool set_hold(struct store *store, const struct order_operation *o,
                     struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET hold = ? WHERE id = ?");
    bind_integer(s, o->order->is_hold);
    bind_integer(s, o->target.sweep);
    return statement_run(s, error);
}

/* The jobs of a sweep that waited for another are released, too. */
static bool release_sweep(struct store *store, struct order_operation *o,
                          struct error *error)
{
    bool waited;
    if (!store_sweep_release(store, o->target.sweep, &waited, error))
        return false;
    if (waited) {
        o->counts[0] += o->counts[1];
        o->counts[1] = 0;
    }
    return true;
}

/* Whether the order is one for the sweep too, not for its jobs alone. */
static bool is_for_sweep(const struct order_operation *o)
{
    return o->target.sweep && o->order != &orders[ORDER_cancel];
}

static bool order_sweep(struct store *store, struct order_operation *o,
                        struct error *error)
{
    if (!is_for_sweep(o))
        return true;
    return set_hold(store, o, error) && (o->order != &orders[ORDER_release] ||
                                         release_sweep(store, o, error));
}

static bool begin(struct store *store, struct order_operation *o,
                  struct error *error)
{
    int64_t moving;
    if (!target_find(store->db, o->text, &o->caller, &o->target, error) ||
        !target_check_owner(store->db, &o->target, &o->caller, error) ||
        !count_rest(store, o, &moving, error) || !order_sweep(store, o, error))
        return false;
    o->has_begun = true;
    o->reason = xprintf("%s by %s", o->order->name, o->caller.name);
    return (!moving && !is_for_sweep(o)) ||
           store_event_add(store, o->order->name, o->target.sweep, 0, o->reason,
                           error);
}

/* Jobs. */

static const char *bound_state(const struct order *order, enum job_state state)
{
    return order->moves[state] ? job_state_name(state) : "";
}

static bool next_job(struct store *store, struct order_operation *o,
                     bool *found, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT j.id FROM job j "
                          "WHERE " TARGET_JOBS
                          " AND (+j.state = ? OR +j.state = ? OR +j.state = ?) "
                          "ORDER BY j.id LIMIT 1");
    struct target rest = o->target;
    if (o->after >= rest.first)
        rest.first = o->after + 1;
    target_bind(s, &rest);
    bind_text(s, bound_state(o->order, JOB_held));
    bind_text(s, bound_state(o->order, JOB_queued));
    bind_text(s, bound_state(o->order, JOB_running));
    *found = statement_next(s);
    if (*found)
        o->after = column_integer(s, 0);
    return statement_finish(s, error);
}

static bool tell_stop(struct store *store, int64_t job, struct error *error)
{
    struct statement *s =
        db_sql(store->db,
               "SELECT id FROM attempt WHERE job_id = ? AND ended_at IS NULL");
    bind_integer(s, job);
    while (statement_next(s))
        notice_stop(&store->said, column_integer(s, 0));
    return statement_finish(s, error);
}

static bool move(struct store *store, struct order_operation *o, int64_t *run,
                 struct error *error)
{
    struct stored_job job;
    if (!store_job_load(store, o->after, &job, error))
        return false;
    *run = job.run;
    enum job_state from = job.state;
    o->counts[o->order->counted[from]]++;
    return store_job_move(store, &job, o->order->event, o->reason, error) &&
           (from != JOB_running || tell_stop(store, job.id, error));
}

static bool do_piece(struct store *store, struct order_operation *o,
                     struct error *error)
{
    int64_t runs[PIECE_JOBS];
    int count = 0;
    bool found = true;
    for (; count < PIECE_JOBS; count++) {
        if (!next_job(store, o, &found, error))
            return false;
        if (!found)
            break;
        if (!move(store, o, &runs[count], error))
            return false;
    }
    for (int i = 0; i < count; i++)
        if (!store_run_wake(store, runs[i], error))
            return false;
    o->operation.is_unfinished = found;
    return true;
}

static void write_result(struct order_operation *o)
{
    int count = count_of_counts(o->order);
    int64_t rest = o->target.job_count;
    for (int i = 0; i < count; i++)
        rest -= o->counts[i];
    o->counts[count - 1] += rest;
    o->operation.result = cJSON_CreateObject();
    for (int i = 0; i < count; i++)
        cJSON_AddItemToObject(o->operation.result, o->order->counts[i],
                              json_integer(o->counts[i]));
}

static bool run_order(struct store *store, struct operation *operation,
                      struct error *error)
{
    struct order_operation *o = (struct order_operation *)operation;
    if (!o->has_begun && !begin(store, o, error))
        return false;
    if (!do_piece(store, o, error))
        return false;
    if (!operation->is_unfinished)
        write_result(o);
    return true;
}

static void release_order(struct operation *operation)
{
    struct order_operation *o = (struct order_operation *)operation;
    free(o->text);
    free(o->reason);
}

void store_order(struct store *store, enum order_name order, const char *target,
                 const struct caller *caller, store_reply *reply, void *user)
{
    struct order_operation *o = operation_new(sizeof *o, run_order);
    o->operation.release = release_order;
    o->operation.reply = reply;
    o->operation.user = user;
    o->order = &orders[order];
    o->text = xstrdup(target);
    o->caller = *caller;
    store_push(store, &o->operation);
}
