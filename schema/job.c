#include "schema/job.h"

#include <assert.h>
#include <string.h>

#define NAME(name) #name,
static const char *const states[] = {JOB_STATES(NAME)};
static const char *const events[] = {JOB_EVENTS(NAME)};

/* One more than the state that follows, so that what is not said is illegal.
 *
 * finish of a held or queued job: its run has the epochs already.  fail of one:
 * its run diverged before them.  hold of a running job: it is paused.  requeue:
 * the attempt ended through no fault of the job. */
#define TO(state) (JOB_##state + 1)
static const unsigned char next[JOB_STATE_COUNT][JOB_EVENT_COUNT] = {
    [JOB_held] =
        {
            [JOB_ON_release] = TO(queued),
            [JOB_ON_finish] = TO(done),
            [JOB_ON_fail] = TO(failed),
            [JOB_ON_cancel] = TO(cancelled),
        },
    [JOB_queued] =
        {
            [JOB_ON_hold] = TO(held),
            [JOB_ON_dispatch] = TO(running),
            [JOB_ON_finish] = TO(done),
            [JOB_ON_fail] = TO(failed),
            [JOB_ON_cancel] = TO(cancelled),
        },
    [JOB_running] =
        {
            [JOB_ON_hold] = TO(held),
            [JOB_ON_requeue] = TO(queued),
            [JOB_ON_finish] = TO(done),
            [JOB_ON_fail] = TO(failed),
            [JOB_ON_cancel] = TO(cancelled),
        },
    [JOB_failed] = {[JOB_ON_retry] = TO(queued)},
    [JOB_cancelled] = {[JOB_ON_retry] = TO(queued)},
};

const char *job_state_name(enum job_state state)
{
    assert(state < JOB_STATE_COUNT);
    return states[state];
}

const char *job_event_name(enum job_event event)
{
    assert(event < JOB_EVENT_COUNT);
    return events[event];
}

int job_state_find(const char *name)
{
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        if (!strcmp(states[state], name))
            return state;
    return -1;
}

int job_next(enum job_state state, enum job_event event)
{
    assert(state < JOB_STATE_COUNT && event < JOB_EVENT_COUNT);
    return next[state][event] - 1;
}

int job_is_final(enum job_state state)
{
    return state == JOB_done || state == JOB_failed || state == JOB_cancelled;
}
