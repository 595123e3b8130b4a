/* What gaitd takes from a worker: lines of one attempt, in and out of order. */
#include <cjson/cJSON.h>
#include <string.h>

#include "daemon/attempt.h"
#include "daemon/datasets.h"
#include "daemon/log.h"
#include "fuzz.h"
#include "schema/message.h"

/* The store that it tells, as far as an attempt goes. */

static int endings;

void store_attempt_started(struct store *store, int64_t attempt, pid_t pid,
                           int64_t step)
{
    (void)store, (void)attempt, (void)pid, (void)step;
}

void store_row(struct store *store, int64_t attempt,
               const struct history_row *row)
{
    (void)store, (void)attempt;
    PROMISE(memchr(row->state_hash, '\0', sizeof row->state_hash));
    PROMISE(row->layer_count >= 0 && row->layer_count <= LAYERS_MAX);
}

void store_checkpoint(struct store *store, int64_t attempt,
                      const struct saved_checkpoint *saved,
                      const struct cJSON *removed)
{
    (void)store, (void)attempt, (void)removed;
    PROMISE(memchr(saved->file, '\0', sizeof saved->file));
    PROMISE(memchr(saved->hash, '\0', sizeof saved->hash));
}

void store_checkpoint_damaged(struct store *store, int64_t attempt,
                              const char *file, const char *text)
{
    (void)store, (void)attempt;
    PROMISE(file && text);
}

void store_checkpoint_missed(struct store *store, int64_t attempt,
                             const char *text)
{
    (void)store, (void)attempt;
    PROMISE(text);
}

void store_attempt_end(struct store *store, int64_t attempt,
                       const struct ending *ending)
{
    (void)store, (void)attempt;
    PROMISE(ending->outcome < OUTCOME_COUNT);
    PROMISE(memchr(ending->message, '\0', sizeof ending->message));
    endings++;
}

/* Of `start`, which is not made here. */
struct cJSON *datasets_folders(const struct config *config, const char *name)
{
    (void)config, (void)name;
    return NULL;
}

static void take_line(struct attempt *attempt, const char *line, size_t length)
{
    static const struct log log = {0};
    struct error error = {0};
    struct cJSON *message = message_parse(line, length, &error);
    if (!message)
        return;
    if (!attempt_take(attempt, message, 1, NULL, &log, &error))
        PROMISE(error.text[0]);
    cJSON_Delete(attempt_progress(attempt));
    cJSON_Delete(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct dispatch dispatch = {
        .attempt = 7, .job = 1, .nb_epochs = 3, .steps_per_epoch = 10};
    settings_init(&dispatch.settings);
    dispatch.settings.diagnostics = size % 2;
    struct attempt *attempt = attempt_new(&dispatch);
    attempt->is_sent = true;
    endings = 0;
    const char *at = (const char *)bytes, *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        take_line(attempt, at, (size_t)(stop - at));
        at = stop + 1;
    }
    attempt_end(attempt, NULL, OUTCOME_lost, "the input ended");
    PROMISE(endings == 1);
    attempt_free(attempt);
    return 0;
}
