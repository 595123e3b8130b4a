/* request_ask.c: what is asked of the database, and what is watched. */
#include <cjson/cJSON.h>

#include "daemon/clock.h"
#include "daemon/fleet.h"
#include "daemon/hub.h"
#include "daemon/method.h"
#include "daemon/reader.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "schema/json.h"

void request_ask_for(struct request *request, const char *question)
{
    /* The reader's from now on: a list in it may be long. */
    struct cJSON *params =
        cJSON_DetachItemViaPointer(request->message, request->params);
    cJSON_DeleteItemFromObjectCaseSensitive(params, "protocol");
    reader_ask(request->gaitd->reader, question, params,
               connection_caller(request->connection), request_reply, request);
}

void request_ask(struct request *request)
{
    request_ask_for(request, request->method->name);
}

/* Readers do not know what slots there are. */
void request_explain(struct request *request)
{
    const struct gaitd *gaitd = request->gaitd;
    struct cJSON *params = request->params;
    cJSON_AddItemToObject(params, "places", fleet_write_places(gaitd->fleet));
    cJSON_AddItemToObject(params, "slots",
                          json_integer(fleet_slot_count(gaitd->fleet)));
    cJSON_AddItemToObject(params, "max_running_per_user",
                          json_integer(gaitd->config->max_running_per_user));
    cJSON_AddItemToObject(params, "now", json_number(clock_wall()));
    request_ask(request);
}

/* The connection hears of events from before they are looked for on, so that
 * none falls between. */
void request_events(struct request *request)
{
    if (json_boolean_or(request->params, "follow", false))
        hub_follow(request->gaitd->hub, request->connection);
    cJSON_DeleteItemFromObjectCaseSensitive(request->params, "follow");
    request_ask(request);
}

/* The watch begins here, between what the answer tells and what comes next. */
static void on_watched(void *user, struct cJSON *result,
                       const struct error *error, struct cJSON *data)
{
    struct request *request = user;
    struct gaitd *gaitd = request->gaitd;
    if (result) {
        struct watched watched = {
            .sweep = json_integer_or(result, "sweep_id", 0),
            .first = json_integer_or(result, "first", 0),
            .last = json_integer_or(result, "last", 0),
        };
        cJSON_AddItemToObject(
            result, "running",
            fleet_running(gaitd->fleet, watched_has, &watched));
        hub_watch(gaitd->hub, request->connection, &watched);
    }
    request_reply(request, result, error, data);
}

void request_watch(struct request *request)
{
    store_watch(request->gaitd->store, request_target(request),
                connection_caller(request->connection), on_watched, request);
}
