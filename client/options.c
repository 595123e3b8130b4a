#include "client/options.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/moment.h"
#include "client/text.h"
#include "schema/memory.h"
#include "schema/nearest.h"

enum { NAME_BYTES = 64 };

/* What a flag's name was found to be. */
struct flag {
    const char *name; /* as typed, without dashes; ends at '=' */
    int option;       /* position in the tables, or -1 */
    const struct setting *setting;
    bool is_negated; /* --no-... */
};

static const struct option *option_at(const struct options *o, int position)
{
    for (int t = 0; t < OPTION_TABLES; t++) {
        if (position < o->tables[t].count)
            return &o->tables[t].options[position];
        position -= o->tables[t].count;
    }
    return NULL;
}

static char folded(char c)
{
    return c == '-' ? '_' : c;
}

static bool same_name(const char *a, const char *b)
{
    while (*a != '\0' && folded(*a) == folded(*b))
        a++, b++;
    return *a == '\0' && *b == '\0';
}

/* The known flag nearest to `name`, or NULL when none is near. */
static const char *nearest_flag(const struct options *o, const char *name)
{
    struct nearest nearest;
    const struct option *option;
    nearest_init(&nearest, name);
    for (int i = 0; (option = option_at(o, i)) != NULL; i++)
        nearest_try(&nearest, option->name);
    for (int i = 0; o->has_settings && i < setting_count; i++)
        nearest_try(&nearest, setting_table[i].name);
    return nearest.word;
}

static bool find_exact(const struct options *o, const char *name,
                       struct flag *flag)
{
    const struct option *option;
    for (int i = 0; (option = option_at(o, i)) != NULL; i++) {
        if (same_name(option->name, name)) {
            flag->option = i;
            return true;
        }
    }
    for (int i = 0; o->has_settings && i < setting_count; i++) {
        if (same_name(setting_table[i].name, name)) {
            flag->setting = &setting_table[i];
            return true;
        }
    }
    return false;
}

static bool is_boolean(const struct options *o, const struct flag *flag)
{
    if (flag->setting != NULL)
        return flag->setting->type == SETTING_BOOLEAN;
    return option_at(o, flag->option)->type == OPTION_BOOLEAN;
}

