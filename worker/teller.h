/* teller.h: what an attempt says to gaitd (protocol.md).
 *
 * Every message carries the attempt's number and its own; each is sent when
 * this returns, or the channel's end is known there.  Times are of a monotonic
 * clock, in seconds.
 */
#ifndef WORKER_TELLER_H
#define WORKER_TELLER_H

#include <stdint.h>

#include "schema/error.h"

struct cJSON;
struct channel;
struct checkpoint;
struct evaluation;

enum failure {
    FAILURE_DIVERGED,
    FAILURE_DATASET,
    FAILURE_CHECKPOINT,
    FAILURE_MEMORY,
    FAILURE_DEVICE,
    FAILURE_ERROR,
};

struct teller {
    struct channel *channel;
    int64_t attempt;
    int64_t sequence; /* of the next message */

    /* For progress. */
    double started_at, told_at;
    int64_t started_step;
};

/* In both `user` is a struct teller: for a search for checkpoints. */
void teller_warn(void *user, const char *text);
void teller_damaged(void *user, const char *file, const char *text);

void teller_started(struct teller *teller, int64_t step, double now);
void teller_row(struct teller *teller, const struct evaluation *row);

/* Not more often than it is worth. */
void teller_progress(struct teller *teller, int64_t step, int64_t to_step,
                     double now);

/* `removed`, a list of file names, is taken over. */
void teller_saved(struct teller *teller, const struct checkpoint *checkpoint,
                  struct cJSON *removed);
void teller_unsaved(struct teller *teller, int64_t step, const char *text);

/* The ends of an attempt.  `epoch`: the one that diverged, else -1. */
void teller_failed(struct teller *teller, enum failure failure, int64_t epoch,
                   const char *text);
void teller_done(struct teller *teller, int64_t step, const char *state_hash);
void teller_stopped(struct teller *teller, int64_t step);

#endif
