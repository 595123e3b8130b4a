/* The store's thread: what waits becomes one transaction.
 *
 * Disk full (or a database locked by somebody's sqlite3, or an input/output
 * error before the COMMIT): the transaction is rolled back; requests are
 * answered with the error, and what workers did is kept and tried again with
 * the next operation, or after RETRY_S.
 *
 * No transaction is long: what takes its time does so in pieces, one in each
 * transaction, and a batch that has had BATCH_S is committed before the rest
 * of it.
 */
#include "daemon/operation.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/tables.h"
#include "schema/memory.h"

enum {
    RETRY_S = 2,    /* what was kept */
    IDLE_S = 1,     /* until the WAL is copied */
    BALLAST_S = 60, /* until the ballast is tried again */
};

static const double PIECE_S = 0.01, BATCH_S = 0.02;

void store_push(struct store *store, struct operation *operation)
{
    pthread_mutex_lock(&store->mutex);
    operations_add(&store->waiting, operation);
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

/* Time. */

static double wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double store_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool store_piece_is_over(const struct store *store)
{
    return store_clock() - store->piece_began > PIECE_S;
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
    const struct reserved reserved = store->reserved;
    operation->is_unfinished = false;
    store->piece_began = store_clock();
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
    store->reserved = reserved;
    if (!db_in_transaction(store->db) || operation->is_kept ||
        db_trouble(store->db) != DB_FINE)
        return false;
    db_undo(store->db);
    operation->is_refused = true;
    answer(store, operation, error);
    return true;
}

/* What follows `operation` in its batch is left for the next one. */
static void cut(struct store *store, struct operations *batch,
                struct operation *operation)
{
    if (!operation->next)
        return;
    struct operations rest = {operation->next, batch->end};
    operation->next = NULL;
    batch->end = &operation->next;
    operations_join(&store->rest, &rest);
}

void store_urge(struct store *store, struct operation *operation)
{
    operations_add(&store->urgent, operation);
}

static bool run_urgent(struct store *store, struct operations *batch,
                       struct error *error)
{
    struct operation *operation;
    while ((operation = store->urgent.first)) {
        store->urgent.first = operation->next;
        if (!store->urgent.first)
            operations_init(&store->urgent);
        operations_add(batch, operation);
        if (!run_one(store, operation, error))
            return false;
    }
    return true;
}

/* *is_known: that nothing of it is stored, if it fails. */
static bool run_all(struct store *store, struct operations *batch,
                    bool *is_known, struct error *error)
{
    *is_known = true;
    double began = store_clock();
    if (!db_begin(store->db, error))
        return false;
    for (struct operation *o = batch->first; o; o = o->next) {
        if (!run_one(store, o, error))
            return false;
        if (store_clock() - began > BATCH_S)
            cut(store, batch, o);
    }
    if (!run_urgent(store, batch, error) || !store_dispatch(store, error))
        return false;
    *is_known = false;
    return db_commit(store->db, error);
}

/* Whether it is worth trying again: what could not be written or read is not
 * lost, unless the COMMIT itself failed for another reason than room. */
static bool is_passing(const struct store *store, bool is_known)
{
    enum db_trouble trouble = db_trouble(store->db);
    return trouble == DB_LATER || (trouble == DB_BROKEN && is_known);
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

/* The operation is over; what it leaves to be done is gone on with. */
static void end(struct store *store, struct operation *operation,
                bool has_failed)
{
    struct operation **left =
        has_failed ? &operation->remedy : &operation->sequel;
    if (*left)
        operations_add(&store->unfinished, *left);
    *left = NULL;
    operation_free(operation);
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
            operations_add(&store->kept, operation);
        } else {
            answer(store, operation, error);
            end(store, operation, true);
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
            operations_add(&store->unfinished, operation);
        else
            end(store, operation, operation->is_refused);
        operation = next;
    }
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
    bool is_drained = store->is_drained;
    const struct reserved reserved = store->reserved;
    int64_t written = db_written(store->db);
    store->now = wall_clock();
    remember_slots(store);
    bool is_known;
    if (run_all(store, batch, &is_known, &error)) {
        if (db_written(store->db) > written)
            note_stored(store, NULL);
        settle(store, batch);
    } else {
        notices_release(&store->said);
        db_rollback(store->db);
        restore_slots(store, slot_count);
        store->is_drained = is_drained;
        operations_free(&store->urgent); /* they come again */
        store->reserved = reserved;
        if (is_passing(store, is_known)) {
            ballast_drop(&store->ballast);
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

static void care_for_disk(struct store *store, bool is_idle)
{
    struct error error;
    if (store_disk_care(store, is_idle, &error) ||
        db_trouble(store->db) != DB_BROKEN)
        return;
    break_down(store, &error);
    hand_over(store);
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

/* One of those that are done in pieces. */
static void take_piece(struct store *store, struct operations *batch)
{
    struct operation *operation = store->unfinished.first;
    if (!operation)
        return;
    store->unfinished.first = operation->next;
    if (!operation->next)
        operations_init(&store->unfinished);
    operations_add(batch, operation);
}

/* There is no time for them any more: they begin anew, if they are asked for
 * again, or where the database says that something is left to be done. */
static void refuse_unfinished(struct store *store)
{
    struct error error;
    error_set(&error, ERROR_BUSY, "gaitd is shutting down");
    for (struct operation *o = store->unfinished.first; o; o = o->next)
        answer(store, o, &error);
    operations_free(&store->unfinished);
    hand_over(store);
}

/* What is to be done next, in `batch`; false when it is time to end. */
static bool take(struct store *store, struct operations *batch)
{
    pthread_mutex_lock(&store->mutex);
    if (store->kept.first)
        wait_for(store, RETRY_S);
    else if (store->rest.first || store->unfinished.first)
        ; /* there is something to do */
    else if (store->is_broken ||
             (db_wal_pages(store->db) == 0 && store->ballast.is_there))
        wait_long(store);
    else if (db_wal_pages(store->db) == 0)
        wait_for(store, BALLAST_S);
    else
        wait_for(store, IDLE_S);
    bool is_last = store->is_closing;
    operations_init(batch);
    operations_join(batch, &store->kept);
    operations_join(batch, &store->rest);
    operations_join(batch, &store->waiting);
    pthread_mutex_unlock(&store->mutex);
    if (is_last && !batch->first)
        refuse_unfinished(store);
    else
        take_piece(store, batch);
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
        if (!store->is_broken)
            care_for_disk(store, is_idle);
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
    operations_init(&store->rest);
    operations_init(&store->unfinished);
    operations_init(&store->urgent);
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
    operations_free(&store->rest);
    operations_free(&store->unfinished);
    operations_free(&store->urgent);
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
    struct operation *settling = NULL;
    bool is_fine = db_begin(store->db, error) && store_recover(store, error) &&
                   store_drain_load(store, error) &&
                   store_fail_fast_recover(store, error) &&
                   store_sweep_recover(store, &settling, error) &&
                   db_commit(store->db, error);
    if (is_fine)
        operations_add(&store->unfinished, settling);
    else
        operation_free(settling);
    operations_join(&store->unfinished, &store->urgent);
    notices_release(&store->said); /* nobody listens yet */
    return is_fine;
}

/* On a full disk with what the ballast gives. */
static bool open_database(struct store *store, const char *path,
                          struct error *error)
{
    do {
        store->db = tables_open(path, error);
        if (store->db && recover(store, error))
            return true;
        db_close(store->db);
        store->db = NULL;
    } while (error->code == ERROR_IO && ballast_drop(&store->ballast));
    return false;
}

struct store *store_open(const char *path, const struct store_hooks *hooks,
                         struct error *error)
{
    struct store *store = xcalloc(1, sizeof *store);
    init(store, hooks);
    if (!ballast_init(&store->ballast, path, error) ||
        !open_database(store, path, error)) {
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
