#include "daemon/choice.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { UUID_LEAST = 8 }; /* characters: what would a shorter one mean? */

static const char digits[] = "0123456789";

/* 3, or 3.1 */
static bool is_index(const char *text)
{
    size_t length = strspn(text, digits);
    if (length == 0 || length > 4)
        return false;
    text += length;
    if (*text != '.')
        return !*text;
    length = strspn(++text, digits);
    return length > 0 && length < 4 && !text[length];
}

static bool is_uuid(const char *text)
{
    bool has_kind =
        !strncasecmp(text, "GPU-", 4) || !strncasecmp(text, "MIG-", 4);
    return has_kind && strlen(text) >= UUID_LEAST &&
           !text[4 + strspn(text + 4, "0123456789abcdefABCDEF-")];
}

static bool is_what(const char *text)
{
    return !strcmp(text, "auto") || !strcmp(text, "cpu") || is_index(text) ||
           is_uuid(text);
}

static bool read_slots(struct choice *choice, const char *text)
{
    char *end;
    long slots = strtol(text, &end, 10);
    choice->slots = (int)slots;
    return *text >= '0' && *text <= '9' && !*end && slots >= 1 &&
           slots <= CHOICE_SLOTS_MAX;
}

bool choice_read(struct choice *choice, const struct cJSON *entry,
                 struct error *error)
{
    char number[32];
    const char *text = cJSON_GetStringValue(entry);
    *choice = (struct choice){0};
    if (cJSON_IsNumber(entry)) {
        snprintf(number, sizeof number, "%g", entry->valuedouble);
        text = number;
    }
    if (!text)
        return error_set(error, ERROR_SPEC,
                         "not a text or a list of them, such as \"0\", "
                         "\"1:2\", \"!2\", \"cpu:4\"");
    choice->is_excluded = *text == '!';
    const char *what = text + choice->is_excluded;
    size_t length = strcspn(what, ":");
    if (length < sizeof choice->what)
        memcpy(choice->what, what, length);
    if (!is_what(choice->what))
        return error_set(error, ERROR_SPEC,
                         "\"%.100s\" names no device: expected auto, cpu, the "
                         "index (0) or UUID (GPU-..., MIG-...) of a GPU or an "
                         "instance (0.1)",
                         text);
    if (!what[length])
        return true;
    if (choice->is_excluded || !strcmp(choice->what, "auto"))
        return error_set(error, ERROR_SPEC,
                         "\"%.100s\" is given slots, which only a device that "
                         "is used has",
                         text);
    return read_slots(choice, what + length + 1) ||
           error_set(error, ERROR_SPEC,
                     "\"%.100s\" has \"%.20s\" slots, expected 1 to %d", text,
                     what + length + 1, CHOICE_SLOTS_MAX);
}

bool choices_check(const struct cJSON *list, struct error *error)
{
    const struct cJSON *entry, *before;
    if (!list->child)
        return error_set(error, ERROR_SPEC, "is empty; expected \"auto\"");
    cJSON_ArrayForEach(entry, list)
    {
        struct choice choice, other;
        if (!choice_read(&choice, entry, error))
            return false;
        for (before = list->child; before != entry; before = before->next)
            if (choice_read(&other, before, error) &&
                !strcasecmp(choice.what, other.what))
                return error_set(error, ERROR_SPEC, "names \"%s\" twice",
                                 choice.what);
    }
    return true;
}

bool choice_names(const struct choice *choice, const char *name,
                  const char *uuid)
{
    if (is_uuid(choice->what))
        return !strncasecmp(choice->what, uuid, strlen(choice->what));
    const char *index = strchr(name, ':');
    return !strcmp(choice->what, index ? index + 1 : name);
}
