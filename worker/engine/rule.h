/* rule.h: what a learning rule is: how errors travel down the layers.
 *
 * A new rule is one file rule_x.c and one line in RULES (schema/settings.h).
 */
#ifndef ENGINE_RULE_H
#define ENGINE_RULE_H

#include <stdbool.h>

#include "schema/settings.h"

struct step;

struct rule {
    const char *name; /* as the setting spells it */
    bool inverts;     /* asks for e W^-1, so a factor's memory is needed */
    /* Writes e[l-1], B x n, into network_error_below(l), given e[l], its
     * delta, y[l+1] and W[l] of the step's network.  0 < l < depth. */
    void (*propagate)(struct step *step, int l);
};

#define RULE_DECLARATION(name, suffix) extern const struct rule rule_##suffix;
RULES(RULE_DECLARATION)
#undef RULE_DECLARATION

/* NULL when there is none of that name. */
const struct rule *rule_find(const char *name);

#endif
