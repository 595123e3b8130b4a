/* pace.h: how long the next piece of an attempt's work should take.
 *
 * Until each kind of piece has been measured, from counted FLOPs and a rate
 * that any machine reaches; then from the mean of the kind that takes longest.
 * Without a clock of its own.
 */
#ifndef WORKER_PACE_H
#define WORKER_PACE_H

#include <stdint.h>

struct settings;

enum pace_kind { PACE_BATCH, PACE_CHUNK, PACE_ROW, PACE_KINDS };

struct pace {
    double counted_s; /* of the largest piece */
    double last;      /* when the one before was finished */
    double total_s[PACE_KINDS];
    int64_t count[PACE_KINDS];
};

/* `width`: pixels of a row of the data set. */
void pace_init(struct pace *pace, const struct settings *settings, int width);

/* `now`, of a monotonic clock in seconds: pieces begin to be done; a piece
 * was finished. */
void pace_start(struct pace *pace, double now);
void pace_count(struct pace *pace, enum pace_kind kind, double now);

/* Seconds. */
double pace_expected(const struct pace *pace);

#endif
