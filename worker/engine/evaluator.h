/* evaluator.h: accuracy and loss of a network over many rows.
 *
 * Rows go through in large chunks, through all layers, and of the last layer
 * only the class outputs are computed.
 */
#ifndef ENGINE_EVALUATOR_H
#define ENGINE_EVALUATOR_H

#include "worker/engine/backend.h"
#include "worker/engine/network.h"

struct evaluator {
    const struct network *network; /* borrowed */
    struct matrix outputs[2];      /* chunk x widest, in turns */
    uint8_t *labels;               /* chunk, in the backend's memory */
};

/* Accuracy: share of rows whose largest class output is the label.  Loss:
 * mean over rows of the summed squared error of the class outputs. */
struct score {
    double accuracy, loss;
};

void evaluator_init(struct evaluator *evaluator, const struct network *network);
void evaluator_place(struct evaluator *evaluator, struct layout *layout);

/* Scores rows [first, first + rows); none: both NaN.  `is_stopped(user)` is
 * asked after each chunk; false is returned as soon as it says so. */
bool evaluator_score(struct evaluator *evaluator, const struct source *source,
                     int64_t first, int64_t rows,
                     bool (*is_stopped)(void *user), void *user,
                     struct score *score);

#endif
