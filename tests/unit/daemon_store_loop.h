/* A store on a real file in a folder of its own, and a loop of one thread that
 * waits for it on a condition variable and records what it is told. */
#ifndef TESTS_DAEMON_STORE_LOOP_H
#define TESTS_DAEMON_STORE_LOOP_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/db.h"
#include "daemon/gate.h"
#include "daemon/reader.h"
#include "daemon/store.h"
#include "schema/memory.h"

enum { TRACE_MAX = 4096 };

struct trace_change {
    int64_t job, sweep, position, epoch, nb_epochs;
    enum job_state from, to;
    double test_accuracy;
    char label[64], reason[256];
};

struct loop {
    char folder[64], path[128];
    struct store *store;
    struct reader *reader;
    struct gate *gate;
    pthread_mutex_t mutex;
    pthread_cond_t woken;
    int wakes; /* under the mutex */

    int dispatch_count, change_count, committed_count, closed_count;
    int stop_count, limited_count, refused_count, fatal_count, left_count;
    int64_t event; /* the last one */
    int hook_count;
    struct hook_order hook; /* likewise */
    int stuck_count, unstuck_count, wait_count;
    double wait_s[TRACE_MAX];
    int wanted_count, wanted[TRACE_MAX]; /* devices */
    struct dispatch dispatches[TRACE_MAX];
    struct trace_change changes[TRACE_MAX];
    int64_t committed_attempt[TRACE_MAX], committed_step[TRACE_MAX];
    int64_t closed[TRACE_MAX], stops[TRACE_MAX], refused[TRACE_MAX];
    int64_t waits[TRACE_MAX];
    struct error refusal, stuck, fatal, left;
};

static inline void on_wake(void *user)
{
    struct loop *loop = user;
    pthread_mutex_lock(&loop->mutex);
    loop->wakes++;
    pthread_cond_signal(&loop->woken);
    pthread_mutex_unlock(&loop->mutex);
}

static inline void on_dispatch(void *user, const struct dispatch *dispatch)
{
    struct loop *loop = user;
    loop->dispatches[loop->dispatch_count++ % TRACE_MAX] = *dispatch;
}

static inline void on_change(void *user, const struct job_change *c)
{
    struct loop *loop = user;
    struct trace_change *t = &loop->changes[loop->change_count++ % TRACE_MAX];
    *t = (struct trace_change){
        .job = c->job,
        .sweep = c->sweep,
        .position = c->position,
        .epoch = c->epoch,
        .nb_epochs = c->nb_epochs,
        .from = c->from,
        .to = c->to,
        .test_accuracy = c->test_accuracy,
    };
    snprintf(t->label, sizeof t->label, "%s", c->label);
    snprintf(t->reason, sizeof t->reason, "%s", c->reason ? c->reason : "");
}

static inline void on_committed(void *user, int64_t attempt, int64_t step)
{
    struct loop *loop = user;
    int i = loop->committed_count++ % TRACE_MAX;
    loop->committed_attempt[i] = attempt;
    loop->committed_step[i] = step;
}

static inline void on_closed(void *user, int64_t attempt)
{
    struct loop *loop = user;
    loop->closed[loop->closed_count++ % TRACE_MAX] = attempt;
}

static inline void on_stop(void *user, int64_t attempt)
{
    struct loop *loop = user;
    loop->stops[loop->stop_count++ % TRACE_MAX] = attempt;
}

static inline void on_limited(void *user, int64_t attempt)
{
    struct loop *loop = user;
    (void)attempt;
    loop->limited_count++;
}

static inline void on_refused(void *user, int64_t attempt,
                              const struct error *error)
{
    struct loop *loop = user;
    loop->refused[loop->refused_count++ % TRACE_MAX] = attempt;
    loop->refusal = *error;
}

static inline void on_hook(void *user, const struct hook_order *order)
{
    struct loop *loop = user;
    loop->hook_count++;
    loop->hook = *order;
}

static inline void on_event(void *user, int64_t event, const char *kind)
{
    (void)kind;
    struct loop *loop = user;
    loop->event = event;
}

static inline void on_wait(void *user, int64_t job, double seconds)
{
    struct loop *loop = user;
    int i = loop->wait_count++ % TRACE_MAX;
    loop->waits[i] = job;
    loop->wait_s[i] = seconds;
}

static inline void on_wanted(void *user, int device)
{
    struct loop *loop = user;
    loop->wanted[loop->wanted_count++ % TRACE_MAX] = device;
}

static inline void on_stuck(void *user, const struct error *error)
{
    struct loop *loop = user;
    if (error)
        loop->stuck = *error;
    *(error ? &loop->stuck_count : &loop->unstuck_count) += 1;
}

