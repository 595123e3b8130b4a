/* evaluator.h: accuracy and loss of a network over many rows.
 *
 * Rows go through in large chunks, through all layers, and of the last layer
 * only the class outputs are computed.  Counts stay with the backend until
 * all parts of an evaluation are through, and are fetched once.
 */
#ifndef ENGINE_EVALUATOR_H
#define ENGINE_EVALUATOR_H

#include "worker/engine/backend.h"
#include "worker/engine/network.h"

enum { EVALUATOR_PARTS = 3 };

struct evaluator {
    const struct network *network; /* borrowed */
    struct matrix outputs[2];      /* chunk x widest, in turns */
    uint8_t *labels;               /* chunk, in the backend's memory */
    struct tally *tallies; /* EVALUATOR_PARTS, in the backend's memory */
};

/* Accuracy: share of rows whose largest class output is the label.  Loss:
 * mean over rows of the summed squared error of the class outputs. */
struct score {
    double accuracy, loss;
};

/* Rows [first, first + rows) of what the backend has loaded, and their score:
 * both NaN when there are none. */
struct part {
    const struct source *source;
    int64_t first, rows;
    struct score score;
};

void evaluator_init(struct evaluator *evaluator, const struct network *network);
void evaluator_place(struct evaluator *evaluator, struct layout *layout);

/* Scores up to EVALUATOR_PARTS parts.  `is_stopped(user)` is asked after each
 * chunk; false is returned as soon as it says so. */
bool evaluator_score(struct evaluator *evaluator, struct part *parts, int count,
                     bool (*is_stopped)(void *user), void *user);

#endif
