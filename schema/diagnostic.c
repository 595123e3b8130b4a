#include "schema/diagnostic.h"

#include <cjson/cJSON.h>

#include "schema/json.h"

void diagnostics_write(const struct diagnostic *layers, int count,
                       struct cJSON *object)
{
    if (count == 0)
        return;
    cJSON *list = cJSON_AddArrayToObject(object, "layers");
    for (int l = 0; l < count; l++) {
        cJSON *item = cJSON_CreateObject();
#define WRITE(name)                                                            \
    cJSON_AddItemToObject(item, #name, json_number(layers[l].name));
        DIAGNOSTICS(WRITE)
        cJSON_AddItemToArray(list, item);
    }
}

bool diagnostics_read(const struct cJSON *object, struct diagnostic *layers,
                      int most, int *count, struct error *error)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "layers");
    const cJSON *item;
    *count = 0;
    if (list && !cJSON_IsArray(list))
        return error_set(error, ERROR_PARAMS, "\"layers\" is not a list");
    cJSON_ArrayForEach(item, list)
    {
        if (*count == most)
            return error_set(error, ERROR_PARAMS,
                             "\"layers\" has more than %d items", most);
        struct diagnostic *layer = &layers[*count];
#define READ(name) json_get_real(item, #name, &layer->name, error) &&
        if (!(DIAGNOSTICS(READ) true))
            return error_prefix(error, "\"layers\"[%d]", *count);
        ++*count;
    }
    return true;
}
