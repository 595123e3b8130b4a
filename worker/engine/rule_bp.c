/* rule_bp.c: backpropagation.
 *
 *     e[l-1] = delta[l] W[l]^T
 */
#include "worker/engine/rule.h"
#include "worker/engine/step.h"

static void propagate(struct step *step, int l)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    backend->product(backend, 1.0, step_delta(step, l), PLAIN,
                     network->layers[l].weight.value, TRANSPOSED, 0.0,
                     network_error_below(network, l));
}

const struct rule rule_bp = {
    .name = "BP",
    .propagate = propagate,
};
