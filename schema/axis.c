#include "schema/axis.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/json.h"
#include "schema/memory.h"
#include "schema/nearest.h"

/* {"from", "to", "step"} or {"from", "to", "steps", "scale"}, as numbers. */
struct range {
    double from, to;
    double step, steps; /* NaN: not given */
    bool is_log;
};

/* X(member): what a range may hold. */
#define RANGE_MEMBERS(X) X(from) X(to) X(step) X(steps) X(scale)
#define MEMBER_NAME(name) #name,
static const char *const range_members[] = {RANGE_MEMBERS(MEMBER_NAME)};
enum { RANGE_MEMBER_COUNT = sizeof range_members / sizeof range_members[0] };

static bool is_range_member(const char *name)
{
    for (int i = 0; i < RANGE_MEMBER_COUNT; i++)
        if (!strcmp(range_members[i], name))
            return true;
    return false;
}

static void check_members(const struct axis *axis, const cJSON *json,
                          struct faults *faults)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, json)
    {
        if (is_range_member(member->string))
            continue;
        struct nearest nearest;
        nearest_init(&nearest, member->string);
        for (int i = 0; i < RANGE_MEMBER_COUNT && !faults_is_full(faults); i++)
            nearest_try(&nearest, range_members[i]);
        if (nearest.word)
            faults_add_member(faults, axis->setting->name, member->string,
                              "unknown member, did you mean \"%s\"?",
                              nearest.word);
        else
            faults_add_member(faults, axis->setting->name, member->string,
                              "unknown member: a range has from, to, step, "
                              "or from, to, steps, scale");
    }
}

static double read_number(const struct axis *axis, const cJSON *json,
                          const char *name, bool is_required,
                          struct faults *faults)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    if (cJSON_IsNumber(item))
        return item->valuedouble;
    if (item)
        faults_add_member(faults, axis->setting->name, name, "not a number");
    else if (is_required)
        faults_add_member(faults, axis->setting->name, name,
                          "missing: a range has \"from\" and \"to\"");
    return NAN;
}

/* An optional count: whole, and at least 1. */
static double read_count(const struct axis *axis, const cJSON *json,
                         const char *name, struct faults *faults)
{
    double count = read_number(axis, json, name, false, faults);
    if (isnan(count) || (count >= 1 && count == trunc(count)))
        return count;
    char text[JSON_NUMBER_BYTES];
    json_number_print(count, text);
    faults_add_member(faults, axis->setting->name, name,
                      "%s is not a whole number of at least 1", text);
    return NAN;
}

static bool read_scale(const struct axis *axis, const cJSON *json,
                       struct faults *faults)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "scale");
    const char *scale = cJSON_IsString(item) ? item->valuestring : "";
    if (item && strcmp(scale, "log") && strcmp(scale, "linear"))
        faults_add_member(faults, axis->setting->name, "scale",
                          "expected \"log\" or \"linear\"");
    return !strcmp(scale, "log");
}

/* A bound is a value of the setting, so its limits are the setting's. */
static void check_bound(const struct axis *axis, const cJSON *json,
                        const char *name, struct faults *faults)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    struct settings scratch;
    if (cJSON_IsNumber(item))
        setting_read(axis->setting, item, &scratch, faults);
}

static void check_order(const struct axis *axis, const cJSON *json,
                        const struct range *range, struct faults *faults)
{
    const char *setting = axis->setting->name;
    bool has_steps = cJSON_HasObjectItem(json, "steps");
    if (range->from > range->to)
        faults_add(faults, setting, "\"from\" is above \"to\"");
    if (has_steps && cJSON_HasObjectItem(json, "step"))
        faults_add(faults, setting, "has both \"step\" and \"steps\"");
    if (!has_steps && cJSON_HasObjectItem(json, "scale"))
        faults_add_member(faults, setting, "scale", "needs \"steps\"");
    if (!has_steps && axis->setting->type == SETTING_REAL)
        faults_add(faults, setting,
                   "a range of numbers that need not be whole has \"steps\"");
    if (range->is_log && range->from <= 0)
        faults_add_member(faults, setting, "from",
                          "a log scale begins above 0");
    if (range->steps == 1 && range->from < range->to)
        faults_add_member(faults, setting, "steps",
                          "1 is not enough for both ends");
    if (range->steps > 1 && range->from == range->to)
        faults_add_member(faults, setting, "steps",
                          "more than 1 from a number to itself");
}

static bool read_range(const struct axis *axis, const cJSON *json,
                       struct range *range, struct faults *faults)
{
    int before = faults->count;
    check_members(axis, json, faults);
    range->from = read_number(axis, json, "from", true, faults);
    range->to = read_number(axis, json, "to", true, faults);
    range->step = read_count(axis, json, "step", faults);
    range->steps = read_count(axis, json, "steps", faults);
    range->is_log = read_scale(axis, json, faults);
    check_bound(axis, json, "from", faults);
    check_bound(axis, json, "to", faults);
    check_order(axis, json, range, faults);
    return faults->count == before;
}

