#include "daemon/reader.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/gate.h"
#include "daemon/notice.h"
#include "daemon/query.h"
#include "schema/json.h"
#include "schema/memory.h"

struct asked {
    struct asked *next;
    query_function *function;
    struct cJSON *params;
    struct caller caller;
    store_reply *reply;
    void *user;
};

struct thread {
    struct reader *reader;
    struct db *db;
    pthread_t id;
    struct asked *asked; /* being answered, or NULL; the mutex guards it */
};

struct reader {
    void (*wake)(void *user);
    void *user;
    double deadline_s;
    struct gate *gate;
    int thread_count;
    struct thread *threads;

    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    struct asked *first, **end;
    struct notices ready;
    bool is_closing;
};

static void hand_over(struct reader *reader, const struct asked *asked,
                      struct cJSON *result, const struct error *error)
{
    pthread_mutex_lock(&reader->mutex);
    notice_reply(&reader->ready, asked->reply, asked->user, result,
                 result ? NULL : error, NULL);
    pthread_mutex_unlock(&reader->mutex);
    reader->wake(reader->user);
}

static void asked_free(struct asked *asked)
{
    cJSON_Delete(asked->params);
    free(asked);
}

static void answer(struct thread *thread, struct asked *asked)
{
    struct error error;
    struct cJSON *result = NULL;
    const struct question question = {
        .db = thread->db,
        .params = asked->params,
        .caller = &asked->caller,
    };
    gate_enter(thread->reader->gate);
    db_deadline(thread->db, thread->reader->deadline_s);
    if (db_begin(thread->db, &error))
        result = asked->function(&question, &error);
    db_deadline(thread->db, 0);
    db_rollback(thread->db); /* nothing was written */
    if (result && json_is_large(result))
        result = json_raw(result); /* printed here, not by the loop */
    gate_leave(thread->reader->gate);
    hand_over(thread->reader, asked, result, &error);
}

/* Questions of a user that are being answered. */
static int busy_for(const struct reader *reader, uid_t uid)
{
    int count = 0;
    for (int i = 0; i < reader->thread_count; i++) {
        const struct asked *asked = reader->threads[i].asked;
        count += asked && asked->caller.uid == uid;
    }
    return count;
}

/* The first question of a user who has not half of the threads already: long
 * questions of one user leave room for others'.  NULL when there is none. */
static struct asked *take_first(struct reader *reader)
{
    int share = (reader->thread_count + 1) / 2;
    struct asked **at = &reader->first;
    while (*at && busy_for(reader, (*at)->caller.uid) >= share)
        at = &(*at)->next;
    struct asked *asked = *at;
    if (!asked)
        return NULL;
    *at = asked->next;
    if (!*at)
        reader->end = at;
    return asked;
}

/* The next question; NULL when it is time to end. */
static struct asked *take(struct thread *thread)
{
    struct reader *reader = thread->reader;
    struct asked *asked = NULL;
    pthread_mutex_lock(&reader->mutex);
    while (!reader->is_closing && !(asked = take_first(reader)))
        pthread_cond_wait(&reader->changed, &reader->mutex);
    thread->asked = asked;
    pthread_mutex_unlock(&reader->mutex);
    return asked;
}

/* It counts no longer among its user's. */
static void finish(struct thread *thread, struct asked *asked)
{
    pthread_mutex_lock(&thread->reader->mutex);
    thread->asked = NULL;
    pthread_mutex_unlock(&thread->reader->mutex);
    asked_free(asked);
}

static void *work(void *user)
{
    struct thread *thread = user;
    struct asked *asked;
    while ((asked = take(thread))) {
        answer(thread, asked);
        finish(thread, asked);
    }
    return NULL;
}

static bool start(struct reader *reader, const char *path, struct error *error)
{
    struct thread *thread = &reader->threads[reader->thread_count];
    thread->reader = reader;
    thread->db = db_open(path, DB_READ, error);
    if (!thread->db)
        return false;
    pthread_mutex_lock(&reader->mutex); /* the others count by it */
    int failure = pthread_create(&thread->id, NULL, work, thread);
    reader->thread_count += !failure;
    pthread_mutex_unlock(&reader->mutex);
    if (failure) {
        db_close(thread->db);
        return error_set(error, ERROR_IO, "no thread for a reader: %s",
                         strerror(failure));
    }
    return true;
}

struct reader *reader_open(const char *path, struct gate *gate, int threads,
                           double deadline_s, void (*wake)(void *user),
                           void *user, struct error *error)
{
    struct reader *reader = xcalloc(1, sizeof *reader);
    reader->wake = wake;
    reader->user = user;
    reader->deadline_s = deadline_s;
    reader->gate = gate;
    reader->threads = xcalloc((size_t)threads, sizeof *reader->threads);
    reader->end = &reader->first;
    notices_init(&reader->ready);
    pthread_mutex_init(&reader->mutex, NULL);
    pthread_cond_init(&reader->changed, NULL);
    for (int i = 0; i < threads; i++)
        if (!start(reader, path, error)) {
            reader_close(reader);
            return NULL;
        }
    return reader;
}

/* Nobody is left without an answer. */
static void refuse_waiting(struct reader *reader)
{
    struct error error;
    error_set(&error, ERROR_BUSY, "shutting down");
    while (reader->first) {
        struct asked *asked = reader->first;
        reader->first = asked->next;
        notice_reply(&reader->ready, asked->reply, asked->user, NULL, &error,
                     NULL);
        asked_free(asked);
    }
}

void reader_close(struct reader *reader)
{
    if (!reader)
        return;
    pthread_mutex_lock(&reader->mutex);
    reader->is_closing = true;
    pthread_cond_broadcast(&reader->changed);
    pthread_mutex_unlock(&reader->mutex);
    for (int i = 0; i < reader->thread_count && reader->deadline_s <= 0; i++)
        db_stop(reader->threads[i].db);
    for (int i = 0; i < reader->thread_count; i++) {
        pthread_join(reader->threads[i].id, NULL);
        db_close(reader->threads[i].db);
    }
    refuse_waiting(reader);
    notices_deliver(&reader->ready, NULL);
    pthread_cond_destroy(&reader->changed);
    pthread_mutex_destroy(&reader->mutex);
    free(reader->threads);
    free(reader);
}

void reader_deliver(struct reader *reader)
{
    struct notices ready;
    notices_init(&ready);
    pthread_mutex_lock(&reader->mutex);
    notices_move(&ready, &reader->ready);
    pthread_mutex_unlock(&reader->mutex);
    notices_deliver(&ready, NULL); /* replies only, which need no hooks */
}

void reader_ask(struct reader *reader, const char *method, struct cJSON *params,
                const struct caller *caller, store_reply *reply, void *user)
{
    struct asked *asked = xcalloc(1, sizeof *asked);
    asked->function = query_find(method);
    asked->params = params;
    asked->caller = *caller;
    asked->reply = reply;
    asked->user = user;
    if (!asked->function) {
        struct error error;
        error_set(&error, ERROR_METHOD, "no question \"%s\"", method);
        hand_over(reader, asked, NULL, &error);
        asked_free(asked);
        return;
    }
    pthread_mutex_lock(&reader->mutex);
    *reader->end = asked;
    reader->end = &asked->next;
    pthread_cond_signal(&reader->changed);
    pthread_mutex_unlock(&reader->mutex);
}
