/* stream.h: the random numbers of NumPy's legacy generator.
 *
 * MT19937 (Matsumoto and Nishimura, 1998) seeded with one 32-bit number, as
 * np.random.seed does, and Marsaglia's polar Gaussian with one value cached,
 * as np.random.normal does; so that published initial weights can be had.
 */
#ifndef ENGINE_STREAM_H
#define ENGINE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

enum { STREAM_WORDS = 624 };

struct stream {
    uint32_t words[STREAM_WORDS];
    int used; /* of words */
    bool has_cached;
    double cached;
};

void stream_init(struct stream *stream, uint32_t seed);

/* The seed of one of many streams that a training needs beside those of its
 * initial weights: a SplitMix64 hash of both.  Shuffles have the index of
 * their epoch, from 0 up; feedback that of its layer, from -1 down. */
uint32_t stream_seed(int64_t seed, int64_t index);

uint32_t stream_word(struct stream *stream);
double stream_uniform(struct stream *stream); /* [0, 1), 53 bits */
double stream_normal(struct stream *stream);  /* mean 0, deviation 1 */

#endif
