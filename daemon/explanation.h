/* explanation.h: why a job is where it is, in one sentence: what
 * query_explain.c and query_waiting.c share.
 */
#ifndef DAEMON_EXPLANATION_H
#define DAEMON_EXPLANATION_H

#include "daemon/query.h"
#include "daemon/store.h"

struct subject {
    int64_t id, run, sweep, owner_uid, priority, threads, attempts;
    int64_t after, max_running; /* of its sweep; 0: none */
    enum job_state state;
    bool is_ready;
    double started_at, finished_at;
    double wait_s;          /* after a crash, from now on; 0: not for that */
    char device_class[160]; /* of its run; "": not begun */
    struct demand demand;
    char owner[64], sweep_name[SPEC_NAME_BYTES];
    char reason[1000];
    char said[1000]; /* the last line on stderr of its last attempt */
};

/* What this gaitd has. */
struct offer {
    int64_t slots, max_running_per_user;
    int place_count;
    struct place places[DEVICES_MAX];
    const struct cJSON *list; /* of the places, with what is left of them */
};

/* A job that is asked about. */
struct explanation {
    const struct question *question;
    struct subject job;
    struct offer offer;
};

/* Gives the rest of a sentence that begins with "job 12" (new text, the
 * caller's), or leaves *text NULL when there is nothing to say; false with an
 * error. */
typedef bool explanation_function(const struct explanation *e, char **text,
                                  struct error *error);

/* query_waiting.c: of a queued job; there always is something to say. */
explanation_function explain_queued;

/* "2026-11-23 02:14:05", local time; `text`. */
const char *explanation_time(double at, char text[32]);

/* Whether it has an attempt that has not ended. */
bool explanation_has_attempt(const struct explanation *e, bool *has,
                             struct error *error);

#endif
