/* method.h: what may be asked of gaitd: every method, its parameters and their
 * types.
 *
 * The table is in method.c.  A method is called only with parameters that are
 * in it and of their types; what is not in it is refused by name.
 */
#ifndef DAEMON_METHOD_H
#define DAEMON_METHOD_H

#include <stdbool.h>

#include "schema/error.h"

struct cJSON;
struct request;

enum param_type {
    PARAM_TEXT,
    PARAM_INTEGER,
    PARAM_BOOLEAN,
    PARAM_OBJECT,
    PARAM_LIST,
    PARAM_ANY, /* of which the method knows more */
};

struct param {
    const char *name;
    enum param_type type;
    bool is_optional;
};

struct method {
    const char *name;
    void (*run)(struct request *request);
    struct param params[6]; /* up to one without a name */
};

/* NULL with ERROR_METHOD when there is none. */
const struct method *method_find(const char *name, struct error *error);

/* False with ERROR_PARAMS.  Null is the same as left out; "protocol" belongs to
 * every method. */
bool method_check(const struct method *method, const struct cJSON *params,
                  struct error *error);

#endif
