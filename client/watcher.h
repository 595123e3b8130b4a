/* watcher.h: jobs followed from one instant on until all of them are final.
 *
 * The daemon says how things stand and pushes what changes; the watcher keeps
 * the sums and tells a view, which draws bars, prints lines or does nothing.
 * Ctrl-C detaches: the jobs are the daemon's and go on.
 *
 *     struct watcher w;
 *     watcher_open(&w, "last", &deadline, &error);
 *     status = watcher_run(&w, &view, &error);   -1: `error` says why
 *     watcher_close(&w);                         also after a failed open
 */
#ifndef CLIENT_WATCHER_H
#define CLIENT_WATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/connection.h"
#include "schema/job.h"
#include "schema/spec.h"

enum { LABEL_BYTES = 256 };

/* A job that is running, as the last progress message had it. */
struct running {
    int64_t job;
    char label[LABEL_BYTES];
    int64_t step, steps; /* 0 of 0 before the first */
    int64_t epoch, nb_epochs;
    double steps_per_second, test_accuracy; /* NaN when unknown */
};

struct watcher {
    struct connection connection;
    int signal_fd;
    bool is_begun;                /* the daemon has said how things stand */
    double begun_at;              /* monotonic seconds */
    char target[SPEC_NAME_BYTES]; /* the sweep's name where it has one */
    bool is_sweep;
    int64_t job_count;
    int64_t counts[JOB_STATE_COUNT];
    int running_count;
    struct running *running;  /* in the order in which they began */
    double progress_at_begin; /* jobs' worth, see watcher_progress */
};

enum watch_news {
    WATCH_BEGUN,
    WATCH_EVENT,    /* with its params */
    WATCH_PROGRESS, /* with its params */
    WATCH_RESIZED,  /* the terminal */
    WATCH_QUIET,    /* nothing for as long as the view asked */
    WATCH_OVER,     /* nothing more will come, for whatever reason */
};

struct watch_view {
    void *user;
    void (*on_news)(void *user, const struct watcher *watcher,
                    enum watch_news news, const struct cJSON *params);
    /* How long to wait before WATCH_QUIET; -1: for ever.  May be NULL. */
    int (*quiet_ms)(void *user);
};

bool watcher_open(struct watcher *watcher, const char *target,
                  const struct deadline *deadline, struct error *error);
void watcher_close(struct watcher *watcher);

/* Says on stderr how it ended.  The exit status: 0, or 1 when a job failed, 5
 * when one was cancelled and none failed; EXIT_TIMEOUT and EXIT_INTERRUPTED; -1
 * with `error`.  `view` may be NULL. */
int watcher_run(struct watcher *watcher, const struct watch_view *view,
                struct error *error);

/* Jobs that are final, plus the parts done of those running. */
double watcher_progress(const struct watcher *watcher);

/* Seconds until all are final at the pace since the watch began, or NaN. */
double watcher_seconds_left(const struct watcher *watcher);

/* "sweep "x"", "job 12" or "jobs 3..9"; just the target while what it is has
 * not been said. */
void watcher_name(const struct watcher *watcher, char *text, size_t bytes);

/* "8 done, 1 failed" in `text`, states without jobs left out. */
void watcher_counts(const struct watcher *watcher, char *text, size_t bytes);

/* Whether every job is final. */
bool watcher_is_over(const struct watcher *watcher);

#endif
