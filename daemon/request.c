#include "daemon/request.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/fleet.h"
#include "daemon/hub.h"
#include "daemon/keeper.h"
#include "daemon/reader.h"
#include "daemon/server.h"
#include "schema/control.h"
#include "schema/faults.h"
#include "schema/memory.h"
#include "schema/message.h"
#include "schema/nearest.h"

enum param_type {
    PARAM_TEXT,
    PARAM_INTEGER,
    PARAM_BOOLEAN,
    PARAM_OBJECT,
    PARAM_LIST,
    PARAM_ANY, /* of which the method knows more */
};

static const char *const type_names[] = {
    [PARAM_TEXT] = "text",
    [PARAM_INTEGER] = "a whole number",
    [PARAM_BOOLEAN] = "true or false",
    [PARAM_OBJECT] = "an object",
    [PARAM_LIST] = "a list",
    [PARAM_ANY] = "a value",
};

struct param {
    const char *name;
    enum param_type type;
    bool is_optional;
};

enum { PARAMS_MAX = 6 };

struct method {
    const char *name;
    void (*run)(struct request *request);
    struct param params[PARAMS_MAX]; /* up to one without a name */
};

static void ask(struct request *request);
static void explain(struct request *request);
static void verify(struct request *request);
static void order(struct request *request);
static void control(struct request *request);
static void keep(struct request *request);
static void delete (struct request *request);
static void retry(struct request *request);
static void drain(struct request *request);
static void show_events(struct request *request);
static void watch(struct request *request);
static void show_status(struct request *request);
static void show_devices(struct request *request);
static void shut_down(struct request *request);

#define TARGET                                                                 \
    {                                                                          \
        "target", PARAM_TEXT, false                                            \
    }
#define ANY_TARGET                                                             \
    {                                                                          \
        "target", PARAM_TEXT, true                                             \
    }
#define PAGE                                                                   \
    {"limit", PARAM_INTEGER, true},                                            \
    {                                                                          \
        "after", PARAM_INTEGER, true                                           \
    }

#define ORDER_NAME(name) #name,
#define ORDER_METHOD(name) {#name, order, {TARGET}},

static const struct method methods[] = {
    {"submit",
     request_submit,
     {{"spec", PARAM_OBJECT, false},
      {"request_id", PARAM_TEXT, false},
      {"controls", PARAM_OBJECT, true},
      {"dry_run", PARAM_BOOLEAN, true},
      {"fresh", PARAM_BOOLEAN, true}}},
    {"list", ask, {ANY_TARGET, {"state", PARAM_TEXT, true}, PAGE}},
    {"sweeps", ask, {PAGE}},
    {"show", ask, {TARGET}},
    {"history", ask, {TARGET, {"layers", PARAM_BOOLEAN, true}, PAGE}},
    {"results", ask, {TARGET, {"by", PARAM_LIST, true}, PAGE}},
    ORDERS(ORDER_METHOD) /* */
    {"control", control, {TARGET, {"controls", PARAM_OBJECT, false}}},
    {"retry", retry, {TARGET, {"time_limit", PARAM_ANY, true}}},
    {"drain", drain, {{"undo", PARAM_BOOLEAN, true}}},
    {"events",
     show_events,
     {ANY_TARGET,
      {"since", PARAM_INTEGER, true},
      {"follow", PARAM_BOOLEAN, true},
      PAGE}},
    {"keep", keep, {TARGET, {"undo", PARAM_BOOLEAN, true}}},
    {"delete",
     delete,
     {TARGET,
      {"request_id", PARAM_TEXT, false},
      {"dry_run", PARAM_BOOLEAN, true}}},
    {"explain", explain, {TARGET}},
    {"verify", verify, {TARGET, {"request_id", PARAM_TEXT, false}}},
    {"verification", ask, {TARGET, PAGE}},
    {"watch", watch, {TARGET}},
    {"status", show_status, {{"look", PARAM_BOOLEAN, true}}},
    {"devices", show_devices, {{NULL, PARAM_TEXT, true}}},
    {"shutdown", shut_down, {{NULL, PARAM_TEXT, true}}},
};
enum { METHOD_COUNT = sizeof methods / sizeof *methods };

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

/* Takes `params`. */
static void ask_for(struct request *request, const char *question,
                    struct cJSON *params)
{
    cJSON_DeleteItemFromObjectCaseSensitive(params, "protocol");
    reader_ask(request->gaitd->reader, question, params,
               connection_caller(request->connection), request_reply, request);
}

static void ask_with(struct request *request, struct cJSON *params)
{
    ask_for(request, request->method->name, params);
}

/* The reader's from now on: a list in it may be long. */
static struct cJSON *take_params(struct request *request)
{
    return cJSON_DetachItemViaPointer(request->message, request->params);
}

static void ask(struct request *request)
{
    ask_with(request, take_params(request));
}

