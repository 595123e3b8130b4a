#include "daemon/operation.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "schema/memory.h"

void operations_init(struct operations *list)
{
    list->first = NULL;
    list->end = &list->first;
}

void operations_add(struct operations *list, struct operation *operation)
{
    operation->next = NULL;
    *list->end = operation;
    list->end = &operation->next;
}

void operations_join(struct operations *list, struct operations *more)
{
    if (!more->first)
        return;
    *list->end = more->first;
    list->end = more->end;
    operations_init(more);
}

void *operation_new(size_t bytes,
                    bool (*run)(struct store *, struct operation *,
                                struct error *))
{
    struct operation *operation = xcalloc(1, bytes);
    operation->run = run;
    return operation;
}

void operation_free(struct operation *operation)
{
    if (!operation)
        return;
    operation_free(operation->sequel);
    operation_free(operation->remedy);
    if (operation->release)
        operation->release(operation);
    cJSON_Delete(operation->result);
    cJSON_Delete(operation->data);
    free(operation);
}

void operations_free(struct operations *list)
{
    struct operation *operation = list->first;
    while (operation) {
        struct operation *next = operation->next;
        operation_free(operation);
        operation = next;
    }
    operations_init(list);
}
