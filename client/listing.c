#include "client/listing.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "schema/control.h"
#include "schema/memory.h"
#include "schema/settings.h"

enum { PAGE_ROWS = 1000 };

void columns_add(struct columns *columns, const struct column *added, int count)
{
    assert(columns->count + count <= COLUMNS_MAX);
    for (int i = 0; i < count; i++)
        columns->column[columns->count++] = added[i];
}

static void add_setting(struct columns *columns, const struct setting *setting,
                        bool in_table)
{
    bool is_number =
        setting->type == SETTING_INTEGER || setting->type == SETTING_REAL;
    struct column column = {
        .key = setting->name,
        .format = is_number ? COLUMN_NUMBER : COLUMN_TEXT,
        .in_table = in_table,
    };
    columns_add(columns, &column, 1);
}

void columns_add_controls(struct columns *columns, const char *shown)
{
    for (int i = 0; i < CONTROL_COUNT; i++) {
        const struct setting *control = &control_table[i];
        add_setting(columns, control,
                    shown == NULL || strcmp(control->name, shown) == 0);
    }
}

void columns_add_settings(struct columns *columns, const struct cJSON *varying)
{
    for (int i = 0; i < setting_count; i++) {
        /* A job has it among its own members. */
        if (strcmp(setting_table[i].name, "nb_epochs") == 0)
            continue;
        add_setting(columns, &setting_table[i],
                    list_has(varying, setting_table[i].name));
    }
}

void columns_add_varying(struct columns *columns, const struct cJSON *varying)
{
    const struct cJSON *name;
    cJSON_ArrayForEach(name, varying)
    {
        const struct setting *setting =
            cJSON_IsString(name) ? setting_find(name->valuestring) : NULL;
        if (setting != NULL)
            add_setting(columns, setting, true);
    }
}

bool list_has(const struct cJSON *list, const char *name)
{
    const struct cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
            return true;
    }
    return false;
}

static bool add_name(struct cJSON *list, char *name, struct error *error)
{
    for (char *c = name; *c != '\0'; c++)
        if (*c == '-')
            *c = '_';
    if (setting_find(name) != NULL) {
        cJSON_AddItemToArray(list, cJSON_CreateString(name));
        return true;
    }
    const char *near = setting_nearest(name);
    if (near == NULL)
        return error_set(error, ERROR_PARAMS,
                         "--by: \"%s\" is no setting; gaitctl help submit "
                         "lists them",
                         name);
    return error_set(error, ERROR_PARAMS,
                     "--by: \"%s\" is no setting, did you mean \"%s\"?", name,
                     near);
}

struct cJSON *list_of_settings(const char *text, struct error *error)
{
    struct cJSON *list = cJSON_CreateArray();
    char *copy = xstrdup(text), *rest = copy, *name;
    bool good = true;
    while (*text != '\0' && good && (name = strsep(&rest, ",")) != NULL)
        good = add_name(list, name, error);
    free(copy);
    if (good)
        return list;
    cJSON_Delete(list);
    return NULL;
}

struct cJSON *params_of_target(const char *target)
{
    struct cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "target", target);
    return params;
}

static struct cJSON *page_params(const struct listing *listing, int64_t done,
                                 double after)
{
    struct cJSON *params = listing->params != NULL
                               ? cJSON_Duplicate(listing->params, true)
                               : cJSON_CreateObject();
    int64_t limit = PAGE_ROWS;
    if (listing->limit > 0 && listing->limit - done < limit)
        limit = listing->limit - done;
    cJSON_AddItemToObject(params, "limit", json_integer(limit));
    if (after != 0)
        cJSON_AddItemToObject(params, "after", json_number(after));
    return params;
}

/* Answers that do not come in pages, such as groups, know no limit: drops the
 * rows beyond `most`, and says whether there were any. */
static bool cut(struct cJSON *rows, int64_t most)
{
    int count = cJSON_GetArraySize(rows);
    for (int i = count; i > most; i--)
        cJSON_DeleteItemFromArray(rows, i - 1);
    return count > most;
}

/* Takes one answer apart; `*after` becomes 0 after the last page. */
static bool read_page(struct listing *listing, struct cJSON *page,
                      int64_t *done, double *after, struct error *error)
{
    struct cJSON *rows = cJSON_GetObjectItemCaseSensitive(page, listing->rows);
    if (!cJSON_IsArray(rows))
        return error_set(error, ERROR_PROTOCOL,
                         "gaitd's answer to \"%s\" has no \"%s\"",
                         listing->method, listing->rows);
    listing->has_more = listing->limit > 0 && cut(rows, listing->limit - *done);
    *done += cJSON_GetArraySize(rows);
    *after = json_real_or(page, "next", 0);
    listing->has_more = listing->has_more || *after != 0;
    return true;
}

bool listing_run(struct listing *listing, struct connection *connection,
                 listing_page *on_page, void *user, struct error *error)
{
    int64_t done = 0;
    double after = (double)listing->after;
    bool good = true, is_last = false;
    while (good && !is_last) {
        struct cJSON *page =
            connection_request(connection, listing->method,
                               page_params(listing, done, after), error);
        good = page != NULL && read_page(listing, page, &done, &after, error) &&
               on_page(user, page, error);
        cJSON_Delete(page);
        is_last = after == 0 || (listing->limit > 0 && done >= listing->limit);
    }
    cJSON_Delete(listing->params);
    listing->params = NULL;
    return good;
}

struct cJSON *listing_varying(struct connection *connection, const char *target,
                              struct error *error)
{
    struct cJSON *params = params_of_target(target);
    cJSON_AddItemToObject(params, "limit", json_integer(1));
    struct cJSON *page =
        connection_request(connection, "results", params, error);
    struct cJSON *varying = cJSON_DetachItemFromObject(page, "varying");
    cJSON_Delete(page);
    if (page != NULL && varying == NULL)
        error_set(error, ERROR_PROTOCOL,
                  "gaitd's answer to \"results\" has no \"varying\"");
    return varying;
}
