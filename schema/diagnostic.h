/* diagnostic.h: what is measured of a layer when `diagnostics` is set.
 *
 * Layers count from 0, as in the names of tensors; a row has all of them, in
 * order.  A value is NaN, null and NULL where it is not a finite number: the
 * condition of a singular matrix, the angle to a gradient that is zero.
 *
 *   angle         degrees between the weight gradient of the rule and the one
 *                 of BP
 *   off_diagonal  Frobenius norm of W W^T without its diagonal
 *   condition     condition number of W in the 2-norm, 1 at orthogonal W
 *   error_rms     root mean square of the rule's error over rows and units
 *
 * worker/engine/diagnostics.h says how.
 */
#ifndef SCHEMA_DIAGNOSTIC_H
#define SCHEMA_DIAGNOSTIC_H

#include <stdbool.h>

#include "schema/error.h"

struct cJSON;

/* X(name), in the order of columns. */
#define DIAGNOSTICS(X) X(angle) X(off_diagonal) X(condition) X(error_rms)

#define DIAGNOSTIC_FIELD(name) double name;
struct diagnostic {
    DIAGNOSTICS(DIAGNOSTIC_FIELD)
};

#define DIAGNOSTIC_ONE(name) +1
enum { DIAGNOSTIC_COUNT = 0 DIAGNOSTICS(DIAGNOSTIC_ONE) };

/* Adds `layers` to an object: a list of objects; nothing when `count` is 0. */
void diagnostics_write(const struct diagnostic *layers, int count,
                       struct cJSON *object);

/* Reads `layers` of an object into `layers[0..*count)`, at most `most`; none
 * when it has no such member. */
bool diagnostics_read(const struct cJSON *object, struct diagnostic *layers,
                      int most, int *count, struct error *error);

#endif
