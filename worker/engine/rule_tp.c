/* rule_tp.c: target propagation through exact inverses.
 *
 *     e[l-1] = (g(y) - g(y - e[l])) W[l]^-1
 */
#include "worker/engine/rule.h"
#include "worker/engine/step.h"

static void propagate(struct step *step, int l)
{
    struct kink kink = {
        .step = 1.0,
        .reach = 1.0,
        .gain = 1.0 / step->network->slope,
    };
    step_invert(step, l, &kink);
}

const struct rule rule_tp = {
    .name = "TP",
    .propagate = propagate,
};
