#include "schema/json.h"

#include <cjson/cJSON.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"
#include "schema/utf8.h"

void json_init(void)
{
    cJSON_Hooks hooks = {.malloc_fn = xmalloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
}

struct cJSON *json_number(double value)
{
    return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull();
}

struct cJSON *json_integer(int64_t value)
{
    return cJSON_CreateNumber((double)value);
}

static bool is_whole(double value)
{
    return value == trunc(value) && fabs(value) <= (double)JSON_INTEGER_MAX;
}

/* snprintf and strtod agree on the locale's decimal point; JSON has its own. */
static void use_json_point(char *text)
{
    const char *point = localeconv()->decimal_point;
    char *found = strcmp(point, ".") ? strstr(text, point) : NULL;
    if (!found)
        return;
    char *rest = found + strlen(point);
    *found = '.';
    memmove(found + 1, rest, strlen(rest) + 1);
}

/* As "%.0f" would, which takes ten times as long; with a point before the last
 * `decimals` digits. */
static void print_whole(int64_t value, int decimals,
                        char text[JSON_NUMBER_BYTES])
{
    char digits[JSON_NUMBER_BYTES];
    int count = 0, least = decimals ? decimals + 2 : 1;
    for (int64_t rest = value; rest || count < least; rest /= 10) {
        digits[count++] = (char)('0' + (rest < 0 ? -(rest % 10) : rest % 10));
        if (count == decimals)
            digits[count++] = '.';
    }
    if (value < 0)
        *text++ = '-';
    while (count > 0)
        *text++ = digits[--count];
    *text = '\0';
}

/* As "%.15g" would, where few decimals are all: a number of up to 15 digits is
 * what is nearest to the double that it reads as. */
static bool print_decimals(double value, char text[JSON_NUMBER_BYTES])
{
    static const double scales[] = {1e1, 1e2, 1e3, 1e4, 1e5,
                                    1e6, 1e7, 1e8, 1e9};
    static const double digits_most = 1e15, no_exponent = 1e-4;
    if (!(fabs(value) >= no_exponent))
        return false;
    for (int i = 0; i < (int)(sizeof scales / sizeof *scales); i++) {
        double scaled = rint(value * scales[i]);
        if (fabs(scaled) >= digits_most)
            return false;
        if (scaled / scales[i] != value)
            continue;
        print_whole((int64_t)scaled, i + 1, text);
        return true;
    }
    return false;
}

void json_number_print(double value, char text[JSON_NUMBER_BYTES])
{
    if (value == 0 && signbit(value)) {
        snprintf(text, JSON_NUMBER_BYTES, "-0.0");
        return;
    }
    if (is_whole(value)) {
        print_whole((int64_t)value, 0, text);
        return;
    }
    if (print_decimals(value, text))
        return;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, JSON_NUMBER_BYTES, "%.*g", digits, value);
        if (digits == 17 || strtod(text, NULL) == value)
            break; /* 17 digits are enough for every double */
    }
    use_json_point(text);
}

struct printer {
    char *text;
    size_t used, capacity;
};

static void put(struct printer *p, const char *bytes, size_t count)
{
    if (p->capacity - p->used < count + 1) {
        p->capacity = 2 * p->capacity + count + 256;
        p->text = xrealloc(p->text, p->capacity);
    }
    memcpy(p->text + p->used, bytes, count);
    p->used += count;
    p->text[p->used] = '\0';
}

static void put_text(struct printer *p, const char *text)
{
    put(p, text, strlen(text));
}

static bool is_plain(char c)
{
    return (unsigned char)c >= ' ' && (unsigned char)c < 0x7f && c != '"' &&
           c != '\\';
}

static void put_escaped(struct printer *p, char c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *pair = letters; *pair; pair += 2)
        if (c == pair[0]) {
            put(p, (char[]){'\\', pair[1]}, 2);
            return;
        }
    char text[8];
    snprintf(text, sizeof text, "\\u%04x", (unsigned char)c);
    put_text(p, text);
}

static void put_string(struct printer *p, const char *text)
{
    const char *end = text + strlen(text);
    put(p, "\"", 1);
    while (text < end) {
        size_t count = 0;
        while (is_plain(text[count]))
            count++;
        put(p, text, count);
        text += count;
        if (text == end)
            break;
        size_t length = utf8_length(text, (size_t)(end - text));
        if (length > 1)
            put(p, text, length);
        else if (length == 1)
            put_escaped(p, *text);
        else
            put_text(p, "\xef\xbf\xbd");
        text += length ? length : 1;
    }
    put(p, "\"", 1);
}

