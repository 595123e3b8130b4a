/* What is asked of jobs by target: keeping, and watching. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/operation.h"
#include "daemon/target.h"
#include "schema/json.h"
#include "schema/memory.h"

struct target_operation {
    struct operation operation;
    char *target;
    struct caller caller;
};

static void release_target(struct operation *operation)
{
    free(((struct target_operation *)operation)->target);
}

static void push(struct store *store, size_t bytes,
                 bool (*run)(struct store *, struct operation *,
                             struct error *),
                 const char *target, const struct caller *caller,
                 store_reply *reply, void *user)
{
    struct target_operation *o = operation_new(bytes, run);
    o->operation.release = release_target;
    o->operation.reply = reply;
    o->operation.user = user;
    o->target = xstrdup(target);
    o->caller = *caller;
    store_push(store, &o->operation);
}

static void add(struct cJSON *object, const char *name, int64_t value)
{
    cJSON_AddItemToObject(object, name, json_integer(value));
}

/* Keeping. */

static bool set_kept(struct store *store, const struct target *target,
                     bool is_kept, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "UPDATE sweep SET is_kept = ? WHERE id = ?");
    bind_integer(s, is_kept);
    bind_integer(s, target->sweep);
    return statement_run(s, error);
}

static bool keep(struct store *store, struct operation *operation, bool is_kept,
                 struct error *error)
{
    struct target_operation *o = (struct target_operation *)operation;
    struct target target;
    if (!target_find(store->db, o->target, &o->caller, &target, error))
        return false;
    if (!target.sweep)
        return error_set(error, ERROR_PARAMS,
                         "\"target\" is \"%s\", expected a sweep", o->target);
    if (!target_check_owner(store->db, &target, &o->caller, error) ||
        !set_kept(store, &target, is_kept, error))
        return false;
    operation->result = cJSON_CreateObject();
    add(operation->result, "sweep_id", target.sweep);
    cJSON_AddStringToObject(operation->result, "name", target.name);
    cJSON_AddBoolToObject(operation->result, "is_kept", is_kept);
    return true;
}

static bool run_keep(struct store *store, struct operation *operation,
                     struct error *error)
{
    return keep(store, operation, true, error);
}

static bool run_unkeep(struct store *store, struct operation *operation,
                       struct error *error)
{
    return keep(store, operation, false, error);
}

void store_keep(struct store *store, const char *target, bool undo,
                const struct caller *caller, store_reply *reply, void *user)
{
    push(store, sizeof(struct target_operation), undo ? run_unkeep : run_keep,
         target, caller, reply, user);
}

/* Watching. */

static bool write_counts(struct store *store, const struct target *target,
                         struct cJSON *counts, struct error *error)
{
    int64_t count[JOB_STATE_COUNT];
    if (!target_count(store->db, target, count, error))
        return false;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        add(counts, job_state_name((enum job_state)i), count[i]);
    return true;
}

static bool run_watch(struct store *store, struct operation *operation,
                      struct error *error)
{
    struct target_operation *o = (struct target_operation *)operation;
    struct target target;
    if (!target_find(store->db, o->target, &o->caller, &target, error))
        return false;
    struct cJSON *result = operation->result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "target", o->target);
    if (target.sweep) {
        cJSON_AddStringToObject(result, "sweep", target.name);
        add(result, "sweep_id", target.sweep);
    } else {
        cJSON_AddNullToObject(result, "sweep");
        add(result, "first", target.first);
        add(result, "last", target.last);
        if (store->watched_job < target.last)
            store->watched_job = target.last;
    }
    add(result, "job_count", target.job_count);
    struct cJSON *counts = cJSON_AddObjectToObject(result, "counts");
    return write_counts(store, &target, counts, error);
}

void store_watch(struct store *store, const char *target,
                 const struct caller *caller, store_reply *reply, void *user)
{
    push(store, sizeof(struct target_operation), run_watch, target, caller,
         reply, user);
}
