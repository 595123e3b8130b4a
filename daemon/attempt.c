#include "daemon/attempt.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/config.h"
#include "daemon/datasets.h"
#include "daemon/log.h"
#include "daemon/run_folder.h"
#include "schema/diagnostic.h"
#include "schema/memory.h"
#include "schema/message.h"

struct attempt *attempt_new(const struct dispatch *dispatch)
{
    struct attempt *attempt = xcalloc(1, sizeof *attempt);
    attempt->dispatch = *dispatch;
    attempt->step = -1;
    attempt->began = clock_monotonic();
    attempt->steps = dispatch->nb_epochs * dispatch->steps_per_epoch;
    attempt->steps_per_second = attempt->test_accuracy = NAN;
    return attempt;
}

void attempt_free(struct attempt *attempt)
{
    free(attempt);
}

/* The run's own folder.  The key is in its name so that a folder left by
 * another database cannot be mistaken for it. */
static struct cJSON *run_folder(const struct dispatch *dispatch,
                                const struct config *config)
{
    char name[RUN_FOLDER_BYTES];
    run_folder_print(name, dispatch->run, dispatch->key);
    char *path = xprintf("%s/%s", config->run_dir, name);
    struct cJSON *text = cJSON_CreateString(path);
    free(path);
    return text;
}

static void add_checkpoints(struct cJSON *message,
                            const struct dispatch *dispatch)
{
    struct cJSON *known = cJSON_AddObjectToObject(message, "checkpoints");
    for (int i = 0; i < dispatch->checkpoint_count; i++)
        cJSON_AddStringToObject(known, dispatch->checkpoints[i].file,
                                dispatch->checkpoints[i].hash);
}

struct cJSON *attempt_start(const struct attempt *attempt,
                            const struct config *config)
{
    const struct dispatch *dispatch = &attempt->dispatch;
    const char *name = dispatch->settings.dataset;
    struct cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", "start");
    cJSON_AddItemToObject(message, "attempt", json_integer(dispatch->attempt));
    cJSON_AddItemToObject(message, "job", json_integer(dispatch->job));
    cJSON_AddItemToObject(message, "run", json_integer(dispatch->run));
    cJSON_AddStringToObject(message, "key", dispatch->key);
    cJSON_AddItemToObject(message, "run_dir", run_folder(dispatch, config));
    cJSON_AddItemToObject(message, "to_epoch",
                          json_integer(dispatch->nb_epochs));
    cJSON_AddItemToObject(message, "step", json_integer(dispatch->step));
    cJSON_AddItemToObject(message, "checkpoint_every",
                          json_number(config->checkpoint_every));
    add_checkpoints(message, dispatch);
    cJSON_AddItemToObject(message, "settings",
                          settings_write(&dispatch->settings));
    struct cJSON *data = cJSON_AddObjectToObject(message, "dataset");
    cJSON_AddStringToObject(data, "name", name);
    cJSON_AddStringToObject(data, "digest", dispatch->dataset_digest);
    cJSON_AddItemToObject(data, "folders", datasets_folders(config, name));
    cJSON_AddStringToObject(data, "cache", config->cache_dir);
    return message;
}

static void send_ending(struct attempt *attempt, struct store *store,
                        const struct ending *ending)
{
    if (attempt->is_ended)
        return;
    attempt->is_ended = true;
    struct ending timed = *ending;
    timed.seconds = clock_monotonic() - attempt->began;
    store_attempt_end(store, attempt->dispatch.attempt, &timed);
}

void attempt_end(struct attempt *attempt, struct store *store,
                 enum outcome outcome, const char *message)
{
    struct ending ending = {.outcome = outcome, .step = attempt->step};
    if (attempt->step < 0)
        ending.step = attempt->dispatch.step;
    snprintf(ending.message, sizeof ending.message, "%s", message);
    send_ending(attempt, store, &ending);
}

static bool copy_hash(const struct cJSON *message, char hash[33],
                      struct error *error)
{
    const char *text;
    if (!json_get_text(message, "state_hash", &text, error))
        return false;
    if (strlen(text) != 32)
        return error_set(error, ERROR_PARAMS,
                         "\"state_hash\" is not 32 characters long");
    memcpy(hash, text, 33);
    return true;
}

/* What is handed to the functions below. */
struct news {
    struct attempt *attempt;
    const struct cJSON *message;
    pid_t pid;
    struct store *store;
    const struct log *log;
};

static bool take_step(const struct news *news, struct error *error)
{
    return json_get_integer(news->message, "step", &news->attempt->step, error);
}

