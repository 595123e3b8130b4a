/* Orders to run hooks, and how they ended: see hooks.h. */
#include <stdio.h>
#include <string.h>

#include "daemon/operation.h"

/* Must match read_order. */
#define ORDER                                                                  \
    "SELECT h.id, h.sweep_id, h.done, h.failed, h.cancelled, h.name, s.name, " \
    "s.owner FROM hook h JOIN sweep s ON s.id = h.sweep_id "

static void read_order(struct statement *s, struct hook_order *order)
{
    order->id = column_integer(s, 0);
    order->sweep = column_integer(s, 1);
    order->done = column_integer(s, 2);
    order->failed = column_integer(s, 3);
    order->cancelled = column_integer(s, 4);
    column_copy(s, 5, order->name, sizeof order->name);
    column_copy(s, 6, order->sweep_name, sizeof order->sweep_name);
    column_copy(s, 7, order->owner, sizeof order->owner);
}

static bool tell(struct store *store, struct statement *s, struct error *error)
{
    while (statement_next(s)) {
        struct hook_order order = {0};
        read_order(s, &order);
        notice_hook(&store->said, &order);
    }
    return statement_finish(s, error);
}

bool store_hook_order(struct store *store, const char *name, int64_t sweep,
                      const int64_t counts[3], struct error *error)
{
    struct statement *s =
        db_sql(store->db, "INSERT INTO hook (sweep_id, name, done, failed, "
                          "cancelled, ordered_at) VALUES (?, ?, ?, ?, ?, ?)");
    bind_integer(s, sweep);
    bind_text(s, name);
    for (int i = 0; i < 3; i++)
        bind_integer(s, counts[i]);
    bind_real(s, store->now);
    if (!statement_run(s, error))
        return false;
    int64_t id = db_last_id(store->db);
    s = db_sql(store->db, ORDER "WHERE h.id = ?");
    bind_integer(s, id);
    return tell(store, s, error);
}

static bool run_open(struct store *store, struct operation *operation,
                     struct error *error)
{
    (void)operation;
    return tell(
        store,
        db_sql(store->db, ORDER "WHERE h.ended_at IS NULL ORDER BY h.id"),
        error);
}

void store_hooks_resume(struct store *store)
{
    struct operation *o = operation_new(sizeof *o, run_open);
    o->is_kept = o->is_spare = true;
    store_push(store, o);
}

struct hook_operation {
    struct operation operation;
    int64_t id;
    char text[HOOK_TEXT_BYTES];
};

static bool run_end(struct store *store, struct operation *operation,
                    struct error *error)
{
    const struct hook_operation *o = (struct hook_operation *)operation;
    int64_t sweep = 0;
    struct statement *s =
        db_sql(store->db, "UPDATE hook SET ended_at = ?, outcome = ? "
                          "WHERE id = ? RETURNING sweep_id");
    bind_real(s, store->now);
    bind_text(s, o->text);
    bind_integer(s, o->id);
    while (statement_next(s))
        sweep = column_integer(s, 0);
    return statement_finish(s, error) &&
           (!sweep || store_event_add(store, "hook", sweep, 0, o->text, error));
}

void store_hook_end(struct store *store, int64_t order, const char *text)
{
    struct hook_operation *o = operation_new(sizeof *o, run_end);
    o->operation.is_kept = o->operation.is_spare = true;
    o->id = order;
    snprintf(o->text, sizeof o->text, "%s", text);
    store_push(store, &o->operation);
}
