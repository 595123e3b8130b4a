#include "worker/engine/row_set.h"

#include "schema/settings.h"
#include "worker/engine/vector.h"

static VECTORISED uint8_t largest_byte(const uint8_t *bytes, int64_t count)
{
    uint8_t largest = 0;
    for (int64_t i = 0; i < count; i++)
        largest = bytes[i] > largest ? bytes[i] : largest;
    return largest;
}

int row_set_largest(const struct row_set *set, int width)
{
    return largest_byte(set->pixels, set->rows * (int64_t)width);
}

bool row_set_check(const struct row_set *set, const char *name,
                   struct error *error)
{
    int largest = largest_byte(set->labels, set->rows);
    return largest < CLASSES ||
           error_set(error, ERROR_SPEC,
                     "the %s set has a label %d, expected 0 to %d", name,
                     largest, CLASSES - 1);
}
