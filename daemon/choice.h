/* choice.h: an entry of the option `devices`: which, and how many slots.
 *
 *     auto          every GPU, or the CPU where there is none
 *     0   0.1       a GPU by its index, an instance (MIG) of it
 *     GPU-5c2d...   either by its UUID, or as much of it as tells them apart
 *     cpu           the CPU
 *     0:2           so many slots
 *     !2            not this one
 */
#ifndef DAEMON_CHOICE_H
#define DAEMON_CHOICE_H

#include <stdbool.h>

#include "schema/error.h"

struct cJSON;

enum { CHOICE_BYTES = 96, CHOICE_SLOTS_MAX = 1024 };

struct choice {
    bool is_excluded;
    char what[CHOICE_BYTES];
    int slots; /* 0: not said */
};

/* False: ERROR_SPEC, and what was expected. */
bool choice_read(struct choice *choice, const struct cJSON *entry,
                 struct error *error);
/* All of a list, and that no device is named twice or both ways. */
bool choices_check(const struct cJSON *list, struct error *error);

/* Whether it names the device: `name` is "cpu", "cuda:0" or "cuda:0.1". */
bool choice_names(const struct choice *choice, const char *name,
                  const char *uuid);

#endif
