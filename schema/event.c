#include "schema/event.h"

#include <stddef.h>
#include <string.h>

#define KIND(name, news, meaning) {#name, news, meaning},
const struct event_kind event_kinds[] = {EVENTS(KIND)};
const int event_kind_count = sizeof event_kinds / sizeof *event_kinds;

const struct event_kind *event_kind_find(const char *name)
{
    for (int i = 0; i < event_kind_count; i++)
        if (!strcmp(event_kinds[i].name, name))
            return &event_kinds[i];
    return NULL;
}
