/* axis.h: the values that one setting takes in a sweep. */
#ifndef SCHEMA_AXIS_H
#define SCHEMA_AXIS_H

#include <stdbool.h>

#include "schema/faults.h"
#include "schema/settings.h"

enum { AXIS_VALUES_MAX = 100000 };

struct axis {
    const struct setting *setting;
    int count;
    struct cJSON **values; /* each already checked, in its only spelling */
};

/* Reads an axis of spec.h.  False with faults, whose context is the caller's;
 * then there is nothing to release. */
bool axis_init(struct axis *axis, const struct setting *setting,
               const struct cJSON *json, struct faults *faults);
void axis_release(struct axis *axis);

#endif
