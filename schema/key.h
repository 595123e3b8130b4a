/* key.h: the identity of a training.
 *
 * Two specs with the same key ask for the same run.  The key is the XXH128
 * (seed 0, canonical, lower-case hex) of these bytes, all of them ASCII:
 *
 *     <the data's digest> \n
 *     <ENGINE_VERSION in decimal> \n
 *     <name>=<value> \n             for each setting that counts
 *
 * A setting counts when it is of kind TRAJECTORY or MEASUREMENT, is not
 * `dataset` (a name; what it names is in the digest), and differs from its
 * default after settings_canonical.  They are sorted by name (strcmp).  Texts
 * stand as they are, whole numbers in decimal, booleans as true or false,
 * reals as the 16 hex digits of their IEEE 754 bits.
 */
#ifndef SCHEMA_KEY_H
#define SCHEMA_KEY_H

#include "schema/settings.h"

/* Raise whenever the engine's numbers change on some settings: old runs stay
 * in the database, and are not mixed with new ones. */
enum { ENGINE_VERSION = 2 };

struct key {
    char hex[33];
};

/* `settings` need not be canonical yet. */
void key_make(struct key *key, const struct settings *settings,
              const struct dataset_shape *shape);

#endif
