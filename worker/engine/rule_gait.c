/* rule_gait.c: GAIT-prop (Ahmad, van Gerven and Ambrogioni, 2020).
 *
 *     e[l-1] = u W[l]^-1,   u = (g(y) - g(y - s f'^2 e[l])) / s
 *
 * s = gamma^(layers above + 1): each layer moves its output a little towards
 * the target, and asks the inverse which input would have done that.  Done on
 * paper, so that s cancels: u = f' e, except where the step crosses the kink.
 */
#include "worker/engine/rule.h"
#include "worker/engine/step.h"

static double step_size(const struct step *step, int l)
{
    double size = 1.0;
    for (int above = l; above < step->network->depth; above++)
        size *= step->gamma;
    return size;
}

static void propagate(struct step *step, int l)
{
    double slope = step->network->slope;
    struct kink kink = {
        .step = step_size(step, l),
        .reach = slope * slope,
        .gain = slope,
    };
    step_invert(step, l, &kink);
}

const struct rule rule_gait = {
    .name = "GAIT",
    .propagate = propagate,
};
