#include "worker/attempt.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "schema/message.h"
#include "worker/channel.h"
#include "worker/checkpoint.h"
#include "worker/engine/device.h"
#include "worker/lock.h"
#include "worker/pace.h"
#include "worker/task.h"

#define PROGRESS_EVERY_S 0.5

enum kind {
    KIND_DIVERGED,
    KIND_DATASET,
    KIND_CHECKPOINT,
    KIND_MEMORY,
    KIND_DEVICE,
    KIND_ERROR
};

static const char *const kinds[] = {
    [KIND_DIVERGED] = "diverged",     [KIND_DATASET] = "dataset",
    [KIND_CHECKPOINT] = "checkpoint", [KIND_MEMORY] = "memory",
    [KIND_DEVICE] = "device",         [KIND_ERROR] = "error",
};

struct attempt {
    struct channel *channel;
    struct device *device;
    struct task task;
    int64_t sequence; /* of the next message */
    bool is_stopping; /* told to stop, or to quit */
    bool is_quitting;

    struct lock *lock;
    struct trainer *trainer;
    int64_t to_step;
    struct pace pace; /* what the next beat is expected from */

    /* What a checkpoint would hold; `saved` is what the newest one does. */
    struct checkpoint state;
    struct progress saved;
    double saved_at; /* or began, or last tried in vain */
    bool is_full;    /* the last one could not be written */

    /* For progress messages. */
    double started_at, reported_at;
    int64_t started_step;
    int64_t step; /* of the last beat */
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* --- telling -------------------------------------------------------------- */

static cJSON *message(struct attempt *attempt, const char *type)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", type);
    cJSON_AddItemToObject(message, "attempt",
                          json_integer(attempt->task.attempt));
    cJSON_AddItemToObject(message, "sequence",
                          json_integer(attempt->sequence++));
    return message;
}

static cJSON *message_at(struct attempt *attempt, const char *type,
                         int64_t step)
{
    cJSON *object = message(attempt, type);
    cJSON_AddItemToObject(object, "step", json_integer(step));
    return object;
}

static void warn(void *user, const char *text)
{
    struct attempt *attempt = user;
    cJSON *object = message(attempt, "warning");
    cJSON_AddStringToObject(object, "message", text);
    channel_send(attempt->channel, object);
}

static void tell_damaged(void *user, const char *file, const char *text)
{
    struct attempt *attempt = user;
    cJSON *object = message(attempt, "damaged");
    cJSON_AddStringToObject(object, "file", file);
    cJSON_AddStringToObject(object, "message", text);
    channel_send(attempt->channel, object);
}

/* Who hears of the end finds the folder free. */
static void leave(struct attempt *attempt)
{
    lock_free(attempt->lock);
    attempt->lock = NULL;
}

static void fail(struct attempt *attempt, enum kind kind,
                 const struct error *error)
{
    leave(attempt);
    bool is_gpu = device_info(attempt->device)->uuid[0];
    if (error->code == ERROR_MEMORY)
        kind = KIND_MEMORY;
    else if (is_gpu && kind == KIND_ERROR && error->code == ERROR_IO)
        kind = KIND_DEVICE;
    cJSON *object = message(attempt, "failed");
    cJSON_AddStringToObject(object, "kind", kinds[kind]);
    cJSON_AddStringToObject(object, "message", error->text);
    if (kind == KIND_DIVERGED) {
        int64_t epoch_steps = trainer_steps_per_epoch(attempt->trainer);
        int64_t step = trainer_step(attempt->trainer);
        cJSON_AddItemToObject(
            object, "epoch",
            json_integer((step + epoch_steps - 1) / epoch_steps));
    }
    channel_send(attempt->channel, object);
}

static void send_row(struct attempt *attempt, const struct evaluation *row)
{
    cJSON *object = message(attempt, "row");
    row_write(row, object);
    channel_send(attempt->channel, object);
}

/* The rate is the attempt's mean, evaluations included, so that the time left
 * that follows from it does not jump. */
