#include "daemon/option.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/choice.h"
#include "schema/control.h"
#include "schema/memory.h"
#include "schema/message.h"
#include "schema/nearest.h"
#include "schema/settings.h"

const struct option *option_find(const char *name)
{
    for (int i = 0; i < option_count; i++)
        if (strcmp(option_table[i].name, name) == 0)
            return &option_table[i];
    return NULL;
}

static const struct option *nearest_to(const char *name)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (int i = 0; i < option_count; i++)
        nearest_try(&nearest, option_table[i].name);
    return nearest.word ? option_find(nearest.word) : NULL;
}

const struct option *option_find_member(const char *member,
                                        struct faults *faults)
{
    const struct option *option = option_find(member);
    if (option && strcmp(member, "config") == 0) {
        faults_add(faults, member, "may only be given on the command line");
        return NULL;
    }
    if (option)
        return option;
    const struct option *near = nearest_to(member);
    if (near)
        faults_add(faults, member, "unknown option, did you mean \"%s\"?",
                   near->name);
    else
        faults_add(faults, member, "unknown option");
    return NULL;
}

const struct option *option_find_flag(const char *argument, size_t length,
                                      char name[OPTION_FLAG_BYTES],
                                      struct faults *faults)
{
    char member[OPTION_FLAG_BYTES];
    snprintf(name, OPTION_FLAG_BYTES, "%.*s", (int)length, argument);
    snprintf(member, sizeof member, "%s", name + 2);
    for (char *at = member; *at; at++)
        if (*at == '-')
            *at = '_';
    const struct option *option = option_find(member);
    if (option)
        return option;
    const struct option *near = nearest_to(member);
    char flag[OPTION_FLAG_BYTES];
    if (near) {
        option_flag(near, flag);
        faults_add(faults, name, "unknown option, did you mean \"%s\"?", flag);
    } else {
        faults_add(faults, name, "unknown option, see --help");
    }
    return NULL;
}

void option_flag(const struct option *option, char flag[OPTION_FLAG_BYTES])
{
    snprintf(flag, OPTION_FLAG_BYTES, "--%s", option->name);
    for (char *at = flag; *at; at++)
        if (*at == '_')
            *at = '-';
}

static struct cJSON *absolute(const char *path)
{
    char folder[PATH_BYTES];
    if (*path == '/' || !*path || !getcwd(folder, sizeof folder))
        return cJSON_CreateString(path);
    char *whole = xprintf("%s/%s", folder, path);
    struct cJSON *value = cJSON_CreateString(whole);
    free(whole);
    return value;
}

static struct cJSON *parse_number(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    bool is_number = end != text && !*end && strpbrk(text, "xXnNiIpP ") == NULL;
    return is_number ? json_number(number) : cJSON_CreateString(text);
}

static struct cJSON *parse_list(const char *text)
{
    struct cJSON *list = cJSON_CreateArray();
    char *copy = xstrdup(text), *rest = copy, *one;
    while ((one = strsep(&rest, ":")))
        if (*one)
            cJSON_AddItemToArray(list, absolute(one));
    free(copy);
    return list;
}

static struct cJSON *parse_map(const char *text)
{
    struct error error;
    struct cJSON *map = message_parse(text, strlen(text), &error);
    return map ? map : cJSON_CreateString(text);
}

static struct cJSON *parse_choice(const char *text)
{
    struct cJSON *list = cJSON_CreateArray();
    char *copy = xstrdup(text), *rest = copy, *one;
    while ((one = strsep(&rest, ",")))
        cJSON_AddItemToArray(list, cJSON_CreateString(one));
    free(copy);
    return list;
}

struct cJSON *option_parse(const struct option *option, const char *text)
{
    switch (option->type) {
    case OPTION_PATH:
        return absolute(text);
    case OPTION_COUNT:
    case OPTION_REAL:
        return parse_number(text);
    case OPTION_LIST:
        return parse_list(text);
    case OPTION_MAP:
    case OPTION_HOOKS:
        return parse_map(text);
    case OPTION_CHOICE:
        return parse_choice(text);
    case OPTION_WORD:
    case OPTION_NAME:
        break;
    }
    return cJSON_CreateString(text);
}

