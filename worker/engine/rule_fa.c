/* rule_fa.c: feedback alignment (Lillicrap, Cownden, Tweed and Akerman, 2016).
 *
 *     e[l-1] = delta[l] B[l]
 *
 * Backpropagation with a fixed random matrix where it reads W[l]^T.
 */
#include "worker/engine/feedback.h"
#include "worker/engine/rule.h"
#include "worker/engine/step.h"

static void place(struct step *step, struct layout *layout)
{
    feedback_place(step, step->network->layers[0].width, layout);
}

static void propagate(struct step *step, int l)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    backend->product(backend, 1.0, step_delta(step, l), PLAIN, step->own[l],
                     PLAIN, 0.0, network_error_below(network, l));
}

const struct rule rule_fa = {
    .name = "FA",
    .propagate = propagate,
    .place = place,
    .start = feedback_start,
};