static void report(struct attempt *attempt, int64_t step)
{
    double at = now();
    if (at - attempt->reported_at < PROGRESS_EVERY_S)
        return;
    attempt->reported_at = at;
    cJSON *object = message_at(attempt, "progress", step);
    cJSON_AddItemToObject(object, "steps", json_integer(attempt->to_step));
    cJSON_AddItemToObject(object, "steps_per_second",
                          json_number((double)(step - attempt->started_step) /
                                      (at - attempt->started_at)));
    channel_send(attempt->channel, object);
}

/* --- living --------------------------------------------------------------- */

/* Batches, chunks, rows: something got done. */
static void beat(struct attempt *attempt, enum pace_kind kind)
{
    pace_count(&attempt->pace, kind, now());
    channel_beat(attempt->channel, pace_expected(&attempt->pace));
}

/* What comes takes as long as a disk or somebody else takes. */
static void rest(struct attempt *attempt)
{
    channel_beat(attempt->channel, INFINITY);
}

/* From here on beats come as expected. */
static void go(struct attempt *attempt)
{
    pace_start(&attempt->pace, now());
    channel_beat(attempt->channel, pace_expected(&attempt->pace));
}

/* --- hearing -------------------------------------------------------------- */

static void commit(struct checkpoint *state, int64_t step)
{
    rows_commit(&state->rows, step);
    if (step > state->committed_step)
        state->committed_step = step;
}

static void hear(struct attempt *attempt, const cJSON *heard)
{
    const char *type = json_text_or(heard, "type", "");
    bool is_ours =
        json_integer_or(heard, "attempt", -1) == attempt->task.attempt;
    if (strcmp(type, "quit") == 0)
        attempt->is_stopping = attempt->is_quitting = true;
    else if (strcmp(type, "stop") == 0 && is_ours)
        attempt->is_stopping = true;
    else if (strcmp(type, "committed") == 0 && is_ours)
        commit(&attempt->state, json_integer_or(heard, "step", -1));
}

static void hear_all(struct attempt *attempt)
{
    cJSON *heard;
    while ((heard = channel_next(attempt->channel))) {
        hear(attempt, heard);
        cJSON_Delete(heard);
    }
}

static bool is_over(const struct attempt *attempt)
{
    return attempt->is_stopping ||
           channel_end(attempt->channel) != CHANNEL_OPEN;
}

/* --- training ------------------------------------------------------------- */

static void on_row(void *user, const struct evaluation *row)
{
    struct attempt *attempt = user;
    hash_print(row->state_hash, attempt->state.state_hash);
    rows_add(&attempt->state.rows, row);
    beat(attempt, PACE_ROW);
    send_row(attempt, row);
}

/* Whether the newest checkpoint holds less than there is.  One of this attempt
 * is not written again for a row at the same step, under a name whose hash
 * gaitd knows: the next attempt measures that row again. */
static bool is_unsaved(const struct attempt *attempt)
{
    const struct progress *at = &attempt->state.progress;
    bool is_ours = attempt->state.attempt == attempt->task.attempt;
    return at->step > 0 &&
           (at->step != attempt->saved.step ||
            (!is_ours && at->evaluated_step != attempt->saved.evaluated_step));
}

static void tell_saved(struct attempt *attempt, cJSON *removed)
{
    const struct checkpoint *state = &attempt->state;
    cJSON *object = message_at(attempt, "saved", state->progress.step);
    cJSON_AddStringToObject(object, "file", state->file);
    cJSON_AddItemToObject(object, "bytes", json_integer(state->bytes));
    cJSON_AddStringToObject(object, "hash", state->hash);
    cJSON_AddItemToObject(object, "removed", removed);
    channel_send(attempt->channel, object);
}

/* Said once, until one is written. */
static void tell_unsaved(struct attempt *attempt, struct error *error)
{
    if (attempt->is_full)
        return;
    cJSON *object =
        message_at(attempt, "unsaved", attempt->state.progress.step);
    cJSON_AddStringToObject(object, "message", error->text);
    channel_send(attempt->channel, object);
}