static inline void on_left(void *user, const struct error *error)
{
    struct loop *loop = user;
    loop->left_count++;
    loop->left = *error;
}

static inline void on_fatal(void *user, const struct error *error)
{
    struct loop *loop = user;
    loop->fatal_count++;
    loop->fatal = *error;
}

static inline struct store *loop_open_store(struct loop *loop,
                                            struct error *error)
{
    const struct store_hooks hooks = {
        .user = loop,
        .on_dispatch = on_dispatch,
        .on_change = on_change,
        .on_committed = on_committed,
        .on_closed = on_closed,
        .on_stop = on_stop,
        .on_limited = on_limited,
        .on_refused = on_refused,
        .on_hook = on_hook,
        .on_event = on_event,
        .on_wait = on_wait,
        .on_wanted = on_wanted,
        .on_stuck = on_stuck,
        .on_left = on_left,
        .on_fatal = on_fatal,
        .gate = loop->gate,
        .wake = on_wake,
    };
    loop->store = store_open(loop->path, &hooks, error);
    if (loop->store) /* this loop wants to hear of all jobs */
        loop->store->watched_job = INT64_MAX;
    return loop->store;
}

static inline struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof *loop);
    snprintf(loop->folder, sizeof loop->folder, "/tmp/gaitd-test-XXXXXX");
    assert_non_null(mkdtemp(loop->folder));
    snprintf(loop->path, sizeof loop->path, "%s/gaitd.db", loop->folder);
    loop->gate = gate_new();
    pthread_mutex_init(&loop->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&loop->woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return loop;
}

static inline struct loop *loop_start(void)
{
    struct loop *loop = loop_new();
    struct error error;
    if (!loop_open_store(loop, &error))
        fail_msg("%s", error.text);
    return loop;
}

static inline void loop_open_reader(struct loop *loop, double deadline_s)
{
    struct error error;
    loop->reader = reader_open(loop->path, loop->gate, 2, deadline_s, on_wake,
                               loop, &error);
    if (!loop->reader)
        fail_msg("%s", error.text);
}

/* The database, while it is closed. */
static inline void loop_change(struct loop *loop, const char *sql)
{
    struct error error;
    struct db *db = db_open(loop->path, DB_WRITE, &error);
    if (!db || !db_script(db, sql, &error))
        fail_msg("%s", error.text);
    db_close(db);
}

static inline void loop_remove(struct loop *loop)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-ledger",
                                       ".version-1.backup"};
    for (int i = 0; i < 5; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s%s", loop->path, ends[i]);
        unlink(path);
    }
    char ballast[160];
    snprintf(ballast, sizeof ballast, "%s/ballast", loop->folder);
    unlink(ballast);
    rmdir(loop->folder);
    pthread_cond_destroy(&loop->woken);
    pthread_mutex_destroy(&loop->mutex);
    gate_free(loop->gate);
    free(loop);
}

/* What the store keeps instead of counting is what counting finds. */
static inline void loop_check_totals(struct loop *loop)
{
    struct error error;
    struct db *db = db_open(loop->path, DB_READ, &error);
    if (!db)
        fail_msg("%s", error.text);
    struct statement *s =
        db_sql(db, "SELECT t.state, t.count, (SELECT count(*) FROM job j "
                   "JOIN sweep s ON s.id = j.sweep_id WHERE s.is_complete "
                   "AND s.is_hidden = 0 AND j.state = t.state) AS counted "
                   "FROM job_total t WHERE t.count <> counted");
    if (statement_next(s))
        fail_msg("job_total says %lld %s, and there are %lld",
                 (long long)column_integer(s, 1), column_text(s, 0),
                 (long long)column_integer(s, 2));
    if (!statement_finish(s, &error))
        fail_msg("%s", error.text);
    db_close(db);
}

static inline void loop_end(struct loop *loop)
{
    if (loop->reader)
        reader_close(loop->reader);
    store_close(loop->store);
    loop_check_totals(loop);
    loop_remove(loop);
}

/* Waits for the next wake and delivers; fails after half a minute. */
static inline void loop_turn(struct loop *loop)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 30;
    pthread_mutex_lock(&loop->mutex);
    while (!loop->wakes)
        if (pthread_cond_timedwait(&loop->woken, &loop->mutex, &until))
            fail_msg("nothing happened in 30 s");
    loop->wakes = 0;
    pthread_mutex_unlock(&loop->mutex);
    store_deliver(loop->store);
    if (loop->reader)
        reader_deliver(loop->reader);
}

#define WAIT_FOR(loop, condition)                                              \
    while (!(condition))                                                       \
    loop_turn(loop)

#endif
