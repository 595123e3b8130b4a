/* step.h: one update of a network from the batch that is in it.
 *
 * From the last layer down: error, gradient, update.  A layer's error is sent
 * down before its weights change, so all gradients use the weights before the
 * update, and on the host one layer's gradient is all that has to be kept.
 * Elsewhere all are, for one update at the end.
 *
 *     network->backend->gather(...);             the batch
 *     step_run(&step, 1);                        the first update
 *     step_faults(&step, &faults);               waits: is all finite?
 */
#ifndef ENGINE_STEP_H
#define ENGINE_STEP_H

#include "worker/engine/backend.h"
#include "worker/engine/network.h"
#include "worker/engine/rule.h"

/* Of one layer. */
struct gradient {
    struct matrix weight; /* n x n */
    struct matrix bias;   /* 1 x n */
};

struct step {
    struct network *network; /* borrowed */
    const struct rule *rule;
    bool inverts; /* the rule asks for u W^-1: there is memory for it */
    double learning_rate, orthogonal_reg, gamma;
    enum diagonal orthogonal_form;

    /* Working memory, for one layer at a time. */
    struct matrix delta;                   /* B x n */
    struct gradient gradients[LAYERS_MAX]; /* on the host all share memory */
    struct matrix gram;                    /* n x n, with a regulariser */
    struct factor factor;                  /* n x n, for rules that invert */
    struct matrix moved[2];                /* B x n, for rules that invert */
    struct faults *faults;                 /* in the backend's memory */

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
 * gradients[l].  Call for l = depth - 1 down to 0. */
void step_gradient(struct step *step, int l);

/* Forward, then gradient and update of every layer: update `number` of the
 * run, from 1. */
void step_run(struct step *step, uint64_t number);

/* Waits for the updates so far: the first that left anything not finite, and
 * what.  Forgetting is for when the network gets other values. */
void step_faults(const struct step *step, struct faults *faults);
void step_forget_faults(struct step *step);

/* For rules: delta[l] = f' e[l], B x n; e[l-1] = u W[l]^-1, with u of struct
 * kink; or with what the rule has put into step_moved, which is lost. */
struct matrix step_delta(const struct step *step, int l);
void step_invert(struct step *step, int l, const struct kink *kink);
struct matrix step_moved(const struct step *step, int l); /* B x n */
void step_solve(struct step *step, int l);

#endif
