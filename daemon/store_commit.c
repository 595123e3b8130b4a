/* What waits becomes one transaction.
 *
 * Disk full (or a database locked by somebody's sqlite3, or an input/output
 * error before the COMMIT): the transaction is rolled back; requests are
 * answered with the error, and what workers did is kept, to be tried again.
 *
 * No transaction is long: what takes its time does so in pieces, one in each
 * transaction, and a batch that has had BATCH_S is committed before the rest
 * of it.
 */
#include <cjson/cJSON.h>
#include <sys/prctl.h>

#include "daemon/clock.h"
#include "daemon/ledger_notes.h"
#include "daemon/operation.h"

static const double PIECE_S = 0.01, BATCH_S = 0.02;

bool store_piece_is_over(const struct store *store)
{
    return clock_monotonic() - store->piece_began > PIECE_S;
}

/* Answers. */

void store_answer(struct store *store, struct operation *operation,
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

void store_hand_over(struct store *store)
{
    if (!store->said.first)
        return;
    pthread_mutex_lock(&store->mutex);
    notices_move(&store->ready, &store->said);
    pthread_mutex_unlock(&store->mutex);
    store->hooks.wake(store->hooks.user);
}

void store_break_down(struct store *store, const struct error *error)
{
    store->is_broken = true;
    notice_fatal(&store->said, error);
}

/* One transaction. */

/* The savepoint is the operation's, unless its failure is the transaction's:
 * SQLite keeps a copy of each page that changes after one.  False when the
 * transaction is lost. */
static bool run_one(struct store *store, struct operation *operation,
                    struct error *error)
{
    struct notice **mark = store->said.end;
    const struct reserved reserved = store->reserved;
    const struct moved moved = store->moved;
    struct ledger_notes *notes = ledger_notes(store->ledger);
    size_t noted = notes->count;
    bool is_vital = operation->is_kept && !operation->is_spare;
    operation->is_unfinished = false;
    store->piece_began = clock_monotonic();
    if (!is_vital && !db_savepoint(store->db, error))
        return false;
    if (operation->run(store, operation, error)) {
        if (!is_vital && !db_release(store->db, error))
            return false;
        if (!operation->is_unfinished)
            store_answer(store, operation, NULL);
        return true;
    }
    operation->is_unfinished = false;
    notices_undo(&store->said, mark);
    store->reserved = reserved;
    store->moved = moved;
    notes->count = noted;
    if (!db_in_transaction(store->db) || is_vital ||
        db_trouble(store->db) != DB_FINE)
        return false;
    db_undo(store->db);
    operation->is_refused = true;
    store_answer(store, operation, error);
    if (operation->is_spare)
        notice_left(&store->said, error);
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
    double began = clock_monotonic();
    if (!db_begin(store->db, error))
        return false;
    for (struct operation *o = batch->first; o; o = o->next) {
        if (!run_one(store, o, error))
            return false;
        if (clock_monotonic() - began > BATCH_S)
            cut(store, batch, o);
    }
    if (!run_urgent(store, batch, error) || !store_dispatch(store, error) ||
        !store_count_write(store, error) ||
        !ledger_prepare(store->ledger, store->db, error))
        return false;
    *is_known = false;
    prctl(PR_SET_NAME, STORE_COMMITTING);
    bool is_stored = db_commit(store->db, error);
    prctl(PR_SET_NAME, STORE_IDLE);
    if (is_stored)
        ledger_write(store->ledger);
    return is_stored;
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
            store_answer(store, operation, error);
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

void store_commit(struct store *store, struct operations *batch)
{
    struct error error = {0};
    int slot_count = store->slot_count;
    bool is_drained = store->is_drained;
    const struct reserved reserved = store->reserved;
    int64_t written = db_written(store->db);
    store->now = clock_wall();
    remember_slots(store);
    bool is_known;
    if (run_all(store, batch, &is_known, &error)) {
        if (db_written(store->db) > written)
            note_stored(store, NULL);
        settle(store, batch);
    } else {
        notices_release(&store->said);
        ledger_notes(store->ledger)->count = 0;
        store->moved = (struct moved){{0}};
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
            store_break_down(store, &error);
        }
        operations_free(batch);
    }
    store_hand_over(store);
}
