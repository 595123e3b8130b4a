#include "schema/message.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "schema/memory.h"
#include "schema/syntax.h"

enum { FEW = 8 }; /* members that are quicker compared than sorted */

/* Names are sorted by their hashes, which are together in memory, and by
 * themselves only where those are equal: also the worst of messages costs
 * n log n. */
struct name {
    uint64_t hash;
    const char *text;
};

static int by_hash(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return strcmp(x->text, y->text);
}

/* A name that two members have, or NULL. */
static const char *repeated_of_few(const cJSON *object)
{
    for (const cJSON *a = object->child; a; a = a->next)
        for (const cJSON *b = a->next; b; b = b->next)
            if (!strcmp(a->string, b->string))
                return b->string;
    return NULL;
}

static const char *repeated_of_many(const cJSON *object, size_t count)
{
    struct name *names = xmalloc(count * sizeof *names);
    size_t used = 0;
    for (const cJSON *a = object->child; a; a = a->next)
        names[used++] = (struct name){
            .hash = XXH3_64bits(a->string, strlen(a->string)),
            .text = a->string,
        };
    qsort(names, used, sizeof *names, by_hash);
    const char *found = NULL;
    for (size_t i = 1; i < used && !found; i++)
        if (!by_hash(&names[i - 1], &names[i]))
            found = names[i].text;
    free(names);
    return found;
}

static const char *repeated(const cJSON *object)
{
    size_t count = (size_t)cJSON_GetArraySize(object);
    return count <= FEW ? repeated_of_few(object)
                        : repeated_of_many(object, count);
}

/* What the grammar does not say: no member twice, and no number that is
 * infinite as a double.  Recursion ends at SYNTAX_DEPTH_MAX. */
static bool check(const cJSON *value, struct error *error)
{
    if (cJSON_IsNumber(value) && !isfinite(value->valuedouble))
        return error_set(error, ERROR_PARSE, "a number over 1.8e308");
    const char *twice = cJSON_IsObject(value) ? repeated(value) : NULL;
    if (twice)
        return error_set(error, ERROR_PARSE, "member \"%.100s\" twice", twice);
    for (const cJSON *item = value->child; item; item = item->next)
        if (!check(item, error))
            return false;
    return true;
}

/* A tree is made of many small allocations, which die on failure (json_init);
 * so its whole size is asked for first, where refusing is possible. */
static bool has_room(size_t length, size_t values, struct error *error)
{
    enum { OVERHEAD = 48 }; /* of a value's and its name's allocations */
    void *probe = malloc(length + values * (sizeof(cJSON) + OVERHEAD));
    free(probe);
    return probe || error_set(error, ERROR_MEMORY,
                              "no memory for a message of %zu bytes", length);
}

struct cJSON *message_parse(const char *text, size_t length,
                            struct error *error)
{
    if (length >= MESSAGE_BYTES_MAX) {
        error_set(error, ERROR_TOO_LARGE, "a message of over %d bytes",
                  MESSAGE_BYTES_MAX);
        return NULL;
    }
    size_t values;
    if (!syntax_check(text, length, &values, error) ||
        !has_room(length, values, error))
        return NULL;
    cJSON *message = cJSON_ParseWithLengthOpts(text, length, NULL, false);
    if (!message) {
        error_set(error, ERROR_MEMORY, "no memory for a message of %zu bytes",
                  length);
        return NULL;
    }
    if (!cJSON_IsObject(message))
        error_set(error, ERROR_REQUEST, "a message must be a JSON object");
    else if (check(message, error))
        return message;
    cJSON_Delete(message);
    return NULL;
}

char *message_print(const struct cJSON *message, size_t *length)
{
    char *text = json_print(message, length);
    text = xrealloc(text, *length + 2);
    text[(*length)++] = '\n';
    text[*length] = '\0';
    return text;
}

static cJSON *envelope(const cJSON *id)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "jsonrpc", "2.0");
    cJSON_AddItemToObject(message, "id",
                          id ? cJSON_Duplicate(id, true) : cJSON_CreateNull());
    return message;
}

struct cJSON *rpc_request(int64_t id, const char *method, struct cJSON *params)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "jsonrpc", "2.0");
    cJSON_AddItemToObject(message, "id", json_integer(id));
    cJSON_AddStringToObject(message, "method", method);
    if (!params)
        params = cJSON_CreateObject();
    if (!cJSON_GetObjectItemCaseSensitive(params, "protocol"))
        cJSON_AddNumberToObject(params, "protocol", PROTOCOL);
    cJSON_AddItemToObject(message, "params", params);
    return message;
}

struct cJSON *rpc_result(const struct cJSON *id, struct cJSON *result)
{
    cJSON *message = envelope(id);
    cJSON_AddItemToObject(message, "result",
                          result ? result : cJSON_CreateNull());
    return message;
}

struct cJSON *rpc_error(const struct cJSON *id, const struct error *error,
                        struct cJSON *data)
{
    cJSON *message = envelope(id);
    cJSON *body = cJSON_AddObjectToObject(message, "error");
    cJSON_AddNumberToObject(body, "code", error->code);
    cJSON_AddStringToObject(body, "message", error->text);
    if (data)
        cJSON_AddItemToObject(body, "data", data);
    return message;
}

struct cJSON *rpc_notification(const char *method, struct cJSON *params)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "jsonrpc", "2.0");
    cJSON_AddStringToObject(message, "method", method);
    cJSON_AddItemToObject(message, "params",
                          params ? params : cJSON_CreateObject());
    return message;
}
