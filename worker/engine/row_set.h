/* row_set.h: the rows of one half of a data set.
 */
#ifndef ENGINE_ROW_SET_H
#define ENGINE_ROW_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"

/* Rows as bytes, borrowed for the life of the trainer. */
struct row_set {
    const uint8_t *pixels; /* rows x width */
    const uint8_t *labels; /* rows */
    int64_t rows;
};

/* The largest pixel of rows of so many. */
int row_set_largest(const struct row_set *set, int width);

/* Whether labels are below CLASSES.  False: ERROR_SPEC, with the set's name in
 * the text. */
bool row_set_check(const struct row_set *set, const char *name,
                   struct error *error);

#endif
