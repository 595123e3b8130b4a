/* json.h: JSON values: exact numbers, members with a type, printing.
 *
 * Numbers are cJSON number items like any other; what makes them exact is the
 * printing, which is ours (json_print), because cJSON's own rounds.
 */
#ifndef SCHEMA_JSON_H
#define SCHEMA_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/error.h"

struct cJSON;

/* To be called once, by main: from then on cJSON's allocations die on failure
 * as xmalloc's do, instead of leaving members out in silence. */
void json_init(void);

enum { JSON_NUMBER_BYTES = 32 };
#define JSON_INTEGER_MAX INT64_C(9007199254740992) /* 2^53 */

/* A double that reads back bit for bit; NaN and infinities become null. */
struct cJSON *json_number(double value);
struct cJSON *json_integer(int64_t value);

/* Shortest decimal text that reads back to the same finite double, in any
 * locale.  Whole numbers up to 2^53 have neither point nor exponent. */
void json_number_print(double value, char text[JSON_NUMBER_BYTES]);

/* Compact text, the caller's (free); `*length` does not count its NUL.  Never
 * holds a newline; bytes that are not UTF-8 become U+FFFD.  Dies when memory
 * is out. */
char *json_print(const struct cJSON *value, size_t *length);

/* Whether printing it takes long: more than some 1,000 values. */
bool json_is_large(const struct cJSON *value);
/* The same value as text that is printed already; takes `value`. */
struct cJSON *json_raw(struct cJSON *value);

/* Members with a type.  Each returns false and sets ERROR_PARAMS with the
 * member's name when it is missing or of another type; the `_or` forms give
 * the default when it is missing, null, or of another type.  `object` may be
 * NULL.  Strings are borrowed. */
bool json_get_text(const struct cJSON *object, const char *name,
                   const char **value, struct error *error);
bool json_get_integer(const struct cJSON *object, const char *name,
                      int64_t *value, struct error *error);
bool json_get_real(const struct cJSON *object, const char *name, double *value,
                   struct error *error); /* null reads as NaN */
const char *json_text_or(const struct cJSON *object, const char *name,
                         const char *otherwise);
int64_t json_integer_or(const struct cJSON *object, const char *name,
                        int64_t otherwise);
double json_real_or(const struct cJSON *object, const char *name,
                    double otherwise);
bool json_boolean_or(const struct cJSON *object, const char *name,
                     bool otherwise);

/* Whether `value` is a number without fraction of at most 2^53. */
bool json_is_integer(const struct cJSON *value);

#endif
