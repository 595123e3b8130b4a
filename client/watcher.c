#include "client/watcher.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/exits.h"
#include "client/listing.h"
#include "client/text.h"
#include "schema/memory.h"

/* Ctrl-C and changes of the window's size, read like everything else. */
static int open_signals(struct error *error)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0)
        error_set(error, ERROR_IO, "cannot listen for signals: %s",
                  strerror(errno));
    return fd;
}

bool watcher_open(struct watcher *watcher, const char *target,
                  const struct deadline *deadline, struct error *error)
{
    *watcher = (struct watcher){.signal_fd = -1};
    watcher->begun_at = monotonic_seconds();
    text_clean(watcher->target, sizeof watcher->target, target);
    if (!connection_open_until(&watcher->connection, deadline, error))
        return false;
    watcher->signal_fd = open_signals(error);
    return watcher->signal_fd >= 0 &&
           connection_send(&watcher->connection, "watch",
                           params_of_target(target), error);
}

void watcher_close(struct watcher *watcher)
{
    if (watcher->signal_fd >= 0)
        close(watcher->signal_fd);
    connection_close(&watcher->connection);
    free(watcher->running);
    *watcher = (struct watcher){.signal_fd = -1, .connection = {.fd = -1}};
}

static int find_running(const struct watcher *watcher, int64_t job)
{
    for (int i = 0; i < watcher->running_count; i++)
        if (watcher->running[i].job == job)
            return i;
    return -1;
}

static struct running *running_of(struct watcher *watcher, int64_t job)
{
    int i = find_running(watcher, job);
    if (i >= 0)
        return &watcher->running[i];
    size_t bytes =
        (size_t)(watcher->running_count + 1) * sizeof *watcher->running;
    watcher->running = xrealloc(watcher->running, bytes);
    struct running *added = &watcher->running[watcher->running_count++];
    *added = (struct running){
        .job = job, .steps_per_second = NAN, .test_accuracy = NAN};
    return added;
}

static void drop_running(struct watcher *watcher, int64_t job)
{
    int i = find_running(watcher, job);
    if (i < 0)
        return;
    watcher->running_count--;
    memmove(&watcher->running[i], &watcher->running[i + 1],
            (size_t)(watcher->running_count - i) * sizeof *watcher->running);
}

/* What is missing in `params`, or null there, stays as it was. */
static void take_progress(struct watcher *watcher, const struct cJSON *params)
{
    struct running *job =
        running_of(watcher, json_integer_or(params, "job", 0));
    text_clean(job->label, sizeof job->label,
               json_text_or(params, "label", job->label));
    job->step = json_integer_or(params, "step", job->step);
    job->steps = json_integer_or(params, "steps", job->steps);
    job->epoch = json_integer_or(params, "epoch", job->epoch);
    job->nb_epochs = json_integer_or(params, "nb_epochs", job->nb_epochs);
    job->steps_per_second =
        json_real_or(params, "steps_per_second", job->steps_per_second);
    job->test_accuracy =
        json_real_or(params, "test_accuracy", job->test_accuracy);
}

static void take_event(struct watcher *watcher, const struct cJSON *params)
{
    int from = job_state_find(json_text_or(params, "from", ""));
    int to = job_state_find(json_text_or(params, "to", ""));
    if (from >= 0)
        watcher->counts[from]--;
    if (to >= 0)
        watcher->counts[to]++;
    if (to == JOB_running)
        take_progress(watcher, params);
    else
        drop_running(watcher, json_integer_or(params, "job", 0));
}

/* The sweep's name, when the target is one. */
static void take_name(struct watcher *watcher, const struct cJSON *state)
{
    const char *name = json_text_or(state, "sweep", NULL);
    watcher->is_sweep = name != NULL;
    if (name != NULL)
        text_clean(watcher->target, sizeof watcher->target, name);
}

static void take_state(struct watcher *watcher, const struct cJSON *state)
{
    const struct cJSON *counts =
        cJSON_GetObjectItemCaseSensitive(state, "counts");
    const struct cJSON *job;
    watcher->is_begun = true;
    watcher->job_count = json_integer_or(state, "job_count", 0);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        watcher->counts[i] =
            json_integer_or(counts, job_state_name((enum job_state)i), 0);
    cJSON_ArrayForEach(job, cJSON_GetObjectItemCaseSensitive(state, "running"))
    {
        take_progress(watcher, job);
    }
    take_name(watcher, state);
    watcher->progress_at_begin = watcher_progress(watcher);
}

double watcher_progress(const struct watcher *watcher)
{
    double sum = 0;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        if (job_is_final((enum job_state)i))
            sum += (double)watcher->counts[i];
    for (int i = 0; i < watcher->running_count; i++) {
        const struct running *job = &watcher->running[i];
        if (job->steps > 0)
            sum += (double)job->step / (double)job->steps;
    }
    return sum;
}

double watcher_seconds_left(const struct watcher *watcher)
{
    double now = watcher_progress(watcher);
    double gained = now - watcher->progress_at_begin;
    double seconds = monotonic_seconds() - watcher->begun_at;
    if (gained <= 0 || seconds < 2)
        return NAN;
    return ((double)watcher->job_count - now) * seconds / gained;
}

void watcher_name(const struct watcher *watcher, char *text, size_t bytes)
{
    const char *kind = strstr(watcher->target, "..") ? "jobs" : "job";
    if (!watcher->is_begun)
        snprintf(text, bytes, "\"%s\"", watcher->target);
    else if (watcher->is_sweep)
        snprintf(text, bytes, "sweep \"%s\"", watcher->target);
    else
        snprintf(text, bytes, "%s %s", kind, watcher->target);
}

