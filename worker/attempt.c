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
#include "worker/phase.h"
#include "worker/task.h"
#include "worker/teller.h"

struct attempt {
    struct channel *channel;
    struct device *device;
    struct task task;
    struct teller teller;
    bool is_stopping; /* told to stop, or to quit */
    bool is_quitting;

    struct lock *lock;
    struct trainer *trainer;
    int64_t to_step;
    struct pace pace; /* what the next beat is expected from */
    int64_t step;     /* of the last beat */
    enum phase phase;

    /* What a checkpoint would hold; `saved` is what the newest one does. */
    struct checkpoint state;
    struct progress saved;
    double saved_at; /* or began, or last tried in vain */
    bool is_full;    /* the last one could not be written */
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Who hears of the end finds the folder free. */
static void leave(struct attempt *attempt)
{
    lock_free(attempt->lock);
    attempt->lock = NULL;
}

/* Counted from 1, as the missing row's. */
static int64_t epoch_under_way(const struct attempt *attempt)
{
    int64_t epoch_steps = trainer_steps_per_epoch(attempt->trainer);
    return (trainer_step(attempt->trainer) + epoch_steps - 1) / epoch_steps;
}

static void fail(struct attempt *attempt, enum failure failure,
                 const struct error *error)
{
    leave(attempt);
    if (error->code == ERROR_MEMORY)
        failure = FAILURE_MEMORY;
    else if (device_info(attempt->device)->uuid[0] &&
             failure == FAILURE_ERROR && error->code == ERROR_IO)
        failure = FAILURE_DEVICE;
    bool is_diverged = failure == FAILURE_DIVERGED;
    teller_failed(&attempt->teller, failure,
                  is_diverged ? epoch_under_way(attempt) : -1, error->text);
}

/* --- living --------------------------------------------------------------- */

/* Batches, chunks, rows: something got done, and more of it follows. */
static void beat(struct attempt *attempt, enum pace_kind kind)
{
    phase_enter(&attempt->phase,
                kind == PACE_CHUNK ? PHASE_EVALUATING : PHASE_TRAINING);
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
    teller_row(&attempt->teller, row);
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
    phase_enter(&attempt->phase, PHASE_SAVING);
    cJSON *removed = cJSON_CreateArray();
    if (write_state(attempt, removed, &error)) {
        attempt->saved = attempt->state.progress;
        attempt->is_full = false;
        teller_saved(&attempt->teller, &attempt->state, removed);
    } else {
        if (!attempt->is_full) /* said once, until one is written */
            teller_unsaved(&attempt->teller, attempt->state.progress.step,
                           error.text);
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
    teller_progress(&attempt->teller, step, attempt->to_step, now());
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
    teller_done(&attempt->teller, attempt->to_step, state_hash);
}

static void tell_stopped(struct attempt *attempt, int64_t step)
{
    leave(attempt);
    teller_stopped(&attempt->teller, step);
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
        fail(attempt,
             error.code == ERROR_DIVERGED ? FAILURE_DIVERGED : FAILURE_ERROR,
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
            teller_row(&attempt->teller, &rows->items[i]);
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
        .user = &attempt->teller,
        .warn = teller_warn,
        .on_damaged = teller_damaged,
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
    attempt->saved_at = now();
    teller_started(&attempt->teller,
                   is_ahead ? attempt->to_step : attempt->saved.step,
                   attempt->saved_at);
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
        fail(attempt, FAILURE_CHECKPOINT, &error);
        return false;
    }
    if (state == LOCK_FAILED) {
        error_set(&error, ERROR_IO, "cannot lock the folder \"%s\"",
                  attempt->task.run_dir);
        fail(attempt, FAILURE_CHECKPOINT, &error);
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
        fail(attempt, FAILURE_DATASET, &error);
        return;
    }
    if (!take_lock(attempt))
        return;
    if (make_trainer(attempt, dataset, &error) && resume(attempt, &error))
        go_on(attempt);
    else
        fail(attempt, FAILURE_ERROR, &error);
}

bool attempt_run(struct channel *channel, struct shelf *shelf,
                 struct device *device, const struct cJSON *start)
{
    struct attempt attempt = {.channel = channel, .device = device};
    struct error error;
    bool is_understood = task_init(&attempt.task, start, &error);
    attempt.teller = (struct teller){
        .channel = channel,
        .attempt = attempt.task.attempt,
    };
    if (is_understood)
        run(&attempt, shelf);
    else
        fail(&attempt, FAILURE_ERROR, &error);
    phase_enter(&attempt.phase, PHASE_IDLE);
    trainer_free(attempt.trainer);
    checkpoint_release(&attempt.state);
    lock_free(attempt.lock);
    task_release(&attempt.task);
    return !attempt.is_quitting;
}
