#include "daemon/method.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "daemon/request.h"
#include "schema/control.h"
#include "schema/json.h"
#include "schema/nearest.h"

static const char *const type_names[] = {
    [PARAM_TEXT] = "text",
    [PARAM_INTEGER] = "a whole number",
    [PARAM_BOOLEAN] = "true or false",
    [PARAM_OBJECT] = "an object",
    [PARAM_LIST] = "a list",
    [PARAM_ANY] = "a value",
};

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

#define ORDER_METHOD(name) {#name, request_order, {TARGET}},

static const struct method methods[] = {
    {"submit",
     request_submit,
     {{"spec", PARAM_OBJECT, false},
      {"request_id", PARAM_TEXT, false},
      {"controls", PARAM_OBJECT, true},
      {"dry_run", PARAM_BOOLEAN, true},
      {"fresh", PARAM_BOOLEAN, true}}},
    {"list", request_ask, {ANY_TARGET, {"state", PARAM_TEXT, true}, PAGE}},
    {"sweeps", request_ask, {PAGE}},
    {"show", request_ask, {TARGET}},
    {"history", request_ask, {TARGET, {"layers", PARAM_BOOLEAN, true}, PAGE}},
    {"results", request_ask, {TARGET, {"by", PARAM_LIST, true}, PAGE}},
    ORDERS(ORDER_METHOD) /* */
    {"control", request_control, {TARGET, {"controls", PARAM_OBJECT, false}}},
    {"retry", request_retry, {TARGET, {"time_limit", PARAM_ANY, true}}},
    {"drain", request_drain, {{"undo", PARAM_BOOLEAN, true}}},
    {"events",
     request_events,
     {ANY_TARGET,
      {"since", PARAM_INTEGER, true},
      {"follow", PARAM_BOOLEAN, true},
      PAGE}},
    {"keep", request_keep, {TARGET, {"undo", PARAM_BOOLEAN, true}}},
    {"delete",
     request_delete,
     {TARGET,
      {"request_id", PARAM_TEXT, false},
      {"dry_run", PARAM_BOOLEAN, true}}},
    {"explain", request_explain, {TARGET}},
    {"verify", request_verify, {TARGET, {"request_id", PARAM_TEXT, false}}},
    {"verification", request_ask, {TARGET, PAGE}},
    {"watch", request_watch, {TARGET}},
    {"fsck", request_fsck, {{NULL, PARAM_TEXT, true}}},
    {"backup",
     request_backup,
     {{"file", PARAM_TEXT, false}, {"force", PARAM_BOOLEAN, true}}},
    {"status", request_status, {{"look", PARAM_BOOLEAN, true}}},
    {"devices", request_devices, {{NULL, PARAM_TEXT, true}}},
    {"shutdown", request_shutdown, {{NULL, PARAM_TEXT, true}}},
};
enum { METHOD_COUNT = sizeof methods / sizeof *methods };

const struct method *method_find(const char *name, struct error *error)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (int i = 0; i < METHOD_COUNT; i++) {
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
        nearest_try(&nearest, methods[i].name);
    }
    if (nearest.word)
        error_set(error, ERROR_METHOD,
                  "unknown method \"%.100s\", did you mean \"%s\"?", name,
                  nearest.word);
    else
        error_set(error, ERROR_METHOD, "unknown method \"%.100s\"", name);
    return NULL;
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

static bool is_param(const struct method *method, int i)
{
    return i < (int)(sizeof method->params / sizeof *method->params) &&
           method->params[i].name;
}

static const struct param *find_param(const struct method *method,
                                      const char *name)
{
    for (int i = 0; is_param(method, i); i++)
        if (strcmp(method->params[i].name, name) == 0)
            return &method->params[i];
    return NULL;
}

static bool refuse_unknown(const struct method *method, const char *name,
                           struct error *error)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (int i = 0; is_param(method, i); i++)
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

bool method_check(const struct method *method, const struct cJSON *params,
                  struct error *error)
{
    const struct cJSON *member;
    cJSON_ArrayForEach(member, params)
    {
        if (strcmp(member->string, "protocol") != 0 &&
            !find_param(method, member->string))
            return refuse_unknown(method, member->string, error);
    }
    for (int i = 0; is_param(method, i); i++) {
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
