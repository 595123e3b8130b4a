#include "schema/faults.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>

void faults_init(struct faults *faults)
{
    faults->context = "";
    faults->count = 0;
}

/* "context.setting.member" of those that are not empty. */
static void place(char *where, size_t bytes, const char *context,
                  const char *setting, const char *member)
{
    const char *parts[] = {context, setting, member};
    size_t used = 0;
    where[0] = '\0';
    for (int i = 0; i < 3 && used < bytes; i++)
        if (parts[i][0])
            used += (size_t)snprintf(where + used, bytes - used, "%s%s",
                                     used ? "." : "", parts[i]);
    if (!used)
        snprintf(where, bytes, "spec");
}

static void add(struct faults *faults, const char *setting, const char *member,
                const char *format, va_list arguments)
{
    bool is_kept = !faults_is_full(faults);
    faults->count++;
    if (!is_kept)
        return;
    struct fault *fault = &faults->fault[faults->count - 1];
    place(fault->where, sizeof fault->where, faults->context, setting, member);
    snprintf(fault->setting, sizeof fault->setting, "%s", setting);
    vsnprintf(fault->text, sizeof fault->text, format, arguments);
}

void faults_add(struct faults *faults, const char *setting, const char *format,
                ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(faults, setting, "", format, arguments);
    va_end(arguments);
}

void faults_add_member(struct faults *faults, const char *setting,
                       const char *member, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(faults, setting, member, format, arguments);
    va_end(arguments);
}

bool faults_is_full(const struct faults *faults)
{
    return faults->count >= FAULTS_MAX;
}

struct cJSON *faults_write(const struct faults *faults)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < faults->count && i < FAULTS_MAX; i++) {
        const struct fault *fault = &faults->fault[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "where", fault->where);
        cJSON_AddStringToObject(item, "setting", fault->setting);
        cJSON_AddStringToObject(item, "text", fault->text);
        cJSON_AddItemToArray(list, item);
    }
    return list;
}