/* Readers do not know what slots there are. */
static void explain(struct request *request)
{
    const struct gaitd *gaitd = request->gaitd;
    struct cJSON *params = take_params(request);
    cJSON_AddItemToObject(params, "places", fleet_write_places(gaitd->fleet));
    cJSON_AddItemToObject(params, "slots",
                          json_integer(fleet_slot_count(gaitd->fleet)));
    cJSON_AddItemToObject(params, "max_running_per_user",
                          json_integer(gaitd->config->max_running_per_user));
    cJSON_AddItemToObject(params, "now", json_number(gaitd_now()));
    if (fleet_trouble(gaitd->fleet))
        cJSON_AddStringToObject(params, "trouble", fleet_trouble(gaitd->fleet));
    ask_with(request, params);
}

static const char *target_of(const struct request *request)
{
    return json_text_or(request->params, "target", "");
}

static void order(struct request *request)
{
    static const char *const names[] = {ORDERS(ORDER_NAME)};
    int name = 0;
    while (strcmp(names[name], request->method->name) != 0)
        name++;
    store_order(request->gaitd->store, (enum order_name)name,
                target_of(request), connection_caller(request->connection),
                request_reply, request);
}

static void control(struct request *request)
{
    store_control(request->gaitd->store, target_of(request),
                  cJSON_GetObjectItemCaseSensitive(request->params, "controls"),
                  connection_caller(request->connection), request_reply,
                  request);
}

static void retry(struct request *request)
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
        store_retry_jobs(request->gaitd->store, target_of(request),
                         is_set ? controls.time_limit : -1,
                         connection_caller(request->connection), request_reply,
                         request);
    else
        request_refuse(request, ERROR_PARAMS, "time_limit: %s",
                       faults.fault[0].text);
    cJSON_Delete(object);
}

static void drain(struct request *request)
{
    store_set_drained(
        request->gaitd->store, !json_boolean_or(request->params, "undo", false),
        connection_caller(request->connection), request_reply, request);
}

/* The connection hears of events from before they are looked for on, so that
 * none falls between. */
static void show_events(struct request *request)
{
    struct cJSON *params = cJSON_Duplicate(request->params, true);
    cJSON_DeleteItemFromObjectCaseSensitive(params, "follow");
    if (json_boolean_or(request->params, "follow", false))
        hub_follow(request->gaitd->hub, request->connection);
    ask_with(request, params);
}

static void verify(struct request *request)
{
    if (request_check_id(request))
        store_verify(request->gaitd->store, target_of(request),
                     json_text_or(request->params, "request_id", ""),
                     connection_caller(request->connection), request_reply,
                     request);
}

static bool is_set(const struct request *request, const char *name)
{
    return cJSON_IsTrue(
        cJSON_GetObjectItemCaseSensitive(request->params, name));
}

