#include "worker/task.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "schema/faults.h"
#include "schema/memory.h"
#include "schema/message.h"
#include "worker/hash.h"

static bool read_folders(struct dataset_place *place, const cJSON *folders,
                         struct error *error)
{
    if (!cJSON_IsArray(folders))
        return error_set(error, ERROR_PARAMS,
                         "\"folders\" is not a list of texts");
    const char **list =
        xcalloc((size_t)cJSON_GetArraySize(folders) + 1, sizeof *list);
    place->folders = list;
    for (const cJSON *item = folders->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            return error_set(error, ERROR_PARAMS,
                             "\"folders\" is not a list of texts");
        list[place->folder_count++] = item->valuestring;
    }
    return true;
}

static bool read_dataset(struct task *task, const cJSON *dataset,
                         struct error *error)
{
    return (json_get_text(dataset, "name", &task->place.name, error) &&
            json_get_text(dataset, "digest", &task->digest, error) &&
            json_get_text(dataset, "cache", &task->place.cache, error) &&
            read_folders(&task->place,
                         cJSON_GetObjectItemCaseSensitive(dataset, "folders"),
                         error)) ||
           error_prefix(error, "dataset");
}

static bool read_settings(struct task *task, const cJSON *settings,
                          struct error *error)
{
    struct faults faults;
    faults_init(&faults);
    if (!cJSON_IsObject(settings))
        return error_set(error, ERROR_PARAMS, "\"settings\" is not an object");
    if (settings_read(settings, &task->settings, &faults))
        return true;
    return error_set(error, ERROR_SPEC, "settings: %s: %s",
                     faults.fault[0].where, faults.fault[0].text);
}

static bool check(const struct task *task, struct error *error)
{
    uint8_t hash[HASH_BYTES];
    if (!hash_read(task->key, hash))
        return error_set(error, ERROR_PARAMS, "\"%.40s\" is not a key",
                         task->key);
    return task->to_epoch >= 0 ||
           error_set(error, ERROR_PARAMS,
                     "\"to_epoch\": %" PRId64 " is below 0", task->to_epoch);
}

bool task_init(struct task *task, const struct cJSON *start,
               struct error *error)
{
    *task = (struct task){
        .attempt = json_integer_or(start, "attempt", -1),
        .checkpoints = cJSON_GetObjectItemCaseSensitive(start, "checkpoints"),
    };
    return json_get_integer(start, "attempt", &task->attempt, error) &&
           json_get_integer(start, "to_epoch", &task->to_epoch, error) &&
           json_get_integer(start, "step", &task->step, error) &&
           json_get_real(start, "checkpoint_every", &task->checkpoint_every,
                         error) &&
           json_get_text(start, "key", &task->key, error) &&
           json_get_text(start, "run_dir", &task->run_dir, error) &&
           check(task, error) &&
           read_dataset(task,
                        cJSON_GetObjectItemCaseSensitive(start, "dataset"),
                        error) &&
           read_settings(task,
                         cJSON_GetObjectItemCaseSensitive(start, "settings"),
                         error);
}

void task_release(struct task *task)
{
    free((void *)task->place.folders);
    *task = (struct task){0};
}