static bool take_started(const struct news *news, struct error *error)
{
    struct attempt *attempt = news->attempt;
    if (!take_step(news, error))
        return false;
    attempt->is_started = true;
    store_attempt_started(news->store, attempt->dispatch.attempt, news->pid,
                          attempt->step);
    log_write(news->log, LOG_info, "job %lld %s step %lld in slot %d",
              (long long)attempt->dispatch.job,
              attempt->step > 0 ? "goes on from" : "begins at",
              (long long)attempt->step, attempt->dispatch.slot);
    return true;
}

static bool take_row(const struct news *news, struct error *error)
{
    struct history_row row;
    struct diagnostic layers[LAYERS_MAX];
    const struct cJSON *message = news->message;
    bool is_whole =
        json_get_integer(message, "step", &row.step, error) &&
        json_get_integer(message, "epoch", &row.epoch, error) &&
        json_get_real(message, "train_accuracy", &row.train_accuracy, error) &&
        json_get_real(message, "train_loss", &row.train_loss, error) &&
        json_get_real(message, "valid_accuracy", &row.valid_accuracy, error) &&
        json_get_real(message, "valid_loss", &row.valid_loss, error) &&
        json_get_real(message, "test_accuracy", &row.test_accuracy, error) &&
        json_get_real(message, "test_loss", &row.test_loss, error) &&
        json_get_real(message, "seconds", &row.seconds, error) &&
        copy_hash(message, row.state_hash, error) &&
        diagnostics_read(message, layers, LAYERS_MAX, &row.layer_count, error);
    if (!is_whole)
        return false;
    row.layers = layers;
    news->attempt->test_accuracy = row.test_accuracy;
    if (row.step > news->attempt->step)
        news->attempt->step = row.step;
    store_row(news->store, news->attempt->dispatch.attempt, &row);
    return true;
}

static bool take_progress(const struct news *news, struct error *error)
{
    return take_step(news, error) &&
           json_get_integer(news->message, "steps", &news->attempt->steps,
                            error) &&
           json_get_real(news->message, "steps_per_second",
                         &news->attempt->steps_per_second, error);
}

static bool take_saved(const struct news *news, struct error *error)
{
    struct saved_checkpoint saved = {.attempt =
                                         news->attempt->dispatch.attempt};
    const struct cJSON *removed =
        cJSON_GetObjectItemCaseSensitive(news->message, "removed");
    const char *file, *hash;
    if (!json_get_integer(news->message, "step", &saved.step, error) ||
        !json_get_text(news->message, "file", &file, error) ||
        !json_get_integer(news->message, "bytes", &saved.bytes, error) ||
        !json_get_text(news->message, "hash", &hash, error))
        return false;
    snprintf(saved.file, sizeof saved.file, "%s", file);
    snprintf(saved.hash, sizeof saved.hash, "%s", hash);
    store_checkpoint(news->store, saved.attempt, &saved, removed);
    return true;
}

static void warn(const struct news *news, const char *text)
{
    log_write(news->log, LOG_warning, "job %lld: %s",
              (long long)news->attempt->dispatch.job, text);
}

static bool take_unsaved(const struct news *news, struct error *error)
{
    const char *text;
    if (!json_get_text(news->message, "message", &text, error))
        return false;
    struct error what;
    error_set(&what, ERROR_NONE,
              "no checkpoint, training goes on and the next is tried: %s",
              text);
    warn(news, what.text);
    store_checkpoint_missed(news->store, news->attempt->dispatch.attempt,
                            what.text);
    return true;
}

static bool take_damaged(const struct news *news, struct error *error)
{
    const char *file, *text;
    if (!json_get_text(news->message, "file", &file, error) ||
        !json_get_text(news->message, "message", &text, error))
        return false;
    warn(news, text);
    store_checkpoint_damaged(news->store, news->attempt->dispatch.attempt, file,
                             text);
    return true;
}

static bool take_done(const struct news *news, struct error *error)
{
    struct ending ending = {.outcome = OUTCOME_done};
    if (!take_step(news, error) ||
        !copy_hash(news->message, ending.state_hash, error))
        return false;
    ending.step = news->attempt->step;
    send_ending(news->attempt, news->store, &ending);
    return true;
}

static bool take_stopped(const struct news *news, struct error *error)
{
    if (!take_step(news, error))
        return false;
    attempt_end(news->attempt, news->store, OUTCOME_stopped, "");
    return true;
}

