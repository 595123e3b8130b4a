/* rule.h: what a learning rule is: how errors travel down the layers.
 *
 * A new rule is one file rule_x.c and one line in RULES (schema/settings.h):
 * docs/new-rule.md.
 */
#ifndef ENGINE_RULE_H
#define ENGINE_RULE_H

#include <stdbool.h>

#include "schema/settings.h"

struct layout;
struct step;

struct rule {
    const char *name; /* as the setting spells it */
    /* Writes e[l-1], B x n, into network_error_below(l), given e[l], its
     * delta, y[l+1] and W[l] of the step's network.  Called for l = depth - 1
     * down to 1. */
    void (*propagate)(struct step *step, int l);

    /* For rules that keep something, NULL for others: `place` puts it into
     * step->own, `start` fills it.  It is no part of a checkpoint: it follows
     * from the settings, or from the batch.  False: ERROR_MEMORY. */
    void (*place)(struct step *step, struct layout *layout);
    bool (*start)(struct step *step, const struct settings *settings,
                  struct error *error);
};

#define RULE_DECLARATION(name, suffix, inverts)                                \
    extern const struct rule rule_##suffix;
RULES(RULE_DECLARATION)
#undef RULE_DECLARATION

/* GAIT's other form. */
extern const struct rule rule_gait_published;

/* NULL when there is none of that name. */
const struct rule *rule_find(const char *name);

/* The rule of these settings, in the form they ask for; NULL as above. */
const struct rule *rule_choose(const struct settings *settings);

#endif
