#include "client/submission.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "client/grid.h"
#include "schema/memory.h"
#include "schema/message.h"

static char *read_all(FILE *file, const char *path, size_t *length,
                      struct error *error)
{
    char *text = malloc(MESSAGE_BYTES_MAX + 1);
    if (text == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for \"%s\"", path);
        return NULL;
    }
    errno = 0;
    *length = fread(text, 1, MESSAGE_BYTES_MAX + 1, file);
    if (ferror(file))
        error_set(error, ERROR_IO, "cannot read \"%s\": %s", path,
                  strerror(errno));
    else if (*length > MESSAGE_BYTES_MAX)
        error_set(error, ERROR_TOO_LARGE,
                  "\"%s\" is over the limit of %d bytes", path,
                  MESSAGE_BYTES_MAX);
    else
        return text;
    free(text);
    return NULL;
}

struct cJSON *submission_read(const char *path, struct error *error)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    struct cJSON *spec = NULL;
    size_t length;
    if (file == NULL) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "cannot read \"%s\": %s", path, strerror(errno));
        return NULL;
    }
    char *text = read_all(file, path, &length, error);
    if (text != NULL) {
        spec = message_parse(text, length, error);
        if (spec == NULL)
            error_prefix(error, "\"%s\"", path);
    }
    free(text);
    if (!is_stdin)
        fclose(file);
    return spec;
}

static bool is_sweep(const struct cJSON *spec)
{
    return cJSON_HasObjectItem(spec, "base") ||
           cJSON_HasObjectItem(spec, "axes") ||
           cJSON_HasObjectItem(spec, "points");
}

/* One job's settings become the base of a sweep. */
static void make_sweep(struct cJSON *spec)
{
    struct cJSON *base = cJSON_CreateObject();
    for (struct cJSON *m = spec->child, *next; m != NULL; m = next) {
        next = m->next;
        if (strcmp(m->string, "name") == 0)
            continue;
        char *key = xstrdup(m->string);
        cJSON_AddItemToObject(base, key, cJSON_DetachItemViaPointer(spec, m));
        free(key);
    }
    cJSON_AddItemToObject(spec, "base", base);
}

static void put(struct cJSON *object, const char *key, struct cJSON *value)
{
    if (cJSON_GetObjectItemCaseSensitive(object, key) != NULL)
        cJSON_ReplaceItemInObjectCaseSensitive(object, key, value);
    else
        cJSON_AddItemToObject(object, key, value);
}

/* The member that holds settings or axes, made when it is missing.  One of a
 * wrong type is left for the daemon to refuse. */
static struct cJSON *part(struct cJSON *spec, const char *name)
{
    struct cJSON *found = cJSON_GetObjectItemCaseSensitive(spec, name);
    if (found == NULL)
        found = cJSON_AddObjectToObject(spec, name);
    return found;
}

static bool is_in_points(const struct cJSON *spec, const char *name)
{
    const struct cJSON *point;
    cJSON_ArrayForEach(point, cJSON_GetObjectItemCaseSensitive(spec, "points"))
    {
        if (cJSON_GetObjectItemCaseSensitive(point, name) != NULL)
            return true;
    }
    return false;
}

static bool put_setting(struct cJSON *spec, const char *name, bool is_axis,
                        struct cJSON *value, struct error *error)
{
    if (is_in_points(spec, name)) {
        cJSON_Delete(value);
        return error_set(error, ERROR_PARAMS,
                         "--%s: the points of the spec choose \"%s\"; change "
                         "it there, or leave out the flag",
                         name, name);
    }
    if (is_axis && !is_sweep(spec))
        make_sweep(spec);
    if (!is_sweep(spec)) {
        put(spec, name, value);
    } else if (is_axis) {
        put(part(spec, "axes"), name, value);
    } else {
        cJSON_DeleteItemFromObjectCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(spec, "axes"), name);
        put(part(spec, "base"), name, value);
    }
    return true;
}

bool submission_apply(struct cJSON *spec, const struct option_setting *settings,
                      int count, const char *name, struct error *error)
{
    for (int i = 0; i < count; i++) {
        bool is_axis;
        struct cJSON *value =
            grid_read(settings[i].setting, settings[i].text, &is_axis, error);
        if (value == NULL || !put_setting(spec, settings[i].setting->name,
                                          is_axis, value, error))
            return false;
    }
    if (name != NULL)
        put(spec, "name", cJSON_CreateString(name));
    return true;
}

bool submission_request_id(char id[REQUEST_ID_BYTES], struct error *error)
{
    uint8_t r[16];
    if (getrandom(r, sizeof r, 0) != sizeof r)
        return error_set(error, ERROR_IO, "no random numbers: %s",
                         strerror(errno));
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    snprintf(id, REQUEST_ID_BYTES,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
             "%02x%02x%02x%02x%02x%02x",
             r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10],
             r[11], r[12], r[13], r[14], r[15]);
    return true;
}
