/* The store's thread, from opening to closing: takes what waits and has it
 * committed.  What was kept since it could not be is tried again with the next
 * operation, or after RETRY_S. */
#include "daemon/operation.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "daemon/clock.h"
#include "daemon/tables.h"
#include "schema/memory.h"

enum {
    RETRY_S = 2,    /* what was kept */
    IDLE_S = 1,     /* until the WAL is copied */
    BALLAST_S = 60, /* until the ballast is tried again */
};

void store_push(struct store *store, struct operation *operation)
{
    pthread_mutex_lock(&store->mutex);
    operations_add(&store->waiting, operation);
    if (!store->is_gathering)
        pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

void store_gather(struct store *store, bool is_gathering)
{
    pthread_mutex_lock(&store->mutex);
    store->is_gathering = is_gathering;
    if (!is_gathering && store->waiting.first)
        pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

/* The thread. */

static void care_for_disk(struct store *store, bool is_idle)
{
    struct error error;
    if (store_disk_care(store, is_idle, &error) ||
        db_trouble(store->db) != DB_BROKEN)
        return;
    store_break_down(store, &error);
    store_hand_over(store);
}

static bool has_work(const struct store *store)
{
    return store->is_closing || (store->waiting.first && !store->is_gathering);
}

/* Returns false when `seconds` have passed first. */
static bool wait_for(struct store *store, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    while (!has_work(store))
        if (pthread_cond_timedwait(&store->changed, &store->mutex, &until))
            return false;
    return true;
}

static void wait_long(struct store *store)
{
    while (!has_work(store))
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
        store_answer(store, o, &error);
    operations_free(&store->unfinished);
    store_hand_over(store);
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
    prctl(PR_SET_NAME, STORE_IDLE);
    while (take(store, &batch)) {
        bool is_idle = !batch.first;
        if (store->is_broken)
            operations_free(&batch);
        else if (!is_idle)
            store_commit(store, &batch);
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

/* The last connection copies all of the WAL and removes it. */
static void close_database(struct store *store)
{
    if (store->db && store->ledger)
        ledger_copying(store->ledger);
    db_close(store->db);
    ledger_close(store->ledger);
    free(store->lost);
    store->db = NULL;
    store->ledger = NULL;
    store->lost = NULL;
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
    close_database(store);
    free(store->slots);
    free(store->attempts);
    free(store->jobs_of);
    free(store);
}

static bool recover(struct store *store, struct error *error)
{
    store->now = clock_wall();
    struct operation *settling = NULL;
    bool is_fine = db_begin(store->db, error) &&
                   ledger_recover(store->ledger, store->db, store->now,
                                  &store->lost, error) &&
                   store_recover(store, error) &&
                   store_drain_load(store, error) &&
                   store_fail_fast_recover(store, error) &&
                   store_sweep_recover(store, &settling, error) &&
                   store_count_write(store, error) &&
                   ledger_prepare(store->ledger, store->db, error) &&
                   db_commit(store->db, error);
    notices_release(&store->said); /* nobody listens yet */
    if (is_fine) {
        operations_add(&store->unfinished, settling);
        operations_join(&store->unfinished, &store->urgent);
    } else { /* it may be tried again */
        operation_free(settling);
        operations_free(&store->urgent);
        store->moved = (struct moved){{0}};
    }
    return is_fine;
}

/* On a full disk with what the ballast gives. */
static bool open_database(struct store *store, const char *path,
                          struct error *error)
{
    do {
        store->ledger = ledger_open(path, error);
        store->db = store->ledger ? tables_open(path, error) : NULL;
        if (store->db && recover(store, error)) {
            struct error later; /* then it is done when there is room */
            ledger_write(store->ledger);
            store_disk_copy(store, &later);
            return true;
        }
        close_database(store);
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

const char *store_lost(const struct store *store)
{
    return store->lost;
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
