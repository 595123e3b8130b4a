/* rule_itp.c: target propagation by small steps through exact inverses (Ahmad,
 * van Gerven and Ambrogioni, 2020), in the limit of no step at all.
 *
 *     e[l-1] = (e[l] / f') W[l]^-1
 */
#include "worker/engine/rule.h"
#include "worker/engine/step.h"

static void propagate(struct step *step, int l)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    const struct layer *layer = &network->layers[l];
    backend->gate(backend, layer->output, layer->error, 1.0 / network->slope,
                  step_moved(step, l));
    step_solve(step, l);
}

const struct rule rule_itp = {
    .name = "ITP",
    .propagate = propagate,
};