/* A fault that shows the value. */
static bool refuse(const struct cJSON *value, const char *shown_as,
                   struct faults *faults, const char *complaint)
{
    char *text = cJSON_PrintUnformatted(value);
    faults_add(faults, shown_as, "%.150s %s", text ? text : "it", complaint);
    free(text);
    return false;
}

static bool is_path(const struct cJSON *value, bool must_be_absolute)
{
    return cJSON_IsString(value) && *value->valuestring &&
           strlen(value->valuestring) < PATH_BYTES &&
           (!must_be_absolute || *value->valuestring == '/');
}

static bool read_path(const struct option *option, const struct cJSON *value,
                      void *field, const char *shown_as, struct faults *faults)
{
    (void)option;
    const char *path = cJSON_GetStringValue(value);
    if (path && strlen(path) >= PATH_BYTES) {
        faults_add(faults, shown_as,
                   "the path \"%.100s...\" has %zu bytes, at most %d are "
                   "possible",
                   path, strlen(path), PATH_BYTES - 1);
        return false;
    }
    if (!is_path(value, true))
        return refuse(value, shown_as, faults, "is not an absolute path");
    snprintf(field, PATH_BYTES, "%s", value->valuestring);
    return true;
}

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; length && *at;) {
        size_t here = strcspn(at, " ");
        if (here == length && strncmp(at, word, length) == 0)
            return true;
        at += here + (at[here] == ' ');
    }
    return false;
}

static bool read_word(const struct option *option, const struct cJSON *value,
                      void *field, const char *shown_as, struct faults *faults)
{
    char complaint[128];
    snprintf(complaint, sizeof complaint, "is not one of: %s", option->words);
    if (!cJSON_IsString(value) || !has_word(option->words, value->valuestring))
        return refuse(value, shown_as, faults, complaint);
    snprintf(field, sizeof((struct config *)0)->log_level, "%s",
             value->valuestring);
    return true;
}

static bool read_name(const struct option *option, const struct cJSON *value,
                      void *field, const char *shown_as, struct faults *faults)
{
    (void)option;
    const char *name = cJSON_GetStringValue(value);
    if (!name || !*name || strlen(name) >= OPTION_NAME_BYTES ||
        strpbrk(name, " \t\n:"))
        return refuse(value, shown_as, faults, "is not a name");
    snprintf(field, OPTION_NAME_BYTES, "%s", name);
    return true;
}

/* NaN fails too. */
static bool is_within(const struct option *option, const struct cJSON *value,
                      const char *shown_as, struct faults *faults)
{
    char complaint[128];
    double number = cJSON_GetNumberValue(value);
    if (number >= option->least && number <= option->most)
        return true;
    snprintf(complaint, sizeof complaint, "is not within %.15g and %.15g",
             option->least, option->most);
    return refuse(value, shown_as, faults, complaint);
}

static bool read_count(const struct option *option, const struct cJSON *value,
                       void *field, const char *shown_as, struct faults *faults)
{
    double number = cJSON_GetNumberValue(value);
    if (!(number > -1e15 && number < 1e15) || number != (double)(int64_t)number)
        return refuse(value, shown_as, faults, "is not a whole number");
    if (!is_within(option, value, shown_as, faults))
        return false;
    *(int64_t *)field = (int64_t)number;
    return true;
}

static bool read_real(const struct option *option, const struct cJSON *value,
                      void *field, const char *shown_as, struct faults *faults)
{
    double number = cJSON_GetNumberValue(value);
    if (number != number)
        return refuse(value, shown_as, faults, "is not a number");
    if (!is_within(option, value, shown_as, faults))
        return false;
    *(double *)field = number;
    return true;
}

static bool is_list(const struct cJSON *value, bool must_be_absolute)
{
    const struct cJSON *one;
    if (!cJSON_IsArray(value) || !value->child)
        return false;
    cJSON_ArrayForEach(one,
                       value) if (!is_path(one, must_be_absolute)) return false;
    return true;
}

static void keep(void *field, const struct cJSON *value)
{
    struct cJSON **kept = field;
    cJSON_Delete(*kept);
    *kept = cJSON_Duplicate(value, true);
}