/* Flags are written with dashes; settings as everywhere, with underscores. */
static void print_flag(char text[NAME_BYTES], const char *name)
{
    snprintf(text, NAME_BYTES, "%s", name);
    for (char *c = text; setting_find(name) == NULL && *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
}

static bool find(const struct options *o, const char *name, struct flag *flag,
                 struct error *error)
{
    *flag = (struct flag){.name = name, .option = -1};
    if (find_exact(o, name, flag))
        return true;
    bool is_negation =
        strncmp(name, "no-", 3) == 0 || strncmp(name, "no_", 3) == 0;
    if (is_negation && find_exact(o, name + 3, flag) && is_boolean(o, flag)) {
        flag->is_negated = true;
        return true;
    }
    char shown[NAME_BYTES];
    const char *near = nearest_flag(o, name);
    if (near != NULL)
        print_flag(shown, near);
    if (near != NULL)
        return error_set(error, ERROR_PARAMS,
                         "\"--%s\": unknown flag, did you mean \"--%s\"?", name,
                         shown);
    return error_set(error, ERROR_PARAMS, "\"--%s\": unknown flag", name);
}

static bool check(const struct option *option, const char *text,
                  struct error *error)
{
    double value;
    switch (option->type) {
    case OPTION_BOOLEAN:
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
            return true;
        return error_set(error, ERROR_PARAMS,
                         "--%s: \"%s\" is not true or false", option->name,
                         text);
    case OPTION_INTEGER:
        if (*text != '\0' && strspn(text, "0123456789") == strlen(text) &&
            strlen(text) <= 15)
            return true;
        return error_set(error, ERROR_PARAMS,
                         "--%s: \"%s\" is not a whole number", option->name,
                         text);
    case OPTION_SECONDS:
        if (duration_read(text, &value) ||
            (text_to_real(text, &value) && value >= 0))
            return true;
        return error_set(error, ERROR_PARAMS,
                         "--%s: \"%s\" is not a time: expected seconds, or a "
                         "duration (30m, 2h, 3d)",
                         option->name, text);
    case OPTION_TEXT:
        break;
    }
    return true;
}

static void store_setting(struct options *o, const struct setting *setting,
                          const char *text)
{
    for (int i = 0; i < o->setting_count; i++) {
        if (o->settings[i].setting == setting) {
            o->settings[i].text = text;
            return;
        }
    }
    assert(o->setting_count < setting_count);
    o->settings[o->setting_count++] =
        (struct option_setting){.setting = setting, .text = text};
}

static bool store(struct options *o, const struct flag *flag, const char *text,
                  struct error *error)
{
    if (flag->setting != NULL) {
        store_setting(o, flag->setting, text);
        return true;
    }
    o->values[flag->option] = text;
    return check(option_at(o, flag->option), text, error);
}

/* The value of a flag: after "=", else the next word; booleans need none. */
static bool take_value(const struct options *o, const struct flag *flag,
                       const char *inline_value, int *i, int count,
                       char **arguments, const char **text, struct error *error)
{
    *text = inline_value;
    if (flag->is_negated && inline_value != NULL)
        return error_set(error, ERROR_PARAMS, "\"--%s\" takes no value",
                         flag->name);
    if (inline_value != NULL)
        return true;
    if (is_boolean(o, flag)) {
        *text = flag->is_negated ? "false" : "true";
        return true;
    }
    if (*i + 1 >= count || strncmp(arguments[*i + 1], "--", 2) == 0)
        return error_set(error, ERROR_PARAMS, "\"--%s\" needs a value",
                         flag->name);
    *text = arguments[++*i];
    return true;
}

static bool read_long(struct options *o, int *i, int count, char **arguments,
                      struct error *error)
{
    char name[NAME_BYTES];
    const char *argument = arguments[*i] + 2;
    size_t length = strcspn(argument, "=");
    snprintf(name, sizeof name, "%.*s", (int)length, argument);
    const char *value = argument[length] == '=' ? argument + length + 1 : NULL;
    struct flag flag;
    const char *text;
    return find(o, name, &flag, error) &&
           take_value(o, &flag, value, i, count, arguments, &text, error) &&
           store(o, &flag, text, error);
}

static bool read_short(struct options *o, int *i, int count, char **arguments,
                       struct error *error)
{
    const char *argument = arguments[*i];
    const char *value = argument[2] != '\0' ? argument + 2 : NULL;
    const struct option *option;
    for (int k = 0; (option = option_at(o, k)) != NULL; k++) {
        if (option->letter == 0 || option->letter != argument[1])
            continue;
        struct flag flag = {.name = option->name, .option = k};
        const char *text;
        if (value != NULL && option->type == OPTION_BOOLEAN)
            break;
        return take_value(o, &flag, value, i, count, arguments, &text, error) &&
               store(o, &flag, text, error);
    }
    return error_set(error, ERROR_PARAMS, "\"%s\": unknown flag", argument);
}

/* "-" is a word, and so is a number below 0. */
static bool is_flag(const char *argument)
{
    return argument[0] == '-' && argument[1] != '\0' &&
           strchr("0123456789", argument[1]) == NULL;
}

bool options_init(struct options *options, const struct option_table *own,
                  const struct option_table *common, bool has_settings,
                  int count, char **arguments, struct error *error)
{
    assert(own->count + common->count <= OPTIONS_MAX);
    *options = (struct options){.tables = {*own, *common},
                                .has_settings = has_settings};
    options->settings =
        xcalloc((size_t)setting_count, sizeof *options->settings);
    options->words = xcalloc((size_t)count + 1, sizeof *options->words);
    bool only_words = false, good = true;
    for (int i = 0; i < count && good; i++) {
        if (only_words || !is_flag(arguments[i]))
            options->words[options->word_count++] = arguments[i];
        else if (strcmp(arguments[i], "--") == 0)
            only_words = true;
        else if (arguments[i][1] == '-')
            good = read_long(options, &i, count, arguments, error);
        else
            good = read_short(options, &i, count, arguments, error);
    }
    return good;
}

void options_release(struct options *options)
{
    free(options->settings);
    free(options->words);
    *options = (struct options){0};
}

const char *options_text(const struct options *options, const char *name)
{
    const struct option *option;
    for (int i = 0; (option = option_at(options, i)) != NULL; i++)
        if (strcmp(option->name, name) == 0)
            return options->values[i];
    assert(!"an option that no table has");
    return NULL;
}

bool options_is(const struct options *options, const char *name)
{
    const char *text = options_text(options, name);
    return text != NULL && strcmp(text, "true") == 0;
}

int64_t options_integer(const struct options *options, const char *name,
                        int64_t otherwise)
{
    const char *text = options_text(options, name);
    return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}

double options_real(const struct options *options, const char *name,
                    double otherwise)
{
    double value;
    const char *text = options_text(options, name);
    bool good = text != NULL &&
                (duration_read(text, &value) || text_to_real(text, &value));
    return good ? value : otherwise;
}
