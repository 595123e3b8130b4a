/* feedback.h: fixed random matrices that carry errors down, in place of the
 * weights.
 *
 * B[l], 0 < l < depth, is n x n for a layer of width n, or its first rows.  It
 * is drawn as the initial weights of that layer are, orthogonal or Xavier, so
 * that errors arrive in the size backpropagation would give them at first;
 * but from a stream of its own, stream_seed(seed, -1 - l).
 *
 * Forward weights do not start near zero here, as alignment likes it.  Between
 * wide layers that does not matter, a random matrix being nearly orthogonal to
 * another; but feedback can oppose the ten units that end a tower, whose errors
 * then grow before they align.
 *
 * Feedback never changes, so it follows from the settings.
 */
#ifndef ENGINE_FEEDBACK_H
#define ENGINE_FEEDBACK_H

#include <stdbool.h>

#include "schema/error.h"
#include "schema/settings.h"

struct layout;
struct step;

/* For a rule's hooks: B[l] in step->own[l], its first `rows` rows, or all of
 * them where there are fewer. */
void feedback_place(struct step *step, int rows, struct layout *layout);
bool feedback_start(struct step *step, const struct settings *settings,
                    struct error *error);

#endif
