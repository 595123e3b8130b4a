/* pulse.h: whether a worker is there, and whether its training moves.
 *
 * gaitd pings at even intervals and the worker's reading thread answers, even
 * while its training thread hangs; so the answer carries the training thread's
 * own count of batches and evaluation chunks, and how long it expects the next
 * to take.  Two things are told apart:
 *
 *     lost     no ping was answered for twice the lease: later than a worker
 *              that hears nothing gives up by itself (one lease)
 *     stalled  pings are answered, but no batch or chunk was finished in
 *              max(stall_s, 10 x what the worker expects)
 *
 * Time is counted in intervals that gaitd itself was awake for, so neither a
 * clock that jumps nor a gaitd that was stopped makes a worker look dead; and
 * a worker is still only while it answers, so that one which was stopped is
 * not taken for one that hangs.  Pure: no clock is read here.
 */
#ifndef DAEMON_PULSE_H
#define DAEMON_PULSE_H

#include <stdbool.h>
#include <stdint.h>

struct pulse {
    int64_t beats;     /* as last heard */
    double expected_s; /* until the next beat; infinite: no telling */
    double silent_s, still_s;
    bool is_heard, has_moved; /* in this interval */
};

/* What it is measured by. */
struct pulse_limits {
    double interval_s; /* between two pings */
    double lease_s, stall_s;
};

enum pulse_state { PULSE_FINE, PULSE_LOST, PULSE_STALLED };

/* Three pings in a lease, and in the time a stall takes. */
void pulse_limits_init(struct pulse_limits *limits, double lease_s,
                       double stall_s);

/* A worker, or an attempt, begins. */
void pulse_init(struct pulse *pulse);

/* An answer to a ping. */
void pulse_answer(struct pulse *pulse, int64_t beats, double expected_s);
/* A message that the training thread has sent. */
void pulse_move(struct pulse *pulse);

/* An interval has passed; `is_training`: beats were due in it. */
enum pulse_state pulse_tick(struct pulse *pulse,
                            const struct pulse_limits *limits,
                            bool is_training);

#endif
