#include "daemon/request.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/method.h"
#include "daemon/server.h"
#include "schema/memory.h"
#include "schema/message.h"

/* Of methods that have something to do before `run` that takes long and needs
 * neither loop nor disk. */
static const struct preparation {
    void (*run)(struct request *request);
    void (*prepare)(struct request *request); /* on another thread */
    void (*forget)(void *prepared);           /* instead of `run` */
} preparations[] = {
    {request_submit, request_submit_prepare, request_submit_forget},
};
enum { PREPARATION_COUNT = sizeof preparations / sizeof *preparations };

static void delete_tree(void *tree)
{
    cJSON_Delete(tree);
}

void request_reply(void *user, struct cJSON *result, const struct error *error,
                   struct cJSON *data)
{
    struct request *request = user;
    struct cJSON *message = result ? rpc_result(request->id, result)
                                   : rpc_error(request->id, error, data);
    connection_answer(request->connection, message);
    if (request->length > MESSAGE_BYTES_LARGE)
        gaitd_errand(request->gaitd, delete_tree, NULL, request->message);
    else
        cJSON_Delete(request->message);
    free(request);
}

void request_refuse(struct request *request, enum error_code code,
                    const char *format, ...)
{
    struct error error = {.code = code};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error.text, sizeof error.text, format, arguments);
    va_end(arguments);
    request_reply(request, NULL, &error, NULL);
}

const char *request_target(const struct request *request)
{
    return json_text_or(request->params, "target", "");
}

bool request_check_id(struct request *request)
{
    enum { BYTES = sizeof((struct submission *)0)->request_id };
    size_t length = strlen(json_text_or(request->params, "request_id", ""));
    if (length > 0 && length < BYTES)
        return true;
    request_refuse(request, ERROR_PARAMS,
                   "\"request_id\" has 1 to %d bytes, and this one %zu",
                   BYTES - 1, length);
    return false;
}

/* `*data` receives what goes with the error, NULL for nothing. */
static bool check_protocol(const struct cJSON *params, struct error *error,
                           struct cJSON **data)
{
    int64_t protocol;
    if (!json_get_integer(params, "protocol", &protocol, error))
        return false;
    if (protocol == PROTOCOL)
        return true;
    *data = cJSON_CreateObject();
    cJSON_AddItemToObject(*data, "protocol", json_integer(PROTOCOL));
    return error_set(error, ERROR_PROTOCOL,
                     "protocol %lld is not spoken here, expected %d",
                     (long long)protocol, PROTOCOL);
}

/* Whether the message is a JSON-RPC request; sets id and params. */
static bool check_request(struct request *request, const char **method,
                          struct error *error)
{
    struct cJSON *message = request->message;
    const struct cJSON *id = cJSON_GetObjectItemCaseSensitive(message, "id");
    if (cJSON_IsNumber(id) || cJSON_IsString(id))
        request->id = id;
    if (strcmp(json_text_or(message, "jsonrpc", ""), "2.0") != 0)
        return error_set(error, ERROR_REQUEST,
                         "not a request: \"jsonrpc\" is not \"2.0\"");
    if (!request->id)
        return error_set(error, ERROR_REQUEST,
                         "not a request: \"id\" is neither a number nor text");
    *method = json_text_or(message, "method", "");
    if (!**method)
        return error_set(error, ERROR_REQUEST,
                         "not a request: \"method\" is not text");
    request->params = cJSON_GetObjectItemCaseSensitive(message, "params");
    if (!cJSON_IsObject(request->params))
        return error_set(error, ERROR_PARAMS,
                         "\"params\" is not an object with \"protocol\"");
    return true;
}

/* On any thread. */
static void understand(struct request *request)
{
    const char *method = "";
    struct error *error = &request->error;
    request->message = message_parse(request->text, request->length, error);
    request->text = NULL;
    request->is_refused =
        !request->message || !check_request(request, &method, error) ||
        !check_protocol(request->params, error, &request->error_data) ||
        !(request->method = method_find(method, error)) ||
        !method_check(request->method, request->params, error);
}

static const struct preparation *preparation_of(const struct request *request)
{
    for (int i = 0; i < PREPARATION_COUNT && !request->is_refused; i++)
        if (preparations[i].run == request->method->run)
            return &preparations[i];
    return NULL;
}

/* On another thread. */
static void prepare(void *user)
{
    struct request *request = user;
    if (request->text)
        understand(request);
    const struct preparation *preparation = preparation_of(request);
    if (preparation)
        preparation->prepare(request);
}

static void go_on(struct request *request)
{
    if (request->is_refused)
        request_reply(request, NULL, &request->error, request->error_data);
    else
        request->method->run(request);
}

static void on_prepared(void *user)
{
    struct request *request = user;
    connection_release(request->connection);
    if (request->gaitd->is_closing && !request->is_refused) {
        if (request->prepared)
            preparation_of(request)->forget(request->prepared);
        request_refuse(request, ERROR_BUSY, "gaitd is shutting down");
        return;
    }
    go_on(request);
}

void request_take(struct gaitd *gaitd, struct connection *connection,
                  const char *text, size_t length)
{
    struct request *request = xcalloc(1, sizeof *request);
    request->gaitd = gaitd;
    request->connection = connection;
    request->text = text;
    request->length = length;
    connection_begin(connection);
    if (length <= MESSAGE_BYTES_LARGE)
        understand(request);
    if (!request->text && !preparation_of(request)) {
        go_on(request);
    } else {
        connection_hold(connection);
        gaitd_errand(gaitd, prepare, on_prepared, request);
    }
}
