/* gaitd_store.c: the database as gaitd has it: the store, what becomes of its
 * news, and who else reads the file. */
#include <cjson/cJSON.h>

#include "daemon/clock.h"
#include "daemon/fleet.h"
#include "daemon/gaitd.h"
#include "daemon/gate.h"
#include "daemon/hooks.h"
#include "daemon/hub.h"
#include "daemon/keeper.h"
#include "daemon/limits.h"
#include "daemon/reader.h"
#include "daemon/retries.h"
#include "schema/json.h"

static void on_dispatch(void *user, const struct dispatch *dispatch)
{
    struct gaitd *gaitd = user;
    limits_begin(gaitd->limits, dispatch);
    fleet_dispatch(gaitd->fleet, dispatch);
}

static void on_change(void *user, const struct job_change *change)
{
    struct gaitd *gaitd = user;
    if (change->to != change->from) /* else it was made */
        log_write(&gaitd->log, LOG_debug, "job %lld: %s, was %s%s%s",
                  (long long)change->job, job_state_name(change->to),
                  job_state_name(change->from), change->reason ? ": " : "",
                  change->reason ? change->reason : "");
    hub_change(gaitd->hub, change);
}

static void on_committed(void *user, int64_t attempt, int64_t step)
{
    fleet_committed(((struct gaitd *)user)->fleet, attempt, step);
}

static void on_closed(void *user, int64_t attempt)
{
    struct gaitd *gaitd = user;
    limits_end(gaitd->limits, attempt);
    fleet_closed(gaitd->fleet, attempt);
    keeper_freed(gaitd->keeper);
}

/* On the store's thread, once there are slots. */
static void on_saved(void *user, int64_t bytes, bool is_hidden)
{
    keeper_saved(((struct gaitd *)user)->keeper, bytes, is_hidden);
}

static void on_stop(void *user, int64_t attempt)
{
    struct gaitd *gaitd = user;
    limits_end(gaitd->limits, attempt);
    fleet_stop_attempt(gaitd->fleet, attempt);
}

static void on_limited(void *user, int64_t attempt)
{
    limits_change(((struct gaitd *)user)->limits, attempt);
}

static void on_refused(void *user, int64_t attempt, const struct error *error)
{
    struct gaitd *gaitd = user;
    log_write(&gaitd->log, LOG_error, "attempt %lld is refused: %s",
              (long long)attempt, error->text);
    fleet_refused(gaitd->fleet, attempt, error);
}

static void on_hook(void *user, const struct hook_order *order)
{
    struct gaitd *gaitd = user;
    if (!gaitd->is_stopping)
        hooks_run(gaitd->hooks, order);
}

static void on_event(void *user, int64_t event, const char *kind)
{
    hub_event(((struct gaitd *)user)->hub, event, kind);
}

static void on_wait(void *user, int64_t job, double seconds)
{
    retries_add(((struct gaitd *)user)->retries, job, seconds);
}

static void on_wanted(void *user, int device)
{
    fleet_wanted(((struct gaitd *)user)->fleet, device);
}

static void on_stuck(void *user, const struct error *error)
{
    const struct gaitd *gaitd = user;
    if (error)
        log_write(&gaitd->log, LOG_warning,
                  "the database takes nothing, requests are refused and rows "
                  "wait: %s",
                  error->text);
    else
        log_write(&gaitd->log, LOG_warning,
                  "the database takes what comes again");
}

static void on_left(void *user, const struct error *error)
{
    log_write(&((struct gaitd *)user)->log, LOG_error,
              "left undone until the next start: %s; gaitctl fsck looks for "
              "what is damaged",
              error->text);
}

/* Nothing is known of the database any more: a restart finds the truth. */
static void on_fatal(void *user, const struct error *error)
{
    struct gaitd *gaitd = user;
    log_write(&gaitd->log, LOG_error, "giving up: %s", error->text);
    gaitd->has_failed = true;
    if (!gaitd->is_stopping)
        hub_shutdown(gaitd->hub, clock_wall());
    gaitd->is_stopping = true;
    fleet_abandon(gaitd->fleet);
}

static void on_deleted_rest(void *user, struct cJSON *result,
                            const struct error *error, struct cJSON *data)
{
    (void)error; /* on_left has told */
    const struct gaitd *gaitd = user;
    if (json_integer_or(result, "deletions", 0))
        keeper_look(gaitd->keeper);
    cJSON_Delete(result);
    cJSON_Delete(data);
}

static bool open_keeper(struct gaitd *gaitd, const char *database,
                        struct error *error)
{
    gaitd->keeper =
        keeper_open(database, gaitd->store, gaitd->config, &gaitd->log, error);
    if (!gaitd->keeper)
        return false;
    store_delete_rest(gaitd->store, on_deleted_rest, gaitd);
    return true;
}

bool gaitd_open_store(struct gaitd *gaitd, struct error *error)
{
    const struct config *config = gaitd->config;
    gaitd->gate = gate_new();
    const struct store_hooks hooks = {
        .user = gaitd,
        .on_dispatch = on_dispatch,
        .on_change = on_change,
        .on_committed = on_committed,
        .on_closed = on_closed,
        .on_stop = on_stop,
        .on_limited = on_limited,
        .on_refused = on_refused,
        .on_hook = on_hook,
        .on_event = on_event,
        .on_wait = on_wait,
        .on_wanted = on_wanted,
        .on_stuck = on_stuck,
        .on_left = on_left,
        .on_fatal = on_fatal,
        .gate = gaitd->gate,
        .wake = gaitd_wake_store,
        .on_saved = on_saved,
    };
    char path[PATH_BYTES];
    if (!path_join(path, config->state_dir, "gaitd.sqlite", error))
        return false;
    gaitd->store = store_open(path, &hooks, error);
    if (!gaitd->store || !open_keeper(gaitd, path, error))
        return false;
    store_limit_users(gaitd->store,
                      &(struct user_limits){config->max_running_per_user,
                                            config->max_queued_per_user});
    if (store_lost(gaitd->store))
        log_write(&gaitd->log, LOG_error, "%s", store_lost(gaitd->store));
    gaitd->reader =
        reader_open(path, gaitd->gate, (int)config->query_threads,
                    config->query_deadline_s, gaitd_wake_reader, gaitd, error);
    /* One at a time, and the store does not wait for it. */
    gaitd->upkeep_gate = gate_new();
    gaitd->upkeep = gaitd->reader ? reader_open(path, gaitd->upkeep_gate, 1, 0,
                                                gaitd_wake_reader, gaitd, error)
                                  : NULL;
    return gaitd->upkeep != NULL;
}
