#include "worker/teller.h"

#include <cjson/cJSON.h>

#include "schema/message.h"
#include "worker/channel.h"
#include "worker/checkpoint.h"

#define PROGRESS_EVERY_S 0.5

static const char *const kinds[] = {
    [FAILURE_DIVERGED] = "diverged",     [FAILURE_DATASET] = "dataset",
    [FAILURE_CHECKPOINT] = "checkpoint", [FAILURE_MEMORY] = "memory",
    [FAILURE_DEVICE] = "device",         [FAILURE_ERROR] = "error",
};

static cJSON *message(struct teller *teller, const char *type)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", type);
    cJSON_AddItemToObject(message, "attempt", json_integer(teller->attempt));
    cJSON_AddItemToObject(message, "sequence",
                          json_integer(teller->sequence++));
    return message;
}

static cJSON *message_at(struct teller *teller, const char *type, int64_t step)
{
    cJSON *object = message(teller, type);
    cJSON_AddItemToObject(object, "step", json_integer(step));
    return object;
}

void teller_warn(void *user, const char *text)
{
    struct teller *teller = user;
    cJSON *object = message(teller, "warning");
    cJSON_AddStringToObject(object, "message", text);
    channel_send(teller->channel, object);
}

void teller_damaged(void *user, const char *file, const char *text)
{
    struct teller *teller = user;
    cJSON *object = message(teller, "damaged");
    cJSON_AddStringToObject(object, "file", file);
    cJSON_AddStringToObject(object, "message", text);
    channel_send(teller->channel, object);
}

void teller_started(struct teller *teller, int64_t step, double now)
{
    teller->started_step = step;
    teller->started_at = teller->told_at = now;
    channel_send(teller->channel, message_at(teller, "started", step));
}

void teller_row(struct teller *teller, const struct evaluation *row)
{
    cJSON *object = message(teller, "row");
    row_write(row, object);
    channel_send(teller->channel, object);
}

/* The rate is the attempt's mean, evaluations included, so that the time left
 * that follows from it does not jump. */
void teller_progress(struct teller *teller, int64_t step, int64_t to_step,
                     double now)
{
    if (now - teller->told_at < PROGRESS_EVERY_S)
        return;
    teller->told_at = now;
    cJSON *object = message_at(teller, "progress", step);
    cJSON_AddItemToObject(object, "steps", json_integer(to_step));
    cJSON_AddItemToObject(object, "steps_per_second",
                          json_number((double)(step - teller->started_step) /
                                      (now - teller->started_at)));
    channel_send(teller->channel, object);
}

void teller_saved(struct teller *teller, const struct checkpoint *checkpoint,
                  struct cJSON *removed)
{
    cJSON *object = message_at(teller, "saved", checkpoint->progress.step);
    cJSON_AddStringToObject(object, "file", checkpoint->file);
    cJSON_AddItemToObject(object, "bytes", json_integer(checkpoint->bytes));
    cJSON_AddStringToObject(object, "hash", checkpoint->hash);
    cJSON_AddItemToObject(object, "removed", removed);
    channel_send(teller->channel, object);
}

void teller_unsaved(struct teller *teller, int64_t step, const char *text)
{
    cJSON *object = message_at(teller, "unsaved", step);
    cJSON_AddStringToObject(object, "message", text);
    channel_send(teller->channel, object);
}

void teller_failed(struct teller *teller, enum failure failure, int64_t epoch,
                   const char *text)
{
    cJSON *object = message(teller, "failed");
    cJSON_AddStringToObject(object, "kind", kinds[failure]);
    cJSON_AddStringToObject(object, "message", text);
    if (epoch >= 0)
        cJSON_AddItemToObject(object, "epoch", json_integer(epoch));
    channel_send(teller->channel, object);
}

void teller_done(struct teller *teller, int64_t step, const char *state_hash)
{
    cJSON *object = message_at(teller, "done", step);
    cJSON_AddStringToObject(object, "state_hash", state_hash);
    channel_send(teller->channel, object);
}

void teller_stopped(struct teller *teller, int64_t step)
{
    channel_send(teller->channel, message_at(teller, "stopped", step));
}
