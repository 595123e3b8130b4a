/* setting.c: one setting: the table, and its values in and out of JSON. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/control.h"
#include "schema/faults.h"
#include "schema/json.h"
#include "schema/nearest.h"
#include "schema/settings.h"
#include "schema/widths.h"

#define ROW(name, type, kind, initial, least, most, words, help)               \
    {#name,   SETTING_##type, SETTING_##kind,                                  \
     initial, least,          most,                                            \
     words,   help,           offsetof(struct settings, name)},
const struct setting setting_table[] = {SETTINGS(ROW)};
const int setting_count = SETTING_COUNT;

enum {
    DATASET_BYTES_MAX = 63,
    DEVICE_INDEX_MAX = 1023,
    SHOWN_BYTES = 64, /* of a value in a sentence */
};

const struct setting *setting_find(const char *name)
{
    for (int i = 0; i < SETTING_COUNT; i++)
        if (!strcmp(setting_table[i].name, name))
            return &setting_table[i];
    return NULL;
}

const char *setting_nearest(const char *name)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (int i = 0; i < SETTING_COUNT; i++)
        nearest_try(&nearest, setting_table[i].name);
    return nearest.word;
}

void setting_unknown(const char *name, struct faults *faults)
{
    const char *nearest = faults_is_full(faults) ? NULL : setting_nearest(name);
    if (nearest)
        faults_add(faults, name, "unknown setting, did you mean \"%s\"?",
                   nearest);
    else
        faults_add(faults, name, "unknown setting");
}

/* A field by its type; the table's offsets make the casts right. */
static char *text_field(const struct setting *setting, struct settings *s)
{
    return (char *)s + setting->offset;
}

static int64_t *integer_field(const struct setting *setting, struct settings *s)
{
    return (int64_t *)((char *)s + setting->offset);
}

static double *real_field(const struct setting *setting, struct settings *s)
{
    return (double *)((char *)s + setting->offset);
}

static bool *boolean_field(const struct setting *setting, struct settings *s)
{
    return (bool *)((char *)s + setting->offset);
}

static struct settings *readable(const struct settings *settings)
{
    return (struct settings *)settings; /* only read through the fields */
}

/* The value as a sentence quotes it. */
static const char *shown(const cJSON *value, char text[SHOWN_BYTES])
{
    if (cJSON_IsString(value))
        snprintf(text, SHOWN_BYTES, "\"%.40s%s\"", value->valuestring,
                 strlen(value->valuestring) > 40 ? "..." : "");
    else if (cJSON_IsNumber(value) && isfinite(value->valuedouble))
        json_number_print(value->valuedouble, text);
    else if (cJSON_IsBool(value))
        snprintf(text, SHOWN_BYTES, cJSON_IsTrue(value) ? "true" : "false");
    else if (cJSON_IsArray(value))
        snprintf(text, SHOWN_BYTES, "a list");
    else if (cJSON_IsObject(value))
        snprintf(text, SHOWN_BYTES, "an object");
    else
        snprintf(text, SHOWN_BYTES, "null");
    return text;
}

static bool refuse(const struct setting *setting, const cJSON *value,
                   const char *expected, struct faults *faults)
{
    char text[SHOWN_BYTES];
    faults_add(faults, setting->name, "%s is %s", shown(value, text), expected);
    return false;
}

static bool check_bounds(const struct setting *setting, const cJSON *value,
                         struct faults *faults)
{
    bool is_low = value->valuedouble < setting->least;
    if (!is_low && value->valuedouble <= setting->most)
        return true;
    double bound = is_low ? setting->least : setting->most;
    char number[JSON_NUMBER_BYTES], text[JSON_NUMBER_BYTES + 8];
    if (setting->type == SETTING_REAL)
        snprintf(number, sizeof number, "%g", bound);
    else
        json_number_print(bound, number);
    snprintf(text, sizeof text, "%s %s", is_low ? "below" : "above", number);
    return refuse(setting, value, text, faults);
}

