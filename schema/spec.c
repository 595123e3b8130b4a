#include "schema/spec.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"
#include "schema/nearest.h"

/* X(member): top-level members that are not settings. */
#define SPEC_MEMBERS(X) X(name) X(base) X(axes) X(points)
#define MEMBER_NAME(name) #name,
static const char *const spec_members[] = {SPEC_MEMBERS(MEMBER_NAME)};
enum { SPEC_MEMBER_COUNT = sizeof spec_members / sizeof spec_members[0] };

static bool is_spec_member(const char *name)
{
    for (int i = 0; i < SPEC_MEMBER_COUNT; i++)
        if (!strcmp(spec_members[i], name))
            return true;
    return false;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool is_sweep(const cJSON *object)
{
    return member(object, "base") || member(object, "axes") ||
           member(object, "points");
}

static bool is_digits(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* "12", "3..5", "sweep-4", "verify-5" and "last" name jobs and sweeps already.
 */
static bool is_target_form(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    if (digits && !strncmp(name + digits, "..", 2))
        return is_digits(name + digits + 2);
    if (!strncmp(name, "sweep-", 6))
        return is_digits(name + 6);
    if (!strncmp(name, "verify-", 7))
        return is_digits(name + 7);
    return is_digits(name) || !strcmp(name, "last");
}

bool spec_name_check(const char *name, struct error *error)
{
    size_t length = strlen(name);
    if (!length || length >= SPEC_NAME_BYTES)
        return error_set(error, ERROR_SPEC,
                         "a name has 1 to %d bytes, and this one %zu",
                         SPEC_NAME_BYTES - 1, length);
    if (name[0] == '-' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789._-") != length)
        return error_set(error, ERROR_SPEC,
                         "\"%s\" is not a name of letters, digits, \".\", "
                         "\"_\" and \"-\" (not first)",
                         name);
    if (is_target_form(name))
        return error_set(error, ERROR_SPEC,
                         "\"%s\" is not a name: it reads as an id", name);
    return true;
}

static void read_name(struct spec *spec, const cJSON *json,
                      struct faults *faults)
{
    struct error error;
    if (!json)
        return;
    if (!cJSON_IsString(json))
        faults_add(faults, "name", "not text");
    else if (!spec_name_check(json->valuestring, &error))
        faults_add(faults, "name", "%s", error.text);
    else
        snprintf(spec->name, sizeof spec->name, "%s", json->valuestring);
}

static const char *nearest_to(const char *name, bool in_sweep)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (int i = 0; i < SPEC_MEMBER_COUNT; i++)
        nearest_try(&nearest, spec_members[i]);
    for (int i = 0; i < SETTING_COUNT && !in_sweep; i++)
        nearest_try(&nearest, setting_table[i].name);
    return nearest.word;
}

/* A member that the top of a spec does not have. */
static void unknown(const char *name, bool in_sweep, struct faults *faults)
{
    const char *nearest =
        faults_is_full(faults) ? NULL : nearest_to(name, in_sweep);
    const char *noun = in_sweep ? "member" : "setting";
    if (setting_find(name))
        faults_add(faults, name,
                   "a sweep's settings are in \"base\": move it there");
    else if (nearest)
        faults_add(faults, name, "unknown %s, did you mean \"%s\"?", noun,
                   nearest);
    else if (in_sweep)
        faults_add(faults, name,
                   "unknown member: a sweep has name, base, points, axes");
    else
        faults_add(faults, name, "unknown setting");
}

static void read_base(struct spec *spec, const cJSON *json,
                      struct faults *faults)
{
    faults->context = "base";
    if (json && !cJSON_IsObject(json))
        faults_add(faults, "", "expected an object of settings");
    else if (json)
        settings_override(json, &spec->base, faults);
    faults->context = "";
}

static void read_points(struct spec *spec, const cJSON *json,
                        struct faults *faults)
{
    if (!json)
        return;
    if (!cJSON_IsArray(json) || !json->child) {
        faults_add(faults, "points",
                   cJSON_IsArray(json) ? "a list without points"
                                       : "expected a list of objects");
        return;
    }
    size_t count = (size_t)cJSON_GetArraySize(json);
    spec->points = xcalloc(count, sizeof(struct cJSON *));
    char context[32];
    faults->context = context;
    for (const cJSON *item = json->child; item; item = item->next) {
        struct settings scratch = spec->base;
        snprintf(context, sizeof context, "points[%d]", spec->point_count);
        if (cJSON_IsObject(item))
            settings_override(item, &scratch, faults);
        else
            faults_add(faults, "", "expected an object of settings");
        spec->points[spec->point_count++] = cJSON_Duplicate(item, true);
    }
    faults->context = "";
}

static void read_axis(struct spec *spec, const cJSON *json,
                      struct faults *faults)
{
    const struct setting *setting = setting_find(json->string);
    if (setting) {
        assert(spec->axis_count < SETTING_COUNT); /* no member twice */
        struct axis *axis = &spec->axes[spec->axis_count];
        spec->axis_count += axis_init(axis, setting, json, faults);
    } else {
        setting_unknown(json->string, faults);
    }
}

static void read_axes(struct spec *spec, const cJSON *json,
                      struct faults *faults)
{
    faults->context = "axes";
    if (json && !cJSON_IsObject(json))
        faults_add(faults, "", "expected an object of lists and ranges");
    else if (json)
        for (const cJSON *item = json->child; item; item = item->next)
            read_axis(spec, item, faults);
    faults->context = "";
}

/* A point's setting would be lost under an axis of the same setting. */
static void check_overlap(const struct spec *spec, struct faults *faults)
{
    bool is_axis[SETTING_COUNT] = {false};
    for (int a = 0; a < spec->axis_count; a++)
        is_axis[spec->axes[a].setting - setting_table] = true;
    for (int p = 0; p < spec->point_count; p++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, spec->points[p])
        {
            const struct setting *setting =
                item->string ? setting_find(item->string) : NULL;
            if (!setting || !is_axis[setting - setting_table])
                continue;
            is_axis[setting - setting_table] = false; /* said once */
            faults_add(faults, setting->name, "both in points[%d] and an axis",
                       p);
        }
    }
}

static void count_jobs(struct spec *spec, struct faults *faults)
{
    int64_t count = spec->point_count ? spec->point_count : 1;
    bool is_over = false;
    for (int a = 0; a < spec->axis_count; a++)
        is_over |=
            __builtin_mul_overflow(count, (int64_t)spec->axes[a].count, &count);
    if (is_over)
        faults_add(faults, "", "over 9e18 jobs, and a sweep has at most %d",
                   SPEC_JOBS_MAX);
    else if (count > SPEC_JOBS_MAX)
        faults_add(faults, "", "%lld jobs, and a sweep has at most %d",
                   (long long)count, SPEC_JOBS_MAX);
    spec->job_count = count;
}

static void note_varying(struct spec *spec)
{
    struct settings first, other;
    for (int a = 0; a < spec->axis_count; a++)
        if (spec->axes[a].count > 1)
            spec->varies[spec->axes[a].setting - setting_table] = true;
    if (spec->point_count)
        spec_job(spec, 0, &first);
    int64_t jobs_per_point =
        spec->point_count ? spec->job_count / spec->point_count : 1;
    for (int p = 1; p < spec->point_count; p++) {
        spec_job(spec, p * jobs_per_point, &other);
        for (int i = 0; i < SETTING_COUNT; i++)
            if (!setting_equal(&setting_table[i], &first, &other))
                spec->varies[i] = true;
    }
}

static void read_sweep(struct spec *spec, const cJSON *object,
                       struct faults *faults)
{
    for (const cJSON *item = object->child; item; item = item->next)
        if (!is_spec_member(item->string))
            unknown(item->string, true, faults);
    read_base(spec, member(object, "base"), faults);
    read_points(spec, member(object, "points"), faults);
    read_axes(spec, member(object, "axes"), faults);
    check_overlap(spec, faults);
    count_jobs(spec, faults);
}

static void read_job(struct spec *spec, const cJSON *object,
                     struct faults *faults)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const struct setting *setting = setting_find(item->string);
        if (setting)
            setting_read(setting, item, &spec->base, faults);
        else if (strcmp(item->string, "name"))
            unknown(item->string, false, faults);
    }
    spec->job_count = 1;
}

