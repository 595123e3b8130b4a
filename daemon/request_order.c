/* request_order.c: what is to be done or changed; mostly the store does it. */
#include <cjson/cJSON.h>
#include <string.h>

#include "daemon/hooks.h"
#include "daemon/keeper.h"
#include "daemon/method.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "schema/control.h"
#include "schema/faults.h"
#include "schema/json.h"

#define ORDER_NAME(name) #name,

void request_order(struct request *request)
{
    static const char *const names[] = {ORDERS(ORDER_NAME)};
    int name = 0;
    while (strcmp(names[name], request->method->name) != 0)
        name++;
    store_order(request->gaitd->store, (enum order_name)name,
                request_target(request), connection_caller(request->connection),
                request_reply, request);
}

void request_control(struct request *request)
{
    const struct cJSON *controls =
        cJSON_GetObjectItemCaseSensitive(request->params, "controls");
    struct error error;
    if (hook_check(request->gaitd->config,
                   json_text_or(controls, "on_finish", ""), &error))
        store_control(request->gaitd->store, request_target(request), controls,
                      connection_caller(request->connection), request_reply,
                      request);
    else
        request_refuse(request, error.code, "on_finish: %s", error.text);
}

void request_retry(struct request *request)
{
    struct controls controls;
    struct faults faults;
    const struct cJSON *limit =
        cJSON_GetObjectItemCaseSensitive(request->params, "time_limit");
    bool is_set = limit && !cJSON_IsNull(limit);
    faults_init(&faults);
    controls_init(&controls);
    struct cJSON *object = cJSON_CreateObject();
    if (is_set)
        cJSON_AddItemReferenceToObject(object, "time_limit",
                                       (struct cJSON *)limit);
    if (controls_read(object, &controls, &faults))
        store_retry(request->gaitd->store, request_target(request),
                    is_set ? controls.time_limit : -1,
                    connection_caller(request->connection), request_reply,
                    request);
    else
        request_refuse(request, ERROR_PARAMS, "time_limit: %s",
                       faults.fault[0].text);
    cJSON_Delete(object);
}

void request_drain(struct request *request)
{
    store_set_drained(
        request->gaitd->store, !json_boolean_or(request->params, "undo", false),
        connection_caller(request->connection), request_reply, request);
}

void request_verify(struct request *request)
{
    if (request_check_id(request))
        store_verify(request->gaitd->store, request_target(request),
                     json_text_or(request->params, "request_id", ""),
                     connection_caller(request->connection), request_reply,
                     request);
}

void request_keep(struct request *request)
{
    store_keep(request->gaitd->store, request_target(request),
               json_boolean_or(request->params, "undo", false),
               connection_caller(request->connection), request_reply, request);
}

/* The files of what is gone go next. */
static void on_deleted(void *user, struct cJSON *result,
                       const struct error *error, struct cJSON *data)
{
    const struct request *request = user;
    if (result)
        keeper_look(request->gaitd->keeper);
    request_reply(user, result, error, data);
}

void request_delete(struct request *request)
{
    if (!request_check_id(request))
        return;
    if (json_boolean_or(request->params, "dry_run", false))
        request_ask_for(request, "deletion");
    else
        store_delete(request->gaitd->store, request_target(request),
                     json_text_or(request->params, "request_id", ""),
                     connection_caller(request->connection), on_deleted,
                     request);
}