static void put_number(struct printer *p, double value)
{
    char text[JSON_NUMBER_BYTES] = "null";
    if (isfinite(value))
        json_number_print(value, text);
    put_text(p, text);
}

/* Text that is JSON already, whose newlines can only be space. */
static void put_raw(struct printer *p, const char *text)
{
    size_t start = p->used;
    put_text(p, text);
    char *at = p->text + start;
    while ((at = strchr(at, '\n')))
        *at = ' ';
}

static void put_value(struct printer *p, const cJSON *value);

static void put_container(struct printer *p, const cJSON *container,
                          const char *brackets)
{
    put(p, &brackets[0], 1);
    const cJSON *item;
    cJSON_ArrayForEach(item, container)
    {
        if (item != container->child)
            put(p, ",", 1);
        if (brackets[0] == '{') {
            put_string(p, item->string);
            put(p, ":", 1);
        }
        put_value(p, item);
    }
    put(p, &brackets[1], 1);
}

static void put_value(struct printer *p, const cJSON *value)
{
    if (cJSON_IsNumber(value))
        put_number(p, value->valuedouble);
    else if (cJSON_IsString(value))
        put_string(p, value->valuestring);
    else if (cJSON_IsBool(value))
        put_text(p, cJSON_IsTrue(value) ? "true" : "false");
    else if (cJSON_IsArray(value))
        put_container(p, value, "[]");
    else if (cJSON_IsObject(value))
        put_container(p, value, "{}");
    else if (cJSON_IsRaw(value))
        put_raw(p, value->valuestring);
    else
        put_text(p, "null");
}

char *json_print(const struct cJSON *value, size_t *length)
{
    struct printer p = {0};
    put_value(&p, value);
    *length = p.used;
    return p.text;
}

enum { LARGE = 1000 };

/* Counts down from `left`, and ends there. */
static int count_down(const cJSON *value, int left)
{
    for (const cJSON *item = value->child; item && left > 0; item = item->next)
        left = count_down(item, left - 1);
    return left;
}

bool json_is_large(const struct cJSON *value)
{
    return count_down(value, LARGE) <= 0;
}

struct cJSON *json_raw(struct cJSON *value)
{
    size_t length;
    char *text = json_print(value, &length);
    cJSON *raw = cJSON_CreateRaw(text);
    free(text);
    cJSON_Delete(value);
    return raw;
}

bool json_is_integer(const struct cJSON *value)
{
    return cJSON_IsNumber(value) && is_whole(value->valuedouble);
}

/* The member, or NULL when it is missing or null. */
static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNull(item) ? NULL : item;
}

static bool mistyped(const cJSON *object, const char *name,
                     const char *expected, struct error *error)
{
    if (!cJSON_GetObjectItemCaseSensitive(object, name))
        return error_set(error, ERROR_PARAMS, "\"%s\" is missing", name);
    return error_set(error, ERROR_PARAMS, "\"%s\" is not %s", name, expected);
}

bool json_get_text(const struct cJSON *object, const char *name,
                   const char **value, struct error *error)
{
    const cJSON *item = member(object, name);
    if (!cJSON_IsString(item))
        return mistyped(object, name, "text", error);
    *value = item->valuestring;
    return true;
}

bool json_get_integer(const struct cJSON *object, const char *name,
                      int64_t *value, struct error *error)
{
    const cJSON *item = member(object, name);
    if (!json_is_integer(item))
        return mistyped(object, name, "a whole number", error);
    *value = (int64_t)item->valuedouble;
    return true;
}

bool json_get_real(const struct cJSON *object, const char *name, double *value,
                   struct error *error)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item) && !cJSON_IsNull(item))
        return mistyped(object, name, "a number", error);
    *value = cJSON_IsNull(item) ? NAN : item->valuedouble;
    return true;
}

const char *json_text_or(const struct cJSON *object, const char *name,
                         const char *otherwise)
{
    const cJSON *item = member(object, name);
    return cJSON_IsString(item) ? item->valuestring : otherwise;
}

int64_t json_integer_or(const struct cJSON *object, const char *name,
                        int64_t otherwise)
{
    const cJSON *item = member(object, name);
    return json_is_integer(item) ? (int64_t)item->valuedouble : otherwise;
}

double json_real_or(const struct cJSON *object, const char *name,
                    double otherwise)
{
    const cJSON *item = member(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

bool json_boolean_or(const struct cJSON *object, const char *name,
                     bool otherwise)
{
    const cJSON *item = member(object, name);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : otherwise;
}
