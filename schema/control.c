#include "schema/control.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "schema/faults.h"
#include "schema/nearest.h"

#define ROW(name, type, initial, least, most, words, help)                     \
    {#name,   SETTING_##type, SETTING_CONTROL,                                 \
     initial, least,          most,                                            \
     words,   help,           offsetof(struct controls, name)},
const struct setting control_table[CONTROL_COUNT] = {CONTROLS(ROW)};

/* What reads and writes a setting finds its field by the offset alone. */
static struct settings *fields(const struct controls *controls)
{
    return (struct settings *)controls;
}

const struct setting *control_find(const char *name)
{
    for (int i = 0; i < CONTROL_COUNT; i++)
        if (!strcmp(control_table[i].name, name))
            return &control_table[i];
    return NULL;
}

static void refuse_unknown(const char *name, struct faults *faults)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (int i = 0; i < CONTROL_COUNT; i++)
        nearest_try(&nearest, control_table[i].name);
    if (nearest.word)
        faults_add(faults, name, "unknown control, did you mean \"%s\"?",
                   nearest.word);
    else
        faults_add(faults, name, "unknown control");
}

void controls_init(struct controls *controls)
{
    memset(controls, 0, sizeof *controls);
    for (int i = 0; i < CONTROL_COUNT; i++)
        setting_reset(&control_table[i], fields(controls));
}

bool controls_are_default(const struct controls *controls)
{
    struct controls defaults;
    controls_init(&defaults);
    for (int i = 0; i < CONTROL_COUNT; i++)
        if (!setting_equal(&control_table[i], fields(controls),
                           fields(&defaults)))
            return false;
    return true;
}

bool controls_read(const struct cJSON *object, struct controls *out,
                   struct faults *faults)
{
    int before = faults->count;
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        const struct setting *control = control_find(member->string);
        if (!control)
            refuse_unknown(member->string, faults);
        else if (!cJSON_IsNull(member))
            setting_read(control, member, fields(out), faults);
    }
    return faults->count == before;
}

/* Null says "none". */
static struct cJSON *write(const struct setting *control,
                           const struct controls *controls)
{
    const char *field = (const char *)controls + control->offset;
    bool is_none = control->type == SETTING_TEXT
                       ? !*field
                       : control->type == SETTING_INTEGER && *control->words &&
                             !*(const int64_t *)(const void *)field;
    return is_none ? cJSON_CreateNull()
                   : setting_write(control, fields(controls));
}

void controls_write(const struct controls *controls, struct cJSON *object)
{
    for (int i = 0; i < CONTROL_COUNT; i++)
        cJSON_AddItemToObject(object, control_table[i].name,
                              write(&control_table[i], controls));
}