static void keep(struct request *request)
{
    store_keep(request->gaitd->store, target_of(request),
               is_set(request, "undo"), connection_caller(request->connection),
               request_reply, request);
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

static void delete (struct request *request)
{
    if (!request_check_id(request))
        return;
    if (is_set(request, "dry_run"))
        ask_for(request, "deletion", take_params(request));
    else
        store_delete(request->gaitd->store, target_of(request),
                     json_text_or(request->params, "request_id", ""),
                     connection_caller(request->connection), on_deleted,
                     request);
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

static void watch(struct request *request)
{
    store_watch(request->gaitd->store, target_of(request),
                connection_caller(request->connection), on_watched, request);
}

static struct cJSON *bytes_free(const char *folder)
{
    struct statvfs status;
    if (statvfs(folder, &status) != 0)
        return cJSON_CreateNull();
    return json_integer((int64_t)status.f_bavail * (int64_t)status.f_frsize);
}

/* An answer whose news are heard with it. */
struct look {
    struct request *request;
    struct cJSON *result;
};

/* The answer goes out also when it cannot be remembered that it did. */
static void on_visited(void *user, struct cJSON *result,
                       const struct error *error, struct cJSON *data)
{
    struct look look = *(struct look *)user;
    (void)error;
    free(user);
    cJSON_Delete(result);
    cJSON_Delete(data);
    request_reply(look.request, look.result, NULL, NULL);
}

/* Takes both. */
static void answer_status(struct request *request, struct cJSON *result)
{
    struct cJSON *seen = cJSON_DetachItemFromObject(result, "seen");
    if (json_boolean_or(request->params, "look", false)) {
        struct look *look = xmalloc(sizeof *look);
        *look = (struct look){request, result};
        store_visit(request->gaitd->store,
                    connection_caller(request->connection)->uid,
                    json_integer_or(seen, "event", 0),
                    json_real_or(seen, "finished_at", 0), on_visited, look);
    } else {
        request_reply(request, result, NULL, NULL);
    }
    cJSON_Delete(seen);
}

static void on_counts(void *user, struct cJSON *result,
                      const struct error *error, struct cJSON *data)
{
    struct request *request = user;
    const struct gaitd *gaitd = request->gaitd;
    const struct config *config = gaitd->config;
    if (!result) {
        request_reply(request, NULL, error, data);
        return;
    }
    cJSON_AddStringToObject(result, "version", GAITD_VERSION);
    cJSON_AddItemToObject(result, "protocol", json_integer(PROTOCOL));
    cJSON_AddItemToObject(result, "pid", json_integer(getpid()));
    cJSON_AddItemToObject(result, "started_at", json_number(gaitd->started_at));
    cJSON_AddStringToObject(result, "state_dir", config->state_dir);
    cJSON_AddStringToObject(result, "socket", config->socket);
    cJSON_AddItemToObject(result, "slots", fleet_slots(gaitd->fleet));
    cJSON_AddItemToObject(result, "bytes_free", bytes_free(config->state_dir));
    answer_status(request, result);
}

static void show_status(struct request *request)
{
    reader_ask(request->gaitd->reader, "counts", cJSON_CreateObject(),
               connection_caller(request->connection), on_counts, request);
}

static void on_looked(void *user)
{
    struct request *request = user;
    request_reply(request, fleet_devices(request->gaitd->fleet), NULL, NULL);
}

/* GPUs are looked at before. */
static void show_devices(struct request *request)
{
    fleet_look(request->gaitd->fleet, on_looked, request);
}

static void shut_down(struct request *request)
{
    struct gaitd *gaitd = request->gaitd;
    const struct caller *caller = connection_caller(request->connection);
    if (!caller->is_operator) {
        request_refuse(
            request, ERROR_PERMISSION,
            "only operators may shut gaitd down: its owner, root, and "
            "members of its operator_group");
    } else if (gaitd->is_stopping) {
        request_refuse(request, ERROR_BUSY, "gaitd is shutting down already");
    } else {
        log_write(&gaitd->log, LOG_info, "%s asked to shut down", caller->name);
        gaitd_stop(gaitd, request_reply, request);
    }
}

static bool is_of_type(const struct cJSON *value, enum param_type type)
{
    switch (type) {
    case PARAM_TEXT:
        return cJSON_IsString(value);
    case PARAM_INTEGER:
        return json_is_integer(value);
    case PARAM_BOOLEAN:
        return cJSON_IsBool(value);
    case PARAM_OBJECT:
        return cJSON_IsObject(value);
    case PARAM_LIST:
        return cJSON_IsArray(value);
    case PARAM_ANY:
        return true;
    }
    return false;
}

static const struct param *find_param(const struct method *method,
                                      const char *name)
{
    for (int i = 0; i < PARAMS_MAX && method->params[i].name; i++)
        if (strcmp(method->params[i].name, name) == 0)
            return &method->params[i];
    return NULL;
}

static bool refuse_unknown(const struct method *method, const char *name,
                           struct error *error)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (int i = 0; i < PARAMS_MAX && method->params[i].name; i++)
        nearest_try(&nearest, method->params[i].name);
    if (nearest.word)
        return error_set(error, ERROR_PARAMS,
                         "unknown parameter \"%.100s\" of \"%s\", did you mean "
                         "\"%s\"?",
                         name, method->name, nearest.word);
    return error_set(error, ERROR_PARAMS,
                     "unknown parameter \"%.100s\" of \"%s\"", name,
                     method->name);
}

/* Null is the same as left out. */
static bool check_params(const struct method *method,
                         const struct cJSON *params, struct error *error)
{
    const struct cJSON *member;
    cJSON_ArrayForEach(member, params)
    {
        if (strcmp(member->string, "protocol") != 0 &&
            !find_param(method, member->string))
            return refuse_unknown(method, member->string, error);
    }
    for (int i = 0; i < PARAMS_MAX && method->params[i].name; i++) {
        const struct param *param = &method->params[i];
        const struct cJSON *value =
            cJSON_GetObjectItemCaseSensitive(params, param->name);
        bool is_missing = !value || cJSON_IsNull(value);
        if (is_missing && !param->is_optional)
            return error_set(error, ERROR_PARAMS,
                             "\"%s\" is missing, expected %s", param->name,
                             type_names[param->type]);
        if (!is_missing && !is_of_type(value, param->type))
            return error_set(error, ERROR_PARAMS, "\"%s\" is not %s",
                             param->name, type_names[param->type]);
    }
    return true;
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

static bool find_method(struct request *request, const char *name,
                        struct error *error)
{
    for (int i = 0; i < METHOD_COUNT && !request->method; i++)
        if (strcmp(methods[i].name, name) == 0)
            request->method = &methods[i];
    if (request->method)
        return true;
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (int i = 0; i < METHOD_COUNT; i++)
        nearest_try(&nearest, methods[i].name);
    if (nearest.word)
        return error_set(error, ERROR_METHOD,
                         "unknown method \"%.100s\", did you mean \"%s\"?",
                         name, nearest.word);
    return error_set(error, ERROR_METHOD, "unknown method \"%.100s\"", name);
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
        !find_method(request, method, error) ||
        !check_params(request->method, request->params, error);
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
