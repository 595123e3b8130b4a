/* grid.h: the value of a setting's flag, which may be many.
 *
 *     BP,GAIT                a list
 *     1..5  1..401:100       whole numbers, both ends in, in steps
 *     1e-5..1e-3:log:5       five values, evenly in the logarithm
 *     0..1:linear:11         eleven values, evenly
 *
 * Text that is no list or range of its setting's type is one value, and the
 * daemon says what it thinks of it.
 */
#ifndef CLIENT_GRID_H
#define CLIENT_GRID_H

#include <stdbool.h>

#include "schema/error.h"
#include "schema/settings.h"

struct cJSON;

/* A new JSON value (the caller's): an axis of a spec when `*is_axis`, else one
 * value.  NULL: ERROR_PARAMS, for an empty item or a range that cannot be. */
struct cJSON *grid_read(const struct setting *setting, const char *text,
                        bool *is_axis, struct error *error);

#endif
