/* order.h: the order in which an epoch goes through the training rows.
 *
 * A function of seed and epoch alone, so that a run that is stopped and
 * restored goes on in the same order: Fisher-Yates with numbers from MT19937,
 * seeded with a hash of both (stream_seed).
 */
#ifndef ENGINE_ORDER_H
#define ENGINE_ORDER_H

#include <stdint.h>

/* Fills `order` with a permutation of 0..rows-1. */
void order_shuffle(int64_t seed, int64_t epoch, int32_t *order, int32_t rows);

#endif
