/* attempt.h: one execution of a job on a worker, as gaitd follows it.
 *
 * Turns the worker's messages into operations of the store, and checks that
 * they come in sequence and in a legal order.  Knows nothing of processes: the
 * fleet decides where an attempt runs and when it is over.
 *
 *     new -> sent (start is on its way) -> started -> ended (its outcome is
 *     with the store) -> closed (the outcome is on disk): freed
 */
#ifndef DAEMON_ATTEMPT_H
#define DAEMON_ATTEMPT_H

#include "daemon/store.h"

struct cJSON;
struct config;
struct log;

struct attempt {
    struct dispatch dispatch;
    bool is_sent, is_started, is_ended;
    bool has_lost_device; /* so said the worker at its end */
    int64_t sequence;     /* of the next message */
    int64_t step;         /* updates done, as last heard; -1: not started */
    int64_t steps;        /* in all */
    double steps_per_second, test_accuracy; /* NaN: not yet known */
    double began;                           /* monotonic seconds */
};

struct attempt *attempt_new(const struct dispatch *dispatch);
void attempt_free(struct attempt *attempt);

/* The worker's `start` message, the caller's. */
struct cJSON *attempt_start(const struct attempt *attempt,
                            const struct config *config);

/* Takes one message about an attempt; false when it breaks the protocol.
 * `pid` is the worker's. */
bool attempt_take(struct attempt *attempt, const struct cJSON *message,
                  pid_t pid, struct store *store, const struct log *log,
                  struct error *error);

/* Tells the store how it ended; only the first ending counts. */
void attempt_end(struct attempt *attempt, struct store *store,
                 enum outcome outcome, const char *message);

/* What `progress` carries, and `running` of watch; the caller's. */
struct cJSON *attempt_progress(const struct attempt *attempt);

#endif