/* Written from where the trainer has it: nothing is copied. */
static bool write_state(struct attempt *attempt, cJSON *removed,
                        struct error *error)
{
    int count;
    const struct tensor *tensors =
        trainer_tensors(attempt->trainer, &count, error);
    if (!tensors)
        return false;
    /* Until it is there, what is there is another attempt's. */
    struct checkpoint *state = &attempt->state;
    int64_t before = state->attempt;
    state->attempt = attempt->task.attempt;
    bool is_saved = checkpoint_save(state, attempt->task.run_dir, tensors,
                                    count, removed, error);
    if (!is_saved)
        state->attempt = before;
    return is_saved;
}

static void save(struct attempt *attempt)
{
    struct error error;
    trainer_progress(attempt->trainer, &attempt->state.progress);
    if (!is_unsaved(attempt))
        return;
    cJSON *removed = cJSON_CreateArray();
    if (write_state(attempt, removed, &error)) {
        attempt->saved = attempt->state.progress;
        attempt->is_full = false;
        tell_saved(attempt, removed);
    } else {
        tell_unsaved(attempt, &error);
        attempt->is_full = true;
        cJSON_Delete(removed);
    }
    attempt->saved_at = now();
}

static bool on_step(void *user, int64_t step)
{
    struct attempt *attempt = user;
    double every = attempt->task.checkpoint_every;
    beat(attempt, step == attempt->step ? PACE_CHUNK : PACE_BATCH);
    attempt->step = step;
    hear_all(attempt);
    report(attempt, step);
    if (is_over(attempt))
        return true;
    if (every > 0 && now() - attempt->saved_at >= every) {
        rest(attempt);
        save(attempt);
        go(attempt);
    }
    return false;
}

static void tell_done(struct attempt *attempt, const char *state_hash)
{
    leave(attempt);
    cJSON *object = message_at(attempt, "done", attempt->to_step);
    cJSON_AddStringToObject(object, "state_hash", state_hash);
    channel_send(attempt->channel, object);
}

static void tell_stopped(struct attempt *attempt, int64_t step)
{
    leave(attempt);
    channel_send(attempt->channel, message_at(attempt, "stopped", step));
}

static void train(struct attempt *attempt)
{
    struct trainer_hooks hooks = {attempt, on_row, on_step};
    struct error error;
    attempt->step = trainer_step(attempt->trainer);
    go(attempt);
    bool is_done =
        trainer_run(attempt->trainer, attempt->task.to_epoch, &hooks, &error);
    rest(attempt);
    if (!is_done && error.code != ERROR_STOPPED) {
        fail(attempt, error.code == ERROR_DIVERGED ? KIND_DIVERGED : KIND_ERROR,
             &error);
        return;
    }
    hear_all(attempt); /* what is committed need not be saved */
    save(attempt);
    if (is_done)
        tell_done(attempt, attempt->state.state_hash);
    else
        tell_stopped(attempt, attempt->state.progress.step);
}

/* --- beginning ------------------------------------------------------------ */

/* What is done and not known to be on disk, up to the epoch asked for. */
static void send_rows(struct attempt *attempt)
{
    const struct rows *rows = &attempt->state.rows;
    for (int i = 0; i < rows->count; i++)
        if (rows->items[i].step <= attempt->to_step)
            send_row(attempt, &rows->items[i]);
}

/* Takes over the newest checkpoint that helps, if there is one. */
static bool resume(struct attempt *attempt, struct error *error)
{
    struct checkpoint_search search = {
        .folder = attempt->task.run_dir,
        .key = attempt->task.key,
        .to_step = attempt->to_step,
        .stored_step = attempt->task.step,
        .hashes = attempt->task.checkpoints,
        .user = attempt,
        .warn = warn,
        .on_damaged = tell_damaged,
    };
    int count;
    const struct tensor *tensors =
        trainer_tensors(attempt->trainer, &count, error);
    if (!tensors)
        return false;
    if (!checkpoint_find(&attempt->state, &search, tensors, count)) {
        attempt->state = (struct checkpoint){
            .attempt = -1,
            .progress = {.evaluated_step = -1},
            .committed_step = -1,
        };
        memcpy(attempt->state.key, search.key, sizeof attempt->state.key);
        attempt->saved = attempt->state.progress;
        return true;
    }
    attempt->saved = attempt->state.progress;
    if (attempt->saved.step <= attempt->to_step)
        trainer_restore(attempt->trainer, &attempt->saved);
    return true;
}