bool spec_init(struct spec *spec, const struct cJSON *object,
               struct faults *faults)
{
    int before = faults->count;
    memset(spec, 0, sizeof *spec);
    settings_init(&spec->base);
    if (!cJSON_IsObject(object)) {
        faults_add(faults, "", "expected an object");
        return false;
    }
    read_name(spec, member(object, "name"), faults);
    if (is_sweep(object))
        read_sweep(spec, object, faults);
    else
        read_job(spec, object, faults);
    if (faults->count != before)
        return false;
    note_varying(spec);
    return true;
}

void spec_release(struct spec *spec)
{
    for (int p = 0; p < spec->point_count; p++)
        cJSON_Delete(spec->points[p]);
    for (int a = 0; a < spec->axis_count; a++)
        axis_release(&spec->axes[a]);
    free(spec->points);
    memset(spec, 0, sizeof *spec);
}

void spec_job(const struct spec *spec, int64_t position, struct settings *out)
{
    struct faults none; /* every value was checked */
    faults_init(&none);
    *out = spec->base;
    for (int a = spec->axis_count - 1; a >= 0; a--) {
        const struct axis *axis = &spec->axes[a];
        setting_read(axis->setting, axis->values[position % axis->count], out,
                     &none);
        position /= axis->count;
    }
    if (spec->point_count)
        settings_override(spec->points[position], out, &none);
}

bool spec_varies(const struct spec *spec, const struct setting *setting)
{
    return spec->varies[setting - setting_table];
}
