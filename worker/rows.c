#include "worker/rows.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"
#include "schema/message.h"
#include "worker/hash.h"

/* The members of a row but for its hash and layers: X(name, type). */
#define MEMBERS(X)                                                             \
    X(step, integer)                                                           \
    X(epoch, integer)                                                          \
    X(train_accuracy, number)                                                  \
    X(train_loss, number)                                                      \
    X(valid_accuracy, number)                                                  \
    X(valid_loss, number)                                                      \
    X(test_accuracy, number)                                                   \
    X(test_loss, number)                                                       \
    X(seconds, number)

#define json_get_number json_get_real

void rows_release(struct rows *rows)
{
    free(rows->items);
    *rows = (struct rows){0};
}

void rows_add(struct rows *rows, const struct evaluation *row)
{
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity ? 2 * rows->capacity : 16;
        rows->items =
            xrealloc(rows->items, (size_t)rows->capacity * sizeof *rows->items);
    }
    rows->items[rows->count++] = *row;
}

void rows_commit(struct rows *rows, int64_t step)
{
    int gone = 0;
    while (gone < rows->count && rows->items[gone].step <= step)
        gone++;
    rows->count -= gone;
    if (gone > 0)
        memmove(rows->items, rows->items + gone,
                (size_t)rows->count * sizeof *rows->items);
}

const struct evaluation *rows_find(const struct rows *rows, int64_t step)
{
    for (int i = 0; i < rows->count; i++)
        if (rows->items[i].step == step)
            return &rows->items[i];
    return NULL;
}

void row_write(const struct evaluation *row, struct cJSON *object)
{
    char hex[HASH_HEX_BYTES];
    hash_print(row->state_hash, hex);
#define WRITE(name, type)                                                      \
    cJSON_AddItemToObject(object, #name, json_##type(row->name));
    MEMBERS(WRITE)
    cJSON_AddStringToObject(object, "state_hash", hex);
    diagnostics_write(row->layers, row->layer_count, object);
}

static bool row_read(const cJSON *object, struct evaluation *row,
                     struct error *error)
{
    const char *hex;
#define READ(name, type) json_get_##type(object, #name, &row->name, error) &&
    if (!(MEMBERS(READ) json_get_text(object, "state_hash", &hex, error)) ||
        !diagnostics_read(object, row->layers, LAYERS_MAX, &row->layer_count,
                          error))
        return false;
    return hash_read(hex, row->state_hash) ||
           error_set(error, ERROR_CORRUPT, "\"state_hash\" is not a hash");
}

char *rows_print(const struct rows *rows)
{
    char *text = xstrdup("");
    size_t used = 0;
    for (int i = 0; i < rows->count; i++) {
        cJSON *object = cJSON_CreateObject();
        row_write(&rows->items[i], object);
        size_t length;
        char *line = message_print(object, &length);
        text = xrealloc(text, used + length + 1);
        memcpy(text + used, line, length + 1);
        used += length;
        free(line);
        cJSON_Delete(object);
    }
    return text;
}

static bool add_line(struct rows *rows, const char *line, size_t length,
                     struct error *error)
{
    cJSON *object = message_parse(line, length, error);
    struct evaluation row = {0};
    bool is_good = object && row_read(object, &row, error);
    cJSON_Delete(object);
    if (is_good && rows->count && rows->items[rows->count - 1].step >= row.step)
        is_good = error_set(error, ERROR_CORRUPT, "steps do not increase");
    if (is_good)
        rows_add(rows, &row);
    return is_good;
}

bool rows_init(struct rows *rows, const char *text, struct error *error)
{
    *rows = (struct rows){0};
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (!add_line(rows, text, length, error)) {
            rows_release(rows);
            return error_prefix(error, "its rows");
        }
        text += length;
        if (*text == '\n')
            text++;
    }
    return true;
}