/* To 15 significant digits, so that 1e-5 to 1e-3 in three has 1e-4 in the
 * middle, and so that no library's last bit decides what is trained. */
static double rounded(long double value)
{
    char text[JSON_NUMBER_BYTES];
    snprintf(text, sizeof text, "%.15Lg", value);
    return strtod(text, NULL);
}

static double range_value(const struct range *range, int i, int count)
{
    if (isnan(range->steps))
        return range->from + i * (isnan(range->step) ? 1 : range->step);
    if (i == 0)
        return range->from;
    if (i == count - 1)
        return range->to;
    long double part = (long double)i / (count - 1);
    long double from = range->from, to = range->to;
    return rounded(range->is_log ? from * powl(to / from, part)
                                 : from + (to - from) * part);
}

static double range_count(const struct range *range)
{
    if (!isnan(range->steps))
        return range->steps;
    return floor((range->to - range->from) /
                 (isnan(range->step) ? 1 : range->step)) +
           1;
}

/* Adds one value in its only spelling; a fault refuses it. */
static bool add(struct axis *axis, const cJSON *value, struct faults *faults)
{
    struct settings scratch;
    if (!setting_read(axis->setting, value, &scratch, faults))
        return false;
    axis->values[axis->count++] = setting_write(axis->setting, &scratch);
    return true;
}

static bool make_room(struct axis *axis, double count, struct faults *faults)
{
    if (count > AXIS_VALUES_MAX) {
        faults_add(faults, axis->setting->name,
                   "%.15g values, and an axis has at most %d", count,
                   AXIS_VALUES_MAX);
        return false;
    }
    axis->values = xcalloc((size_t)count, sizeof(struct cJSON *));
    return true;
}

static bool fill_range(struct axis *axis, const cJSON *json,
                       struct faults *faults)
{
    struct range range;
    if (!read_range(axis, json, &range, faults))
        return false;
    double count = range_count(&range);
    if (!make_room(axis, count, faults))
        return false;
    for (int i = 0; i < count; i++) {
        cJSON *value = json_number(range_value(&range, i, (int)count));
        bool is_good = add(axis, value, faults);
        cJSON_Delete(value);
        if (!is_good)
            return false; /* one is enough: the others will be like it */
    }
    return true;
}

static bool fill_list(struct axis *axis, const cJSON *json,
                      struct faults *faults)
{
    int before = faults->count;
    if (!json->child)
        faults_add(faults, axis->setting->name, "an axis without values");
    else if (make_room(axis, cJSON_GetArraySize(json), faults))
        for (const cJSON *item = json->child; item; item = item->next)
            add(axis, item, faults);
    return faults->count == before;
}

/* Of one setting, and so of one type. */
static int by_value(const void *a, const void *b)
{
    const cJSON *x = *(cJSON *const *)a, *y = *(cJSON *const *)b;
    if (cJSON_IsString(x))
        return strcmp(x->valuestring, y->valuestring);
    if (cJSON_IsBool(x))
        return cJSON_IsTrue(x) - cJSON_IsTrue(y);
    return (x->valuedouble > y->valuedouble) -
           (x->valuedouble < y->valuedouble);
}

static bool check_distinct(const struct axis *axis, struct faults *faults)
{
    int before = faults->count;
    size_t bytes = (size_t)axis->count * sizeof(struct cJSON *);
    struct cJSON **sorted = memcpy(xmalloc(bytes), axis->values, bytes);
    qsort(sorted, (size_t)axis->count, sizeof *sorted, by_value);
    for (int i = 1; i < axis->count && faults->count == before; i++)
        if (!by_value(&sorted[i - 1], &sorted[i])) {
            size_t length;
            char *text = json_print(sorted[i], &length);
            faults_add(faults, axis->setting->name, "value %s twice", text);
            free(text);
        }
    free(sorted);
    return faults->count == before;
}

bool axis_init(struct axis *axis, const struct setting *setting,
               const struct cJSON *json, struct faults *faults)
{
    *axis = (struct axis){.setting = setting};
    bool is_good = false;
    bool is_number =
        setting->type == SETTING_INTEGER || setting->type == SETTING_REAL;
    if (cJSON_IsArray(json))
        is_good = fill_list(axis, json, faults);
    else if (!cJSON_IsObject(json))
        faults_add(faults, setting->name,
                   is_number ? "expected a list of values or a range"
                             : "expected a list of values");
    else if (!is_number)
        faults_add(faults, setting->name,
                   "a range is for numbers, expected a list of values");
    else
        is_good = fill_range(axis, json, faults);
    if (is_good && check_distinct(axis, faults))
        return true;
    axis_release(axis);
    return false;
}

void axis_release(struct axis *axis)
{
    for (int i = 0; i < axis->count; i++)
        cJSON_Delete(axis->values[i]);
    free(axis->values);
    *axis = (struct axis){.setting = axis->setting};
}