static void go_on(struct attempt *attempt)
{
    bool is_ahead = attempt->saved.step > attempt->to_step;
    attempt->started_step = is_ahead ? attempt->to_step : attempt->saved.step;
    attempt->started_at = attempt->reported_at = attempt->saved_at = now();
    channel_send(attempt->channel,
                 message_at(attempt, "started", attempt->started_step));
    send_rows(attempt);
    if (is_ahead) {
        char hash[HASH_HEX_BYTES];
        hash_print(
            rows_find(&attempt->state.rows, attempt->to_step)->state_hash,
            hash);
        tell_done(attempt, hash);
    } else {
        train(attempt);
    }
}

static bool make_trainer(struct attempt *attempt, const struct dataset *dataset,
                         struct error *error)
{
    pace_init(&attempt->pace, &attempt->task.settings, dataset->data.width);
    go(attempt);
    attempt->trainer = trainer_new(&attempt->task.settings, &dataset->data,
                                   attempt->device, error);
    rest(attempt);
    if (!attempt->trainer)
        return false;
    attempt->to_step =
        attempt->task.to_epoch * trainer_steps_per_epoch(attempt->trainer);
    return true;
}

/* False: there is no lock to be had. */
static bool wait_for_lock(struct attempt *attempt, enum lock_state *state,
                          struct error *error)
{
    do {
        lock_free(attempt->lock);
        attempt->lock =
            lock_new(attempt->task.run_dir, attempt->channel, error);
        if (!attempt->lock)
            return false;
        while ((*state = lock_state(attempt->lock)) == LOCK_WAITING &&
               !is_over(attempt)) {
            cJSON *heard = channel_wait(attempt->channel);
            hear(attempt, heard);
            cJSON_Delete(heard);
        }
    } while (*state == LOCK_GONE && !is_over(attempt));
    return true;
}

/* Waits for the run's lock, listening.  False: it could not be had, or the
 * attempt is over, and that has been said. */
static bool take_lock(struct attempt *attempt)
{
    struct error error;
    enum lock_state state = LOCK_FAILED;
    if (!wait_for_lock(attempt, &state, &error)) {
        fail(attempt, KIND_CHECKPOINT, &error);
        return false;
    }
    if (state == LOCK_FAILED) {
        error_set(&error, ERROR_IO, "cannot lock the folder \"%s\"",
                  attempt->task.run_dir);
        fail(attempt, KIND_CHECKPOINT, &error);
    } else if (is_over(attempt)) {
        tell_stopped(attempt, 0);
    }
    return state == LOCK_HELD && !is_over(attempt);
}

static void run(struct attempt *attempt, struct shelf *shelf)
{
    struct error error;
    rest(attempt);
    const struct dataset *dataset =
        shelf_get(shelf, &attempt->task.place, attempt->task.digest, &error);
    if (!dataset) {
        fail(attempt, KIND_DATASET, &error);
        return;
    }
    if (!take_lock(attempt))
        return;
    if (make_trainer(attempt, dataset, &error) && resume(attempt, &error))
        go_on(attempt);
    else
        fail(attempt, KIND_ERROR, &error);
}

bool attempt_run(struct channel *channel, struct shelf *shelf,
                 struct device *device, const struct cJSON *start)
{
    struct attempt attempt = {.channel = channel, .device = device};
    struct error error;
    if (task_init(&attempt.task, start, &error))
        run(&attempt, shelf);
    else
        fail(&attempt, KIND_ERROR, &error);
    trainer_free(attempt.trainer);
    checkpoint_release(&attempt.state);
    lock_free(attempt.lock);
    task_release(&attempt.task);
    return !attempt.is_quitting;
}
