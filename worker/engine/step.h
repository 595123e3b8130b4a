/* step.h: one update of a network from the batch that is in it.
 *
 * From the last layer down: error, gradient, update.  A layer's error is sent
 * down before its weights change, so all gradients use the weights before the
 * update, and one layer's gradient is all that has to be kept.
 *
 *     network->backend->gather(...);             the batch
 *     step_run(&step, &layer) == 0;              or enum fault, in that layer
 */
#ifndef ENGINE_STEP_H
#define ENGINE_STEP_H

#include "worker/engine/backend.h"
#include "worker/engine/network.h"
#include "worker/engine/rule.h"

struct step {
    struct network *network; /* borrowed */
    const struct rule *rule;
    bool inverts; /* the rule asks for u W^-1: there is memory for it */
    double learning_rate, orthogonal_reg, gamma;
    enum diagonal orthogonal_form;

    /* Working memory, for one layer at a time. */
    struct matrix delta;           /* B x n */
    struct matrix weight_gradient; /* n x n */
    struct matrix bias_gradient;   /* 1 x n */
    struct matrix gram;            /* n x n, with a regulariser */
    struct factor factor;          /* n x n, for rules that invert */
    struct matrix moved[2];        /* B x n, for rules that invert */
    uint32_t *flags;               /* one per layer: enum fault */

    struct matrix own[LAYERS_MAX]; /* the rule's: its file says what */
};

void step_init(struct step *step, struct network *network,
               const struct rule *rule, const struct settings *settings);
void step_place(struct step *step, struct layout *layout);

/* Fills what the rule keeps, once memory is there.  False: ERROR_MEMORY. */
bool step_start(struct step *step, const struct settings *settings,
                struct error *error);

/* Outputs of the batch, and the error of the last layer, e = y - target. */
void step_forward(struct step *step);

/* Sends the error below layer l and leaves the layer's gradient in
 * weight_gradient and bias_gradient.  Call for l = depth - 1 down to 0. */
void step_gradient(struct step *step, int l);

/* Forward, then gradient and update of every layer.  Waits for the result:
 * 0, or the faults found in the highest `*layer` that has any. */
uint32_t step_run(struct step *step, int *layer);

/* For rules: delta[l] = f' e[l], B x n; e[l-1] = u W[l]^-1, with u of struct
 * kink; or with what the rule has put into step_moved, which is lost. */
struct matrix step_delta(const struct step *step, int l);
void step_invert(struct step *step, int l, const struct kink *kink);
struct matrix step_moved(const struct step *step, int l); /* B x n */
void step_solve(struct step *step, int l);

#endif
