#include "worker/engine/stream.h"

#include <math.h>

void stream_init(struct stream *stream, uint32_t seed)
{
    for (uint32_t i = 0; i < STREAM_WORDS; i++) {
        stream->words[i] = seed;
        seed = 1812433253u * (seed ^ (seed >> 30)) + i + 1;
    }
    stream->used = STREAM_WORDS;
    stream->has_cached = false;
}

/* SplitMix64's output function (Steele, Lea and Flood, 2014). */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint32_t stream_seed(int64_t seed, int64_t index)
{
    return (uint32_t)mix(mix((uint64_t)seed) ^ (uint64_t)index);
}

static void refill(struct stream *stream)
{
    uint32_t *words = stream->words;
    for (int i = 0; i < STREAM_WORDS; i++) {
        uint32_t mixed = (words[i] & 0x80000000u) |
                         (words[(i + 1) % STREAM_WORDS] & 0x7fffffffu);
        words[i] = words[(i + 397) % STREAM_WORDS] ^ (mixed >> 1) ^
                   (mixed & 1 ? 0x9908b0dfu : 0);
    }
    stream->used = 0;
}

uint32_t stream_word(struct stream *stream)
{
    if (stream->used == STREAM_WORDS)
        refill(stream);
    uint32_t word = stream->words[stream->used++];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
}

double stream_uniform(struct stream *stream)
{
    double high = stream_word(stream) >> 5, low = stream_word(stream) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

double stream_normal(struct stream *stream)
{
    if (stream->has_cached) {
        stream->has_cached = false;
        return stream->cached;
    }
    double x, y, square;
    do {
        x = 2.0 * stream_uniform(stream) - 1.0;
        y = 2.0 * stream_uniform(stream) - 1.0;
        square = x * x + y * y;
    } while (square >= 1.0 || square == 0.0);
    double scale = sqrt(-2.0 * log(square) / square);
    stream->cached = scale * x;
    stream->has_cached = true;
    return scale * y;
}
