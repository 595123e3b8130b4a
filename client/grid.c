#include "client/grid.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/text.h"
#include "schema/json.h"
#include "schema/memory.h"

/* "from..to", ":a" and ":a:b" cut apart; what is not there is NULL. */
struct range {
    char *copy; /* holds the parts */
    char *from, *to, *first, *second;
};

static struct cJSON *refuse(struct error *error, const struct setting *setting,
                            const char *text, const char *why)
{
    error_set(error, ERROR_PARAMS, "--%s: \"%s\" %s", setting->name, text, why);
    return NULL;
}

static struct cJSON *read_list(const struct setting *setting, const char *text,
                               struct error *error)
{
    struct cJSON *list = cJSON_CreateArray();
    char *copy = xstrdup(text), *rest = copy, *item;
    while (list != NULL && (item = strsep(&rest, ",")) != NULL) {
        if (*item != '\0') {
            cJSON_AddItemToArray(list, setting_value(setting, item));
            continue;
        }
        refuse(error, setting, text, "has an empty item");
        cJSON_Delete(list);
        list = NULL;
    }
    free(copy);
    return list;
}

static void range_init(struct range *range, const char *text)
{
    *range = (struct range){.copy = xstrdup(text)};
    range->from = range->copy;
    range->to = strstr(range->copy, "..");
    *range->to = '\0';
    range->to += 2;
    char *rest = range->to;
    strsep(&rest, ":");
    range->first = strsep(&rest, ":");
    range->second = rest;
}

/* The whole number in `text`, as it is wanted for steps. */
static bool read_whole(const char *text, double *value)
{
    return text_to_real(text, value) && *value == floor(*value) &&
           fabs(*value) < 9007199254740992.0;
}

static struct cJSON *write_range(double from, double to)
{
    struct cJSON *axis = cJSON_CreateObject();
    cJSON_AddItemToObject(axis, "from", json_number(from));
    cJSON_AddItemToObject(axis, "to", json_number(to));
    return axis;
}

static struct cJSON *read_scaled(const struct setting *setting,
                                 const struct range *range, const char *text,
                                 struct error *error)
{
    double from, to, steps;
    bool is_known =
        strcmp(range->first, "log") == 0 || strcmp(range->first, "linear") == 0;
    if (!is_known || !read_whole(range->second, &steps) || steps < 1)
        return refuse(error, setting, text,
                      "is not a range such as 1e-5..1e-3:log:5 or "
                      "0..1:linear:11");
    if (!text_to_real(range->from, &from) || !text_to_real(range->to, &to))
        return refuse(error, setting, text, "is not a range of numbers");
    struct cJSON *axis = write_range(from, to);
    cJSON_AddItemToObject(axis, "steps", json_number(steps));
    cJSON_AddStringToObject(axis, "scale", range->first);
    return axis;
}

static struct cJSON *read_whole_range(const struct setting *setting,
                                      const struct range *range,
                                      const char *text, struct error *error)
{
    double from, to, step = 1;
    if (!text_to_real(range->from, &from) || !text_to_real(range->to, &to))
        return refuse(error, setting, text, "is not a range of numbers");
    if (!read_whole(range->from, &from) || !read_whole(range->to, &to))
        return refuse(error, setting, text,
                      "needs a number of steps, such as 1e-5..1e-3:log:5");
    if (range->first != NULL && (!read_whole(range->first, &step) || step < 1))
        return refuse(error, setting, text,
                      "is not a range such as 1..5 or 1..401:100");
    struct cJSON *axis = write_range(from, to);
    if (range->first != NULL)
        cJSON_AddItemToObject(axis, "step", json_number(step));
    return axis;
}

static struct cJSON *read_range(const struct setting *setting, const char *text,
                                struct error *error)
{
    struct range range;
    range_init(&range, text);
    struct cJSON *axis = range.second != NULL
                             ? read_scaled(setting, &range, text, error)
                             : read_whole_range(setting, &range, text, error);
    free(range.copy);
    return axis;
}

struct cJSON *grid_read(const struct setting *setting, const char *text,
                        bool *is_axis, struct error *error)
{
    bool is_number =
        setting->type == SETTING_INTEGER || setting->type == SETTING_REAL;
    bool is_list = strchr(text, ',') != NULL;
    bool is_range = is_number && strstr(text, "..") != NULL;
    *is_axis = is_list || is_range;
    if (is_list && is_range)
        return refuse(error, setting, text,
                      "mixes a list and a range: use one of them");
    if (is_list)
        return read_list(setting, text, error);
    if (is_range)
        return read_range(setting, text, error);
    if (*text == '\0')
        return refuse(error, setting, text, "is no value");
    return setting_value(setting, text);
}
