/* The store's thread: what waits becomes one transaction.
 *
 * Disk full (or a database locked by somebody's sqlite3): the transaction is
 * rolled back; requests are answered with the error, and what workers did is
 * kept and tried again with the next operation, or after RETRY_S.
 *
 * The WAL is copied back when nothing has happened for IDLE_S, or when it has
 * grown by WAL_PAGES since the last time, so that no copying takes long.
 */
#include "daemon/operation.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/tables.h"
#include "schema/memory.h"

enum { WAL_PAGES = 4000, RETRY_S = 2, IDLE_S = 1 };

/* Lists of operations. */

static void operations_init(struct operations *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void append(struct operations *list, struct operation *operation)
{
    operation->next = NULL;
    *list->end = operation;
    list->end = &operation->next;
}

static void join(struct operations *list, struct operations *more)
{
    if (!more->first)
        return;
    *list->end = more->first;
    list->end = more->end;
    operations_init(more);
}

void *operation_new(size_t bytes,
                    bool (*run)(struct store *, struct operation *,
                                struct error *))
{
    struct operation *operation = xcalloc(1, bytes);
    operation->run = run;
    return operation;
}

static void operation_free(struct operation *operation)
{
    if (operation->release)
        operation->release(operation);
    cJSON_Delete(operation->result);
    cJSON_Delete(operation->data);
    free(operation);
}

static void operations_free(struct operations *list)
{
    struct operation *operation = list->first;
    while (operation) {
        struct operation *next = operation->next;
        operation_free(operation);
        operation = next;
    }
    operations_init(list);
}

void store_push(struct store *store, struct operation *operation)
{
    pthread_mutex_lock(&store->mutex);
    append(&store->waiting, operation);
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

/* Answers. */

static void answer(struct store *store, struct operation *operation,
                   const struct error *error)
{
    if (!operation->reply)
        return;
    notice_reply(&store->said, operation->reply, operation->user,
                 error ? NULL : operation->result, error, operation->data);
    if (!error)
        operation->result = NULL;
    operation->data = NULL;
}

static void hand_over(struct store *store)
{
    if (!store->said.first)
        return;
    pthread_mutex_lock(&store->mutex);
    notices_move(&store->ready, &store->said);
    pthread_mutex_unlock(&store->mutex);
    store->hooks.wake(store->hooks.user);
}

static void break_down(struct store *store, const struct error *error)
{
    store->is_broken = true;
    notice_fatal(&store->said, error);
}

/* One transaction. */

/* The savepoint is the operation's; false when the transaction is lost. */
static bool run_one(struct store *store, struct operation *operation,
                    struct error *error)
{
    struct notice **mark = store->said.end;
    operation->is_unfinished = false;
    if (!db_savepoint(store->db, error))
        return false;
    if (operation->run(store, operation, error)) {
        if (!db_release(store->db, error))
            return false;
        if (!operation->is_unfinished)
            answer(store, operation, NULL);
        return true;
    }
    operation->is_unfinished = false;
    notices_undo(&store->said, mark);
    if (!db_in_transaction(store->db) || operation->is_kept ||
        db_trouble(store->db) != DB_FINE)
        return false;
    db_undo(store->db);
    answer(store, operation, error);
    return true;
}

static bool run_all(struct store *store, const struct operations *batch,
                    struct error *error)
{
    if (!db_begin(store->db, error))
        return false;
    for (struct operation *o = batch->first; o; o = o->next)
        if (!run_one(store, o, error))
            return false;
    return store_dispatch(store, error) && db_commit(store->db, error);
}

static void remember_slots(struct store *store)
{
    for (int i = 0; i < store->slot_count; i++) {
        store->attempts[i] = store->slots[i].attempt;
        store->jobs_of[i] = store->slots[i].job_of;
        store->slots[i].committed = NULL;
    }
}

static void restore_slots(struct store *store, int count)
{
    store->slot_count = count;
    for (int i = 0; i < count; i++) {
        store->slots[i].attempt = store->attempts[i];
        store->slots[i].job_of = store->jobs_of[i];
    }
    for (int i = 0; i < DEVICES_MAX; i++)
        store->cards[i].is_asked = false; /* what asked is not told */
}

/* Nothing of the batch is stored: keep what must not be lost, refuse the
 * rest. */
static void postpone(struct store *store, struct operations *batch,
                     const struct error *error)
{
    struct operation *operation = batch->first;
    operations_init(batch);
    while (operation) {
        struct operation *next = operation->next;
        if (operation->is_kept) {
            append(&store->kept, operation);
        } else {
            answer(store, operation, error);
            operation_free(operation);
        }
        operation = next;
    }
}

/* The batch is stored: what has more to do goes on later. */
static void settle(struct store *store, struct operations *batch)
{
    struct operation *operation = batch->first;
    operations_init(batch);
    while (operation) {
        struct operation *next = operation->next;
        if (operation->is_unfinished)
            append(&store->unfinished, operation);
        else
            operation_free(operation);
        operation = next;
    }
}

static double wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* `error`: why not; NULL: something was. */
static void note_stored(struct store *store, const struct error *error)
{
    if (store->is_stuck != (error != NULL))
        notice_stuck(&store->said, error);
    store->is_stuck = error != NULL;
}

static void commit_batch(struct store *store, struct operations *batch)
{
    struct error error = {0};
    int slot_count = store->slot_count;
    int64_t written = db_written(store->db);
    store->now = wall_clock();
    remember_slots(store);
    if (run_all(store, batch, &error)) {
        if (db_written(store->db) > written)
            note_stored(store, NULL);
        settle(store, batch);
    } else {
        notices_release(&store->said);
        db_rollback(store->db);
        restore_slots(store, slot_count);
        if (db_trouble(store->db) == DB_LATER) {
            note_stored(store, &error);
            postpone(store, batch, &error);
        } else {
            break_down(store, &error);
        }
        operations_free(batch);
    }
    hand_over(store);
}

/* The thread. */

static void copy_wal(struct store *store)
{
    struct error error;
    if (!db_checkpoint(store->db, &error) &&
        db_trouble(store->db) == DB_BROKEN) {
        break_down(store, &error);
        hand_over(store);
    }
}

/* Returns false when `seconds` have passed first. */
static bool wait_for(struct store *store, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    while (!store->waiting.first && !store->is_closing)
        if (pthread_cond_timedwait(&store->changed, &store->mutex, &until))
            return false;
    return true;
}

static void wait_long(struct store *store)
{
    while (!store->waiting.first && !store->is_closing)
        pthread_cond_wait(&store->changed, &store->mutex);
}

/* What is to be done next, in `batch`; false when it is time to end. */
static bool take(struct store *store, struct operations *batch)
{
    pthread_mutex_lock(&store->mutex);
    if (store->kept.first)
        wait_for(store, RETRY_S);
    else if (store->unfinished.first && !store->is_broken)
        ; /* there is something to do */
    else if (db_wal_pages(store->db) == 0 || store->is_broken)
        wait_long(store);
    else
        wait_for(store, IDLE_S);
    bool is_last = store->is_closing;
    operations_init(batch);
    join(batch, &store->kept);
    join(batch, &store->waiting);
    join(batch, &store->unfinished);
    pthread_mutex_unlock(&store->mutex);
    return batch->first || !is_last;
}

static bool is_done(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    bool is_closing = store->is_closing;
    pthread_mutex_unlock(&store->mutex);
    return is_closing && store->kept.first;
}

static void *work(void *user)
{
    struct store *store = user;
    struct operations batch;
    while (take(store, &batch)) {
        bool is_idle = !batch.first;
        if (store->is_broken)
            operations_free(&batch);
        else if (!is_idle)
            commit_batch(store, &batch);
        if (is_done(store))
            break; /* the disk is still full: these rows stay unanswered */
        if (!store->is_broken &&
            (is_idle || db_wal_pages(store->db) >= WAL_PAGES))
            copy_wal(store);
    }
    return NULL;
}

/* Outside. */

static void init(struct store *store, const struct store_hooks *hooks)
{
    store->hooks = *hooks;
    store->retry_s = 1;
    operations_init(&store->waiting);
    operations_init(&store->kept);
    operations_init(&store->unfinished);
    notices_init(&store->ready);
    notices_init(&store->said);
    pthread_mutex_init(&store->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void store_free(struct store *store)
{
    operations_free(&store->waiting);
    operations_free(&store->kept);
    operations_free(&store->unfinished);
    notices_release(&store->ready);
    notices_release(&store->said);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->mutex);
    db_close(store->db);
    free(store->slots);
    free(store->attempts);
    free(store->jobs_of);
    free(store);
}

static bool recover(struct store *store, struct error *error)
{
    store->now = wall_clock();
    bool is_fine = db_begin(store->db, error) && store_recover(store, error) &&
                   db_commit(store->db, error);
    notices_release(&store->said); /* nobody listens yet */
    return is_fine;
}

struct store *store_open(const char *path, const struct store_hooks *hooks,
                         struct error *error)
{
    struct store *store = xcalloc(1, sizeof *store);
    init(store, hooks);
    store->db = tables_open(path, error);
    if (!store->db || !recover(store, error)) {
        store_free(store);
        return NULL;
    }
    int failure = pthread_create(&store->thread, NULL, work, store);
    if (!failure)
        return store;
    error_set(error, ERROR_IO, "no thread for the store: %s",
              strerror(failure));
    store_free(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->mutex);
    store->is_closing = true;
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(store->thread, NULL);
    store_deliver(store);
    store_free(store);
}

void store_deliver(struct store *store)
{
    struct notices ready;
    notices_init(&ready);
    pthread_mutex_lock(&store->mutex);
    notices_move(&ready, &store->ready);
    pthread_mutex_unlock(&store->mutex);
    notices_deliver(&ready, &store->hooks);
}
