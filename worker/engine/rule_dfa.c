/* rule_dfa.c: direct feedback alignment (Nokland, 2016).
 *
 *     e[l-1] = delta[L-1] B[l]
 *
 * The output layer's delta, through a fixed random matrix of each layer's own.
 * Only class outputs have an error, so B[l] is CLASSES x n.  Units that no
 * layer reads get none.
 */
#include "worker/engine/feedback.h"
#include "worker/engine/rule.h"
#include "worker/engine/step.h"

/* step->own[0]: delta[L-1] of the batch, B x CLASSES; own[l]: B[l]. */
static void place(struct step *step, struct layout *layout)
{
    step->own[0] = layout_matrix(layout, step->network->batch_rows, CLASSES);
    feedback_place(step, CLASSES, layout);
}

static void keep_delta(struct step *step)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    int rows = network->batch_rows;
    const struct layer *last = &network->layers[network->depth - 1];
    backend->gate(backend, matrix_corner(last->output, rows, CLASSES),
                  matrix_corner(last->error, rows, CLASSES), network->slope,
                  step->own[0]);
}

static void propagate(struct step *step, int l)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    if (l == network->depth - 1)
        keep_delta(step);
    backend->product(backend, 1.0, step->own[0], PLAIN, step->own[l], PLAIN,
                     0.0, network_error_below(network, l));
}

const struct rule rule_dfa = {
    .name = "DFA",
    .propagate = propagate,
    .place = place,
    .start = feedback_start,
};
