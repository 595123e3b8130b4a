/* sample.h: small trainings which together ask for everything the engine does.
 *
 * What has to hold for every training is shown on these: every rule, in both
 * precisions, square and tower, from orthogonal and Xavier weights.
 */
#ifndef ENGINE_SAMPLE_H
#define ENGINE_SAMPLE_H

#include "schema/settings.h"

#define SAMPLE_ONE(...) +1
enum { SAMPLES = 8 * (0 RULES(SAMPLE_ONE)) };
#undef SAMPLE_ONE

/* Makes settings those of sample i, for rows of `width` pixels, 12 or more:
 * rule, precision, shape, units, order and regulariser. */
void sample_vary(struct settings *settings, int i, int width);

#endif