void watcher_counts(const struct watcher *watcher, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < JOB_STATE_COUNT && used < bytes; i++)
        if (watcher->counts[i] > 0)
            used += (size_t)snprintf(text + used, bytes - used, "%s%lld %s",
                                     used > 0 ? ", " : "",
                                     (long long)watcher->counts[i],
                                     job_state_name((enum job_state)i));
}

bool watcher_is_over(const struct watcher *watcher)
{
    int64_t final = 0;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        if (job_is_final((enum job_state)i))
            final += watcher->counts[i];
    return watcher->is_begun && final >= watcher->job_count;
}

static int status_of(const struct watcher *watcher)
{
    if (watcher->counts[JOB_failed] > 0)
        return EXIT_FAILED;
    return watcher->counts[JOB_cancelled] > 0 ? EXIT_CANCELLED : EXIT_GOOD;
}

static void tell(const struct watch_view *view, const struct watcher *watcher,
                 enum watch_news news, const struct cJSON *params)
{
    if (view != NULL)
        view->on_news(view->user, watcher, news, params);
}

/* The answer to "watch", a notification, or an error.  False: it ends here,
 * and `error` says why. */
static bool take_message(struct watcher *watcher, const struct watch_view *view,
                         struct cJSON *message, struct error *error)
{
    struct cJSON *result;
    if (connection_answer(&watcher->connection, message, &result, error)) {
        if (result == NULL)
            return false;
        take_state(watcher, result);
        cJSON_Delete(result);
        tell(view, watcher, WATCH_BEGUN, NULL);
        return true;
    }
    const char *method = json_text_or(message, "method", "");
    const struct cJSON *params =
        cJSON_GetObjectItemCaseSensitive(message, "params");
    if (strcmp(method, "event") == 0) {
        take_event(watcher, params);
        tell(view, watcher, WATCH_EVENT, params);
    } else if (strcmp(method, "progress") == 0) {
        take_progress(watcher, params);
        tell(view, watcher, WATCH_PROGRESS, params);
    } else if (strcmp(method, "shutdown") == 0) {
        return error_set(error, ERROR_UNREACHABLE,
                         "gaitd is shutting down; the jobs go on when it is "
                         "started again, with: gaitd");
    }
    return true;
}

static int say_timeout(const struct watcher *watcher)
{
    char name[SPEC_NAME_BYTES + 16], counts[256];
    double timeout_s = watcher->connection.deadline.timeout_s;
    watcher_name(watcher, name, sizeof name);
    watcher_counts(watcher, counts, sizeof counts);
    if (watcher->is_begun)
        fprintf(stderr, "gaitctl: %s: not finished after %g s (%s)\n", name,
                timeout_s, counts);
    else
        fprintf(stderr, "gaitctl: %s: gaitd has not answered after %g s\n",
                name, timeout_s);
    return EXIT_TIMEOUT;
}

static int say_detached(const struct watcher *watcher)
{
    char name[SPEC_NAME_BYTES + 16];
    watcher_name(watcher, name, sizeof name);
    fprintf(stderr,
            "detached from %s; the jobs go on; cancel them with: gaitctl "
            "cancel %s\n",
            name, watcher->target);
    return EXIT_INTERRUPTED;
}

/* SIGINT: true. */
static bool take_signal(struct watcher *watcher, const struct watch_view *view)
{
    struct signalfd_siginfo info;
    if (read(watcher->signal_fd, &info, sizeof info) != sizeof info)
        return false;
    if (info.ssi_signo == SIGINT)
        return true;
    tell(view, watcher, WATCH_RESIZED, NULL);
    return false;
}

/* Milliseconds until the view wants to be woken, or -1. */
static int patience(const struct watch_view *view)
{
    return view != NULL && view->quiet_ms != NULL ? view->quiet_ms(view->user)
                                                  : -1;
}

/* One thing that happens.  A status to end with, or -2 to go on. */
static int step(struct watcher *watcher, const struct watch_view *view,
                struct error *error)
{
    struct cJSON *message;
    bool good;
    switch (connection_hear(&watcher->connection, watcher->signal_fd,
                            patience(view), &message, error)) {
    case HEARD_MESSAGE:
        good = take_message(watcher, view, message, error);
        cJSON_Delete(message);
        return good ? -2 : -1;
    case HEARD_SIGNAL:
        return take_signal(watcher, view) ? EXIT_INTERRUPTED : -2;
    case HEARD_TIMEOUT:
        if (deadline_is_over(&watcher->connection.deadline))
            return EXIT_TIMEOUT;
        tell(view, watcher, WATCH_QUIET, NULL);
        return -2;
    case HEARD_END:
        error_set(error, ERROR_UNREACHABLE,
                  "gaitd went away; what it acknowledged is stored and goes on "
                  "when it is started again, with: gaitd");
        return -1;
    default:
        return -1;
    }
}

static int say_end(const struct watcher *watcher)
{
    char name[SPEC_NAME_BYTES + 16], counts[256];
    watcher_name(watcher, name, sizeof name);
    watcher_counts(watcher, counts, sizeof counts);
    fprintf(stderr, "%s: %s\n", name, counts);
    return status_of(watcher);
}

int watcher_run(struct watcher *watcher, const struct watch_view *view,
                struct error *error)
{
    int status = -2;
    while (status == -2 && !watcher_is_over(watcher))
        status = step(watcher, view, error);
    tell(view, watcher, WATCH_OVER, NULL);
    if (status == EXIT_TIMEOUT)
        return say_timeout(watcher);
    if (status == EXIT_INTERRUPTED)
        return say_detached(watcher);
    return status == -2 ? say_end(watcher) : status;
}
