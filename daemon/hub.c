#include "daemon/hub.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "daemon/server.h"
#include "daemon/store.h"
#include "schema/memory.h"
#include "schema/message.h"

/* Watches of one connection follow each other. */
struct watch {
    struct watch *next;
    struct connection *connection;
    struct watched watched; /* no jobs, of one that follows events */
    bool has_events;
};

struct hub {
    struct watch *watches;
};

bool watched_has(const void *user, int64_t sweep, int64_t job)
{
    const struct watched *watched = user;
    if (watched->sweep > 0)
        return watched->sweep == sweep;
    return watched->first <= job && job <= watched->last;
}

struct hub *hub_new(void)
{
    return xcalloc(1, sizeof(struct hub));
}

void hub_free(struct hub *hub)
{
    if (!hub)
        return;
    while (hub->watches) {
        struct watch *watch = hub->watches;
        hub->watches = watch->next;
        free(watch);
    }
    free(hub);
}

static struct watch *add(struct hub *hub, struct connection *connection)
{
    struct watch **at = &hub->watches;
    while (*at && (*at)->connection != connection)
        at = &(*at)->next;
    struct watch *watch = xcalloc(1, sizeof *watch);
    watch->next = *at;
    watch->connection = connection;
    *at = watch;
    return watch;
}

void hub_watch(struct hub *hub, struct connection *connection,
               const struct watched *watched)
{
    add(hub, connection)->watched = *watched;
}

void hub_follow(struct hub *hub, struct connection *connection)
{
    struct watch *watch = add(hub, connection);
    watch->watched = (struct watched){.first = 1, .last = 0};
    watch->has_events = true;
}

void hub_forget(struct hub *hub, struct connection *connection)
{
    struct watch **at = &hub->watches;
    while (*at) {
        struct watch *watch = *at;
        if (watch->connection != connection) {
            at = &watch->next;
            continue;
        }
        *at = watch->next;
        free(watch);
    }
}

/* Whether anybody watches: the message need not be made otherwise. */
static bool is_watched(const struct hub *hub, int64_t sweep, int64_t job)
{
    for (const struct watch *watch = hub->watches; watch; watch = watch->next)
        if (watched_has(&watch->watched, sweep, job))
            return true;
    return false;
}

/* Who is told: those who watch the job, those who follow events, or all. */
struct audience {
    int64_t sweep, job;
    bool is_of_events, is_all;
};

static bool listens(const struct watch *watch, const struct audience *audience)
{
    if (audience->is_all)
        return true;
    if (audience->is_of_events)
        return watch->has_events;
    return watched_has(&watch->watched, audience->sweep, audience->job);
}

/* A push may drop its connection and with it the watch. */
static void tell(struct hub *hub, const char *method, struct cJSON *params,
                 const struct audience *audience)
{
    size_t length;
    struct cJSON *message = rpc_notification(method, params);
    char *text = message_print(message, &length);
    struct connection *told = NULL;
    for (struct watch *watch = hub->watches, *next; watch; watch = next) {
        struct connection *connection = watch->connection;
        next = watch->next;
        if (connection == told || !listens(watch, audience))
            continue;
        while (next && next->connection == connection)
            next = next->next;
        told = connection;
        connection_push(connection, text, length);
    }
    free(text);
    cJSON_Delete(message);
}

void hub_change(struct hub *hub, const struct job_change *change)
{
    if (!is_watched(hub, change->sweep, change->job))
        return;
    struct cJSON *params = cJSON_CreateObject();
    cJSON_AddItemToObject(params, "at", json_number(change->at));
    cJSON_AddItemToObject(params, "job", json_integer(change->job));
    cJSON_AddItemToObject(params, "sweep_id", json_integer(change->sweep));
    cJSON_AddItemToObject(params, "position", json_integer(change->position));
    cJSON_AddStringToObject(params, "from", job_state_name(change->from));
    cJSON_AddStringToObject(params, "to", job_state_name(change->to));
    if (change->reason)
        cJSON_AddStringToObject(params, "reason", change->reason);
    else
        cJSON_AddNullToObject(params, "reason");
    if (change->epoch >= 0)
        cJSON_AddItemToObject(params, "epoch", json_integer(change->epoch));
    else
        cJSON_AddNullToObject(params, "epoch");
    cJSON_AddItemToObject(params, "nb_epochs", json_integer(change->nb_epochs));
    cJSON_AddItemToObject(params, "test_accuracy",
                          json_number(change->test_accuracy));
    cJSON_AddStringToObject(params, "label", change->label);
    tell(hub, "event", params,
         &(struct audience){.sweep = change->sweep, .job = change->job});
}

void hub_progress(struct hub *hub, int64_t sweep, int64_t job,
                  const struct cJSON *progress)
{
    if (is_watched(hub, sweep, job))
        tell(hub, "progress", cJSON_Duplicate(progress, true),
             &(struct audience){.sweep = sweep, .job = job});
}

static bool is_followed(const struct hub *hub)
{
    for (const struct watch *watch = hub->watches; watch; watch = watch->next)
        if (watch->has_events)
            return true;
    return false;
}

void hub_event(struct hub *hub, int64_t event, const char *kind)
{
    if (!is_followed(hub))
        return;
    struct cJSON *params = cJSON_CreateObject();
    cJSON_AddItemToObject(params, "id", json_integer(event));
    cJSON_AddStringToObject(params, "kind", kind);
    tell(hub, "happened", params, &(struct audience){.is_of_events = true});
}

void hub_shutdown(struct hub *hub, double at)
{
    struct cJSON *params = cJSON_CreateObject();
    cJSON_AddItemToObject(params, "at", json_number(at));
    tell(hub, "shutdown", params, &(struct audience){.is_all = true});
}