static bool read_list(const struct option *option, const struct cJSON *value,
                      void *field, const char *shown_as, struct faults *faults)
{
    (void)option;
    if (!is_list(value, true))
        return refuse(value, shown_as, faults,
                      "is not a list of absolute paths");
    keep(field, value);
    return true;
}

static bool read_map(const struct option *option, const struct cJSON *value,
                     void *field, const char *shown_as, struct faults *faults)
{
    (void)option;
    const struct cJSON *one;
    if (!cJSON_IsObject(value))
        return refuse(value, shown_as, faults, "is not an object");
    cJSON_ArrayForEach(one, value)
    {
        size_t length = strlen(one->string);
        if (length == 0 || length >= SETTING_TEXT_BYTES ||
            one->string[0] == '-' || strpbrk(one->string, "/\n"))
            return refuse(value, shown_as, faults,
                          "has a name that is empty, too long, or begins "
                          "with '-' or holds '/'");
        if (!is_list(one, false))
            return refuse(one, shown_as, faults, "is not a list of folders");
    }
    keep(field, value);
    return true;
}

/* "auto" becomes the list of it. */
static bool read_choice(const struct option *option, const struct cJSON *value,
                        void *field, const char *shown_as,
                        struct faults *faults)
{
    (void)option;
    struct error error;
    struct cJSON *list = cJSON_IsArray(value) ? cJSON_Duplicate(value, true)
                                              : cJSON_CreateArray();
    if (!cJSON_IsArray(value))
        cJSON_AddItemToArray(list, cJSON_Duplicate(value, true));
    bool is_good = choices_check(list, &error);
    if (is_good)
        keep(field, list);
    else
        faults_add(faults, shown_as, "%s", error.text);
    cJSON_Delete(list);
    return is_good;
}

static bool is_command(const struct cJSON *value)
{
    const struct cJSON *one;
    if (!cJSON_IsArray(value) || !is_path(value->child, true) ||
        cJSON_GetArraySize(value) > HOOK_ARGUMENTS_MAX)
        return false;
    cJSON_ArrayForEach(one, value) if (!cJSON_IsString(one)) return false;
    return true;
}

static bool read_hooks(const struct option *option, const struct cJSON *value,
                       void *field, const char *shown_as, struct faults *faults)
{
    (void)option;
    const struct cJSON *one;
    if (!cJSON_IsObject(value))
        return refuse(value, shown_as, faults, "is not an object");
    cJSON_ArrayForEach(one, value)
    {
        size_t length = strlen(one->string);
        if (length == 0 || length >= CONTROL_TEXT_BYTES)
            return refuse(value, shown_as, faults,
                          "has a name that is empty or too long");
        if (!is_command(one))
            return refuse(one, shown_as, faults,
                          "is not a list of an absolute path and arguments");
    }
    keep(field, value);
    return true;
}

static const struct {
    const char *value_name;
    bool (*read)(const struct option *option, const struct cJSON *value,
                 void *field, const char *shown_as, struct faults *faults);
} types[] = {
    [OPTION_PATH] = {"PATH", read_path},
    [OPTION_WORD] = {"WORD", read_word},
    [OPTION_NAME] = {"NAME", read_name},
    [OPTION_COUNT] = {"N", read_count},
    [OPTION_REAL] = {"NUMBER", read_real},
    [OPTION_LIST] = {"PATH[:PATH]...", read_list},
    [OPTION_CHOICE] = {"DEVICE[:SLOTS][,...]", read_choice},
    [OPTION_MAP] = {"{\"NAME\": [\"FOLDER\", ...]}", read_map},
    [OPTION_HOOKS] = {"{\"NAME\": [\"/PROGRAM\", ...]}", read_hooks},
};

const char *option_value_name(const struct option *option)
{
    return types[option->type].value_name;
}

bool option_read(const struct option *option, const struct cJSON *value,
                 struct config *config, const char *shown_as,
                 struct faults *faults)
{
    void *field = (char *)config + option->offset;
    return types[option->type].read(option, value, field, shown_as, faults);
}
