/* request_status.c: gaitd itself: how it is, and its end. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/fleet.h"
#include "daemon/reader.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "schema/json.h"
#include "schema/memory.h"
#include "schema/message.h"

static struct cJSON *bytes_free(const char *folder)
{
    struct statvfs status;
    if (statvfs(folder, &status) != 0)
        return cJSON_CreateNull();
    return json_integer((int64_t)status.f_bavail * (int64_t)status.f_frsize);
}

/* An answer whose news are heard with it. */
struct look {
    struct request *request;
    struct cJSON *result;
};

/* The answer goes out also when it cannot be remembered that it did. */
static void on_visited(void *user, struct cJSON *result,
                       const struct error *error, struct cJSON *data)
{
    struct look look = *(struct look *)user;
    (void)error;
    free(user);
    cJSON_Delete(result);
    cJSON_Delete(data);
    request_reply(look.request, look.result, NULL, NULL);
}

/* Takes both. */
static void answer_status(struct request *request, struct cJSON *result)
{
    struct cJSON *seen = cJSON_DetachItemFromObject(result, "seen");
    if (json_boolean_or(request->params, "look", false)) {
        struct look *look = xmalloc(sizeof *look);
        *look = (struct look){request, result};
        store_visit(request->gaitd->store,
                    connection_caller(request->connection)->uid,
                    json_integer_or(seen, "event", 0),
                    json_real_or(seen, "finished_at", 0), on_visited, look);
    } else {
        request_reply(request, result, NULL, NULL);
    }
    cJSON_Delete(seen);
}

static void on_counts(void *user, struct cJSON *result,
                      const struct error *error, struct cJSON *data)
{
    struct request *request = user;
    const struct gaitd *gaitd = request->gaitd;
    const struct config *config = gaitd->config;
    if (!result) {
        request_reply(request, NULL, error, data);
        return;
    }
    cJSON_AddStringToObject(result, "version", GAITD_VERSION);
    cJSON_AddItemToObject(result, "protocol", json_integer(PROTOCOL));
    cJSON_AddItemToObject(result, "pid", json_integer(getpid()));
    cJSON_AddItemToObject(result, "started_at", json_number(gaitd->started_at));
    cJSON_AddStringToObject(result, "state_dir", config->state_dir);
    cJSON_AddStringToObject(result, "socket", config->socket);
    cJSON_AddItemToObject(result, "slots", fleet_slots(gaitd->fleet));
    cJSON_AddItemToObject(result, "bytes_free", bytes_free(config->state_dir));
    answer_status(request, result);
}

void request_status(struct request *request)
{
    reader_ask(request->gaitd->reader, "counts", cJSON_CreateObject(),
               connection_caller(request->connection), on_counts, request);
}

void request_shutdown(struct request *request)
{
    struct gaitd *gaitd = request->gaitd;
    const struct caller *caller = connection_caller(request->connection);
    if (!caller->is_operator) {
        request_refuse(
            request, ERROR_PERMISSION,
            "only operators may shut gaitd down: its owner, root, and "
            "members of its operator_group");
    } else if (gaitd->is_stopping) {
        request_refuse(request, ERROR_BUSY, "gaitd is shutting down already");
    } else {
        log_write(&gaitd->log, LOG_info, "%s asked to shut down", caller->name);
        gaitd_stop(gaitd, request_reply, request);
    }
}

static void on_looked(void *user)
{
    struct request *request = user;
    request_reply(request, fleet_devices(request->gaitd->fleet), NULL, NULL);
}

/* GPUs are looked at before. */
void request_devices(struct request *request)
{
    fleet_look(request->gaitd->fleet, on_looked, request);
}
