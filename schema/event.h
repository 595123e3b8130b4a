/* event.h: what may stand in the table `event`.
 *
 * Events are what somebody who was away wants to hear of: what came from
 * outside (submissions, orders), what went wrong, and what it cost.  A job that
 * is done is none: `status` counts those.
 */
#ifndef SCHEMA_EVENT_H
#define SCHEMA_EVENT_H

/* X(kind, news, meaning).  `news`: what so many of it are called where status
 * opens with what happened ("2 failed"); "": it is not told there. */
// clang-format off
#define EVENTS(X)                                                              \
    X(started, "", "gaitd started; attempts that had been cut short")          \
    X(stopping, "", "gaitd was told to stop; running jobs save first")         \
    X(drained, "", "an operator had the queue drained: no more jobs start")    \
    X(undrained, "", "an operator let jobs start again")                       \
    X(quiet, "", "the queue is drained, and the last running job has ended")   \
    X(submitted, "", "a sweep was submitted")                                  \
    X(retried, "", "jobs of it were sent to the queue again")                  \
    X(cancelled, "", "jobs of it were cancelled")                              \
    X(held, "", "jobs of it were kept from starting")                          \
    X(paused, "", "jobs of it were stopped at a checkpoint, and held")         \
    X(released, "", "held jobs of it may start, or go on")                     \
    X(changed, "", "a control of it was changed")                              \
    X(deleted, "", "a sweep was deleted, with what only it needed")            \
    X(finished, "", "every job of a sweep is done, failed or cancelled")       \
    X(hook, "", "the hook of a finished sweep has ended, and what it said")    \
    X(failed, "failed", "a job failed, and why")                               \
    X(crashed, "", "the worker of an attempt ended by its own fault")          \
    X(stalled, "", "the worker of an attempt stopped computing, and was killed")\
    X(out_of_service, "slots out of service",                                  \
      "a slot gets no jobs: its worker does not start, or its GPU failed")     \
    X(in_service, "", "a slot that was out of service is back")                \
    X(lost, "", "the worker of an attempt ended by nobody's fault")            \
    X(crowded, "", "an attempt found its GPU's memory taken by others")        \
    X(unsaved, "", "a checkpoint could not be written; training went on")      \
    X(damaged, "", "a checkpoint could not be read, and was set aside")        \
    X(nondeterministic, "", "an attempt did not repeat what is stored")        \
    X(missing, "damaged write-ahead log (gaitctl fsck tells what is missing)",  \
      "the log that was found was damaged, and what it has lost")              \
    X(resumed, "jobs resumed",                                                 \
      "a job goes on after an attempt that did not end it, from which step; "  \
      "`cost_s`: seconds of computing that are done again")
// clang-format on

struct event_kind {
    const char *name, *news, *meaning;
};
extern const struct event_kind event_kinds[];
extern const int event_kind_count;

/* NULL when there is no such kind. */
const struct event_kind *event_kind_find(const char *name);

#endif
