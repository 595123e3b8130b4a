/* Draining: running jobs finish, no other is started, until that is undone.
 *
 * Kept in the database, so that a restart does not let the queue loose, in the
 * table `drain`, which has a row as long as the queue is drained.
 */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "daemon/operation.h"
#include "schema/json.h"

struct drain_operation {
    struct operation operation;
    bool is_drained;
    struct caller caller;
};

bool store_drain_load(struct store *store, struct error *error)
{
    struct statement *s = db_sql(store->db, "SELECT count(*) FROM drain");
    while (statement_next(s))
        store->is_drained = column_integer(s, 0) > 0;
    return statement_finish(s, error);
}

static bool count_running(struct store *store, int64_t *count,
                          struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT count(*) FROM attempt WHERE ended_at IS NULL");
    while (statement_next(s))
        *count = column_integer(s, 0);
    return statement_finish(s, error);
}

bool store_drain_check(struct store *store, struct error *error)
{
    int64_t running = 0;
    if (!store->is_drained)
        return true;
    if (!count_running(store, &running, error))
        return false;
    return running || store_event_add(store, "quiet", 0, 0, NULL, error);
}

static bool add_row(struct store *store, const struct caller *caller,
                    struct error *error)
{
    struct statement *s =
        db_sql(store->db, "INSERT INTO drain (at, user) VALUES (?, ?)");
    bind_real(s, store->now);
    bind_text(s, caller->name);
    return statement_run(s, error);
}

static bool change(struct store *store, const struct drain_operation *o,
                   struct error *error)
{
    struct error text;
    error_set(&text, ERROR_NONE, "by %s", o->caller.name);
    if (!(o->is_drained
              ? add_row(store, &o->caller, error)
              : statement_run(db_sql(store->db, "DELETE FROM drain"), error)))
        return false;
    return store_event_add(store, o->is_drained ? "drained" : "undrained", 0, 0,
                           text.text, error);
}

/* What memory has follows what is stored, also when the transaction fails. */
static bool run_set(struct store *store, struct operation *operation,
                    struct error *error)
{
    const struct drain_operation *o = (struct drain_operation *)operation;
    int64_t running = 0;
    if (!o->caller.is_operator)
        return error_set(error, ERROR_PERMISSION,
                         "only operators may drain the queue: gaitd's "
                         "owner, root, and members of its operator_group");
    if (!store_drain_load(store, error) ||
        (store->is_drained != o->is_drained && !change(store, o, error)) ||
        !store_drain_load(store, error) ||
        !count_running(store, &running, error))
        return false;
    operation->result = cJSON_CreateObject();
    cJSON_AddBoolToObject(operation->result, "is_drained", store->is_drained);
    cJSON_AddItemToObject(operation->result, "running", json_integer(running));
    return true;
}

void store_set_drained(struct store *store, bool is_drained,
                       const struct caller *caller, store_reply *reply,
                       void *user)
{
    struct drain_operation *o = operation_new(sizeof *o, run_set);
    o->operation.reply = reply;
    o->operation.user = user;
    o->is_drained = is_drained;
    o->caller = *caller;
    store_push(store, &o->operation);
}