static bool read_integer(const struct setting *setting, const cJSON *value,
                         int64_t *out, struct faults *faults)
{
    const char *word = setting->words;
    if (cJSON_IsString(value) && word[0] && !strcmp(value->valuestring, word)) {
        *out = 0;
        return true;
    }
    char expected[64] = "not a whole number";
    if (word[0])
        snprintf(expected, sizeof expected, "neither a whole number nor \"%s\"",
                 word);
    if (!cJSON_IsNumber(value) ||
        value->valuedouble != trunc(value->valuedouble))
        return refuse(setting, value, expected, faults);
    if (!check_bounds(setting, value, faults))
        return false;
    *out = (int64_t)value->valuedouble;
    return true;
}

static bool read_real(const struct setting *setting, const cJSON *value,
                      double *out, struct faults *faults)
{
    if (!cJSON_IsNumber(value))
        return refuse(setting, value, "not a number", faults);
    if (!check_bounds(setting, value, faults))
        return false;
    *out = value->valuedouble + 0.0; /* -0 becomes 0: one key for both */
    return true;
}

static bool read_boolean(const struct setting *setting, const cJSON *value,
                         bool *out, struct faults *faults)
{
    if (!cJSON_IsBool(value))
        return refuse(setting, value, "not true or false", faults);
    *out = cJSON_IsTrue(value);
    return true;
}

static bool is_word_of(const char *words, const char *text)
{
    size_t length = strlen(text);
    while (length && *words) {
        size_t word = strcspn(words, " ");
        if (word == length && !memcmp(words, text, length))
            return true;
        words += word + (words[word] == ' ');
    }
    return false;
}

/* "BP GAIT TP " as "not one of BP, GAIT, TP". */
static void print_words(const char *words, char *text, size_t bytes)
{
    size_t used = (size_t)snprintf(text, bytes, "not one of ");
    for (; *words && used < bytes; words++)
        if (words[0] != ' ')
            used += (size_t)snprintf(text + used, bytes - used, "%c", *words);
        else if (words[1])
            used += (size_t)snprintf(text + used, bytes - used, ", ");
}

/* Free texts.  Each says what it expects, or NULL when `text` is that; it may
 * rewrite `text`, of SETTING_TEXT_BYTES, to its only spelling. */