static bool take_failed(const struct news *news, struct error *error)
{
    struct ending ending = {.outcome = OUTCOME_failed,
                            .step = news->attempt->step};
    const char *kind, *message;
    if (!json_get_text(news->message, "kind", &kind, error) ||
        !json_get_text(news->message, "message", &message, error))
        return false;
    if (strcmp(kind, "diverged") == 0) {
        ending.outcome = OUTCOME_diverged;
        if (!json_get_integer(news->message, "epoch", &ending.diverged_epoch,
                              error))
            return false;
    } else if (strcmp(kind, "checkpoint") == 0) {
        ending.outcome = OUTCOME_crashed; /* a disk may do it the next time */
    }
    bool is_on_gpu = news->attempt->dispatch.gpu_bytes > 0;
    if (is_on_gpu && strcmp(kind, "memory") == 0)
        ending.outcome = OUTCOME_crowded;
    if (is_on_gpu && strcmp(kind, "device") == 0) {
        ending.outcome = OUTCOME_lost;
        news->attempt->has_lost_device = true;
    }
    snprintf(ending.message, sizeof ending.message, "%s", message);
    send_ending(news->attempt, news->store, &ending);
    return true;
}

static bool take_warning(const struct news *news, struct error *error)
{
    const char *text;
    if (!json_get_text(news->message, "message", &text, error))
        return false;
    warn(news, text);
    return true;
}

static const struct {
    const char *type;
    bool needs_start; /* may only come after `started` */
    bool (*take)(const struct news *news, struct error *error);
} types[] = {
    {"started", false, take_started},  {"row", true, take_row},
    {"progress", true, take_progress}, {"saved", true, take_saved},
    {"unsaved", true, take_unsaved},   {"damaged", false, take_damaged},
    {"done", true, take_done},         {"stopped", false, take_stopped},
    {"failed", false, take_failed},    {"warning", false, take_warning},
};

static bool check_sequence(struct attempt *attempt, const struct cJSON *message,
                           struct error *error)
{
    int64_t number, sequence;
    if (!json_get_integer(message, "attempt", &number, error) ||
        !json_get_integer(message, "sequence", &sequence, error))
        return false;
    if (number != attempt->dispatch.attempt)
        return error_set(error, ERROR_PROTOCOL,
                         "sent a message of attempt %lld, expected %lld",
                         (long long)number,
                         (long long)attempt->dispatch.attempt);
    if (sequence != attempt->sequence)
        return error_set(error, ERROR_PROTOCOL,
                         "sent message %lld, expected %lld",
                         (long long)sequence, (long long)attempt->sequence);
    attempt->sequence++;
    return true;
}

bool attempt_take(struct attempt *attempt, const struct cJSON *message,
                  pid_t pid, struct store *store, const struct log *log,
                  struct error *error)
{
    struct news news = {attempt, message, pid, store, log};
    const char *type = json_text_or(message, "type", "");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].type, type) != 0)
            continue;
        if (!check_sequence(attempt, message, error))
            return false;
        if (attempt->is_ended) /* told to end by us, and not yet heard */
            return true;
        if (types[i].needs_start && !attempt->is_started)
            return error_set(error, ERROR_PROTOCOL,
                             "sent \"%s\" before \"started\"", type);
        return types[i].take(&news, error) ||
               error_prefix(error, "sent a bad \"%s\"", type);
    }
    return error_set(error, ERROR_PROTOCOL,
                     "sent a message of unknown type \"%.50s\"", type);
}

struct cJSON *attempt_progress(const struct attempt *attempt)
{
    const struct dispatch *dispatch = &attempt->dispatch;
    struct cJSON *progress = cJSON_CreateObject();
    int64_t per_epoch = dispatch->steps_per_epoch;
    bool is_started = attempt->step >= 0;
    cJSON_AddItemToObject(progress, "job", json_integer(dispatch->job));
    cJSON_AddStringToObject(progress, "label", dispatch->label);
    cJSON_AddItemToObject(progress, "step",
                          is_started ? json_integer(attempt->step)
                                     : cJSON_CreateNull());
    cJSON_AddItemToObject(progress, "steps", json_integer(attempt->steps));
    cJSON_AddItemToObject(progress, "epoch",
                          is_started && per_epoch > 0
                              ? json_integer(attempt->step / per_epoch)
                              : cJSON_CreateNull());
    cJSON_AddItemToObject(progress, "nb_epochs",
                          json_integer(dispatch->nb_epochs));
    cJSON_AddItemToObject(progress, "steps_per_second",
                          json_number(attempt->steps_per_second));
    cJSON_AddItemToObject(progress, "test_accuracy",
                          json_number(attempt->test_accuracy));
    return progress;
}
