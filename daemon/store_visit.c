/* What users have been told of: see query_news. */
#include <cjson/cJSON.h>

#include "daemon/operation.h"

struct visit_operation {
    struct operation operation;
    uid_t uid;
    int64_t event;
    double finished_at;
};

/* Of two looks at a time, the one that saw more counts. */
static bool run_visit(struct store *store, struct operation *operation,
                      struct error *error)
{
    const struct visit_operation *o = (struct visit_operation *)operation;
    struct statement *s = db_sql(
        store->db,
        "INSERT INTO visit (uid, at, event_id, finished_at) "
        "VALUES (?, ?, ?, ?) ON CONFLICT (uid) DO UPDATE SET at = excluded.at, "
        "event_id = max(event_id, excluded.event_id), "
        "finished_at = max(finished_at, excluded.finished_at)");
    bind_integer(s, o->uid);
    bind_real(s, store->now);
    bind_integer(s, o->event);
    bind_real(s, o->finished_at);
    operation->result = cJSON_CreateObject();
    return statement_run(s, error);
}

void store_visit(struct store *store, uid_t uid, int64_t event,
                 double finished_at, store_reply *reply, void *user)
{
    struct visit_operation *o = operation_new(sizeof *o, run_visit);
    o->operation.reply = reply;
    o->operation.user = user;
    o->uid = uid;
    o->event = event;
    o->finished_at = finished_at;
    store_push(store, &o->operation);
}