static const char *check_dataset(char *text)
{
    size_t length = strlen(text);
    if (length && length <= DATASET_BYTES_MAX &&
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789._-") == length)
        return NULL;
    return "not a name of at most 63 letters, digits, \".\", \"_\" and \"-\"";
}

static const char *check_device(char *text)
{
    size_t length = strlen(text);
    if (is_word_of("any cpu cuda", text))
        return NULL;
    if (length && length <= 4 && strspn(text, "0123456789") == length) {
        long index = strtol(text, NULL, 10);
        snprintf(text, SETTING_TEXT_BYTES, "%ld", index);
        if (index <= DEVICE_INDEX_MAX)
            return NULL;
    }
    return "not any, cpu, cuda, or the index of a GPU, 0 to 1023";
}

static const char *check_widths(char *text)
{
    int widths[LAYERS_MAX];
    return strcmp(text, "none") ? widths_read(text, widths, NULL) : NULL;
}

/* Whether it is the name of anything is for those to say who know the things.
 */
static const char *check_name(char *text)
{
    size_t length = strlen(text);
    return length && length < CONTROL_TEXT_BYTES
               ? NULL
               : "not a name of 1 to 127 bytes";
}

static const struct {
    const char *name;
    const char *(*check)(char *text);
} free_texts[] = {
    {"dataset", check_dataset},
    {"device", check_device},
    {"widths", check_widths},
};

static const char *check_free_text(const struct setting *setting, char *text)
{
    for (size_t i = 0; i < sizeof free_texts / sizeof free_texts[0]; i++)
        if (!strcmp(free_texts[i].name, setting->name))
            return free_texts[i].check(text);
    if (setting->kind == SETTING_CONTROL)
        return check_name(text);
    return "not a value that can be checked";
}

static bool read_text(const struct setting *setting, const cJSON *value,
                      char *out, struct faults *faults)
{
    char text[SETTING_TEXT_BYTES] = "", words[128];
    bool is_index = !strcmp(setting->name, "device") && json_is_integer(value);
    if (is_index)
        json_number_print(value->valuedouble, text);
    else if (cJSON_IsString(value) && strlen(value->valuestring) < sizeof text)
        snprintf(text, sizeof text, "%s", value->valuestring);
    const char *expected = NULL;
    if (!setting->words[0]) {
        expected = check_free_text(setting, text);
    } else if (!is_word_of(setting->words, text)) {
        print_words(setting->words, words, sizeof words);
        expected = words;
    }
    if (expected)
        return refuse(setting, value, expected, faults);
    memcpy(out, text, sizeof text);
    return true;
}

void setting_reset(const struct setting *setting, struct settings *settings)
{
    const char *text = setting->initial;
    switch (setting->type) {
    case SETTING_TEXT:
        memcpy(text_field(setting, settings), text, strlen(text) + 1);
        return;
    case SETTING_INTEGER:
        *integer_field(setting, settings) = strtoll(text, NULL, 10);
        return; /* a word reads as the 0 it stands for */
    case SETTING_REAL:
        *real_field(setting, settings) = strtod(text, NULL);
        return;
    case SETTING_BOOLEAN:
        *boolean_field(setting, settings) = !strcmp(text, "true");
        return;
    }
    abort();
}

bool setting_read(const struct setting *setting, const struct cJSON *value,
                  struct settings *out, struct faults *faults)
{
    switch (setting->type) {
    case SETTING_TEXT:
        return read_text(setting, value, text_field(setting, out), faults);
    case SETTING_INTEGER:
        return read_integer(setting, value, integer_field(setting, out),
                            faults);
    case SETTING_REAL:
        return read_real(setting, value, real_field(setting, out), faults);
    case SETTING_BOOLEAN:
        return read_boolean(setting, value, boolean_field(setting, out),
                            faults);
    }
    abort();
}

/* A number in decimal, whole, or NULL.  Leniently: "5." and ".5" too. */
static cJSON *number_value(const char *text)
{
    if (strspn(text, "0123456789+-.eE") != strlen(text) || !text[0])
        return NULL;
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    bool vanishes = errno == ERANGE && value == 0;
    return *end || !isfinite(value) || vanishes ? NULL
                                                : cJSON_CreateNumber(value);
}

struct cJSON *setting_value(const struct setting *setting, const char *text)
{
    cJSON *number = NULL;
    if (setting->type == SETTING_BOOLEAN &&
        is_word_of("true True false False", text))
        return cJSON_CreateBool(text[0] == 't' || text[0] == 'T');
    if (setting->type == SETTING_INTEGER || setting->type == SETTING_REAL)
        number = number_value(text);
    return number ? number : cJSON_CreateString(text);
}

struct cJSON *setting_write(const struct setting *setting,
                            const struct settings *settings)
{
    struct settings *s = readable(settings);
    switch (setting->type) {
    case SETTING_TEXT:
        return cJSON_CreateString(text_field(setting, s));
    case SETTING_INTEGER:
        return json_integer(*integer_field(setting, s));
    case SETTING_REAL:
        return json_number(*real_field(setting, s));
    case SETTING_BOOLEAN:
        return cJSON_CreateBool(*boolean_field(setting, s));
    }
    abort();
}

void setting_print(const struct setting *setting,
                   const struct settings *settings, char *text, size_t bytes)
{
    struct settings *s = readable(settings);
    char number[JSON_NUMBER_BYTES];
    const char *found = number;
    if (setting->type == SETTING_TEXT) {
        found = text_field(setting, s);
    } else if (setting->type == SETTING_BOOLEAN) {
        found = *boolean_field(setting, s) ? "true" : "false";
    } else if (setting->type == SETTING_REAL) {
        json_number_print(*real_field(setting, s), number);
    } else {
        snprintf(number, sizeof number, "%lld",
                 (long long)*integer_field(setting, s));
        if (setting->words[0] && !*integer_field(setting, s))
            found = setting->words;
    }
    snprintf(text, bytes, "%s", found);
}

bool setting_equal(const struct setting *setting, const struct settings *a,
                   const struct settings *b)
{
    struct settings *x = readable(a), *y = readable(b);
    switch (setting->type) {
    case SETTING_TEXT:
        return !strcmp(text_field(setting, x), text_field(setting, y));
    case SETTING_INTEGER:
        return *integer_field(setting, x) == *integer_field(setting, y);
    case SETTING_REAL:
        return *real_field(setting, x) == *real_field(setting, y);
    case SETTING_BOOLEAN:
        return *boolean_field(setting, x) == *boolean_field(setting, y);
    }
    abort();
}
