/* Controls chosen anew.
 *
 * A priority is of jobs, whichever the target names, and changes in pieces; the
 * other controls are of whole sweeps.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/operation.h"
#include "daemon/target.h"
#include "schema/json.h"
#include "schema/memory.h"

enum { PIECE_IDS = 4000 };

struct control_operation {
    struct operation operation;
    char *text;
    struct cJSON *object;
    struct caller caller;
    struct target target;
    struct controls controls;
    bool has_begun, has_priority;
    int64_t first; /* of the next piece */
    int64_t open, changed;
};

static bool is_given(const struct control_operation *o,
                     const struct setting *control)
{
    const struct cJSON *value =
        cJSON_GetObjectItemCaseSensitive(o->object, control->name);
    return value && !cJSON_IsNull(value);
}

/* What the controls are to become, and whether they may. */

static bool may_prioritise(const struct control_operation *o,
                           struct error *error)
{
    return o->controls.priority <= 0 || o->caller.is_operator ||
           error_set(error, ERROR_PERMISSION,
                     "priority: %lld is above 0, which only operators may "
                     "choose",
                     (long long)o->controls.priority);
}

static bool read(struct control_operation *o, struct error *error)
{
    struct faults faults;
    faults_init(&faults);
    controls_init(&o->controls);
    if (!controls_read(o->object, &o->controls, &faults))
        return error_set(error, ERROR_PARAMS, "%s: %s", faults.fault[0].where,
                         faults.fault[0].text);
    o->has_priority = is_given(o, control_find("priority"));
    return !o->has_priority || may_prioritise(o, error);
}

static bool check(const struct control_operation *o,
                  const struct setting *control, struct error *error)
{
    if (!strcmp(control->name, "hold") || !strcmp(control->name, "after"))
        return error_set(error, ERROR_PARAMS,
                         "%s: chosen at submit; \"hold\" and \"release\" "
                         "change what becomes of a sweep",
                         control->name);
    if (strcmp(control->name, "priority") && !o->target.sweep)
        return error_set(error, ERROR_PARAMS,
                         "%s: of a whole sweep, and \"%s\" names jobs",
                         control->name, o->target.name);
    return true;
}

static bool set_column(struct store *store, const struct control_operation *o,
                       const struct setting *control, struct error *error)
{
    char *sql = xprintf("UPDATE sweep SET %s = ? WHERE id = ?", control->name);
    struct statement *s = statement_new(store->db, sql);
    column_bind(s, control, &o->controls);
    bind_integer(s, o->target.sweep);
    bool is_fine = statement_run(s, error);
    statement_free(s);
    free(sql);
    return is_fine;
}

static bool tell(struct store *store, const struct control_operation *o,
                 const struct setting *control, struct error *error)
{
    const struct cJSON *value =
        cJSON_GetObjectItemCaseSensitive(o->object, control->name);
    size_t length;
    char *shown = cJSON_IsString(value) ? xstrdup(value->valuestring)
                                        : json_print(value, &length);
    char *text = xprintf("%s %s for \"%s\" by %s", control->name, shown,
                         o->target.name, o->caller.name);
    bool is_fine =
        store_event_add(store, "changed", o->target.sweep, 0, text, error);
    free(text);
    free(shown);
    return is_fine;
}

/* Of the target as a whole. */
static bool set_all(struct store *store, const struct control_operation *o,
                    struct error *error)
{
    int count = 0;
    for (int i = 0; i < CONTROL_COUNT; i++) {
        const struct setting *control = &control_table[i];
        if (!is_given(o, control))
            continue;
        count++;
        if (!check(o, control, error) ||
            (o->target.sweep && !set_column(store, o, control, error)) ||
            (!strcmp(control->name, "time_limit") &&
             !store_limit_changed(store, o->target.sweep, error)) ||
            !tell(store, o, control, error))
            return false;
    }
    return count > 0 || error_set(error, ERROR_PARAMS,
                                  "\"controls\" is empty: nothing to change");
}

static bool count_open(struct store *store, struct control_operation *o,
                       struct error *error)
{
    int64_t count[JOB_STATE_COUNT];
    if (!target_count(store->db, &o->target, count, error))
        return false;
    o->open = count[JOB_held] + count[JOB_queued] + count[JOB_running];
    return true;
}

static bool begin(struct store *store, struct control_operation *o,
                  struct error *error)
{
    if (!read(o, error) ||
        !target_find(store->db, o->text, &o->caller, &o->target, error) ||
        !target_check_owner(store->db, &o->target, &o->caller, error) ||
        !set_all(store, o, error) || !count_open(store, o, error))
        return false;
    o->first = o->has_priority ? o->target.first : o->target.last + 1;
    o->has_begun = true;
    return true;
}

/* Priorities. */

static bool set_priorities(struct store *store, struct control_operation *o,
                           struct error *error)
{
    struct target piece = o->target;
    piece.first = o->first;
    if (o->target.last - o->first >= PIECE_IDS)
        piece.last = o->first + PIECE_IDS - 1;
    struct statement *s =
        db_sql(store->db, "UPDATE job AS j SET priority = ? WHERE " TARGET_JOBS
                          " AND j.priority <> ?1 AND "
                          "j.state IN ('held', 'queued', 'running')");
    bind_integer(s, o->controls.priority);
    target_bind(s, &piece);
    if (!statement_run(s, error))
        return false;
    o->changed += db_changed(store->db);
    o->first = piece.last + 1;
    return true;
}

static void write_result(struct control_operation *o)
{
    struct cJSON *result = o->operation.result = cJSON_CreateObject();
    int64_t open = o->has_priority ? o->open : o->changed;
    int64_t final = o->has_priority ? o->target.job_count - open : 0;
    cJSON_AddItemToObject(result, "changed", json_integer(o->changed));
    cJSON_AddItemToObject(result, "already_set",
                          json_integer(open - o->changed));
    cJSON_AddItemToObject(result, "already_final", json_integer(final));
}

static bool run_control(struct store *store, struct operation *operation,
                        struct error *error)
{
    struct control_operation *o = (struct control_operation *)operation;
    if (!o->has_begun && !begin(store, o, error))
        return false;
    if (o->first <= o->target.last && !set_priorities(store, o, error))
        return false;
    operation->is_unfinished = o->first <= o->target.last;
    if (!operation->is_unfinished)
        write_result(o);
    return true;
}

static void release_control(struct operation *operation)
{
    struct control_operation *o = (struct control_operation *)operation;
    free(o->text);
    cJSON_Delete(o->object);
}

void store_control(struct store *store, const char *target,
                   const struct cJSON *controls, const struct caller *caller,
                   store_reply *reply, void *user)
{
    struct control_operation *o = operation_new(sizeof *o, run_control);
    o->operation.release = release_control;
    o->operation.reply = reply;
    o->operation.user = user;
    o->text = xstrdup(target);
    o->object = cJSON_Duplicate(controls, true);
    o->caller = *caller;
    store_push(store, &o->operation);
}

/* A limit that gaitd's owner sets. */

struct limit_operation {
    struct operation operation;
    struct user_limits limits;
};

static bool run_limit(struct store *store, struct operation *operation,
                      struct error *error)
{
    (void)error;
    store->limits = ((struct limit_operation *)operation)->limits;
    return true;
}

void store_limit_users(struct store *store, const struct user_limits *limits)
{
    struct limit_operation *o = operation_new(sizeof *o, run_limit);
    o->operation.is_kept = true;
    o->limits = *limits;
    store_push(store, &o->operation);
}
