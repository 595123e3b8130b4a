/* job.h: the states of a job and how one follows another.
 *
 * The transition table is the only place that knows what may happen; an event
 * that is not in it for a state is refused by job_next.
 */
#ifndef SCHEMA_JOB_H
#define SCHEMA_JOB_H

/* X(name): also the text in the column job.state and in messages. */
// clang-format off
#define JOB_STATES(X)                                                          \
    X(held) X(queued) X(running) X(done) X(failed) X(cancelled)
#define JOB_EVENTS(X)                                                          \
    X(hold) X(release) X(dispatch) X(requeue) X(finish) X(fail) X(cancel)      \
    X(retry)
// clang-format on

#define JOB_STATE_ENUM(name) JOB_##name,
#define JOB_EVENT_ENUM(name) JOB_ON_##name,

enum job_state { JOB_STATES(JOB_STATE_ENUM) JOB_STATE_COUNT };
enum job_event { JOB_EVENTS(JOB_EVENT_ENUM) JOB_EVENT_COUNT };

const char *job_state_name(enum job_state state);
const char *job_event_name(enum job_event event);

/* -1 when there is no state of that name. */
int job_state_find(const char *name);

/* The state after `event`, or -1 when it is not legal in `state`. */
int job_next(enum job_state state, enum job_event event);

/* Done, failed or cancelled: nothing happens to it by itself any more. */
int job_is_final(enum job_state state);

#endif
