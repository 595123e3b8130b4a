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
#include "worker/engine/backend_cpu.h"

enum { DEVICE_CLASS_BYTES = 128 };

struct cJSON *session_hello(void)
{
    char device_class[DEVICE_CLASS_BYTES];
    backend_cpu_device_class(device_class, sizeof device_class);
    cJSON *hello = cJSON_CreateObject();
    cJSON_AddStringToObject(hello, "type", "hello");
    cJSON_AddStringToObject(hello, "build", GAITD_VERSION);
    cJSON_AddNumberToObject(hello, "worker_protocol", WORKER_PROTOCOL);
    cJSON_AddNumberToObject(hello, "engine_version", ENGINE_VERSION);
    cJSON_AddItemToObject(hello, "pid", json_integer(getpid()));
    cJSON_AddStringToObject(hello, "device", "cpu");
    cJSON_AddStringToObject(hello, "device_class", device_class);
    return hello;
}

/* Messages about attempts that have ended come late, and are not for us. */
static bool obey(struct channel *channel, struct shelf *shelf,
                 const cJSON *heard)
{
    const char *type = json_text_or(heard, "type", "");
    if (strcmp(type, "start") == 0)
        return attempt_run(channel, shelf, heard);
    return strcmp(type, "quit") != 0;
}

void session_run(struct channel *channel)
{
    struct shelf *shelf = xcalloc(1, sizeof *shelf);
    bool is_on = channel_send(channel, session_hello());
    while (is_on && channel_end(channel) == CHANNEL_OPEN) {
        cJSON *heard = channel_wait(channel);
        if (heard)
            is_on = obey(channel, shelf, heard);
        cJSON_Delete(heard);
    }
    shelf_release(shelf);
    free(shelf);
}
