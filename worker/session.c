#include "worker/session.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/key.h"
#include "schema/memory.h"
#include "schema/message.h"
#include "worker/attempt.h"
#include "worker/channel.h"
#include "worker/engine/device.h"

static cJSON *describe_gpu(const struct device_info *info)
{
    cJSON *gpu = cJSON_CreateObject();
    cJSON_AddStringToObject(gpu, "model", info->model);
    cJSON_AddStringToObject(gpu, "uuid", info->uuid);
    cJSON_AddNumberToObject(gpu, "capability", info->capability);
    cJSON_AddNumberToObject(gpu, "processors", info->processors);
    cJSON_AddItemToObject(gpu, "memory_bytes",
                          json_integer(info->memory_bytes));
    cJSON_AddNumberToObject(gpu, "driver", info->driver);
    cJSON_AddNumberToObject(gpu, "runtime", info->runtime);
    return gpu;
}

struct cJSON *session_hello(const struct device *device)
{
    const struct device_info *info = device_info(device);
    cJSON *hello = cJSON_CreateObject();
    cJSON_AddStringToObject(hello, "type", "hello");
    cJSON_AddStringToObject(hello, "build", GAITD_VERSION);
    cJSON_AddNumberToObject(hello, "worker_protocol", WORKER_PROTOCOL);
    cJSON_AddNumberToObject(hello, "engine_version", ENGINE_VERSION);
    cJSON_AddItemToObject(hello, "pid", json_integer(getpid()));
    cJSON_AddStringToObject(hello, "device", info->name);
    cJSON_AddStringToObject(hello, "device_class", info->class_text);
    if (info->uuid[0])
        cJSON_AddItemToObject(hello, "gpu", describe_gpu(info));
    return hello;
}

/* Messages about attempts that have ended come late, and are not for us. */
static bool obey(struct channel *channel, struct shelf *shelf,
                 struct device *device, const cJSON *heard)
{
    const char *type = json_text_or(heard, "type", "");
    if (strcmp(type, "start") == 0)
        return attempt_run(channel, shelf, device, heard);
    return strcmp(type, "quit") != 0;
}

void session_run(struct channel *channel, struct device *device)
{
    struct shelf *shelf = xcalloc(1, sizeof *shelf);
    bool is_on = channel_send(channel, session_hello(device));
    while (is_on && channel_end(channel) == CHANNEL_OPEN) {
        cJSON *heard = channel_wait(channel);
        if (heard)
            is_on = obey(channel, shelf, device, heard);
        cJSON_Delete(heard);
    }
    shelf_release(shelf);
    free(shelf);
}
