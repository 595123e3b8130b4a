#include "worker/engine/order.h"

#include "worker/engine/stream.h"

/* Uniform in 0..bound-1: words past the last whole multiple are drawn anew. */
static uint32_t below(struct stream *stream, uint32_t bound)
{
    uint32_t excess = (UINT32_MAX % bound + 1) % bound, word;
    do
        word = stream_word(stream);
    while (word > UINT32_MAX - excess);
    return word % bound;
}

void order_shuffle(int64_t seed, int64_t epoch, int32_t *order, int32_t rows)
{
    struct stream stream;
    stream_init(&stream, stream_seed(seed, epoch));
    for (int32_t i = 0; i < rows; i++)
        order[i] = i;
    for (int32_t i = rows - 1; i > 0; i--) {
        uint32_t other = below(&stream, (uint32_t)i + 1);
        int32_t kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}
