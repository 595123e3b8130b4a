/* fsck and backup: an operator's, since they take the disk for a while, and
 * since gaitd writes the backup where it is told to. */
#include <cjson/cJSON.h>

#include "daemon/reader.h"
#include "daemon/request.h"
#include "daemon/server.h"

static void ask(struct request *request, const char *question)
{
    const struct gaitd *gaitd = request->gaitd;
    const struct caller *caller = connection_caller(request->connection);
    if (!caller->is_operator) {
        request_refuse(request, ERROR_PERMISSION,
                       "only gaitd's owner and root may ask for a %s",
                       question);
        return;
    }
    struct cJSON *params = cJSON_Duplicate(request->params, true);
    cJSON_AddStringToObject(params, "run_dir", gaitd->config->run_dir);
    reader_ask(gaitd->upkeep, question, params, caller, request_reply, request);
}

void request_fsck(struct request *request)
{
    ask(request, "fsck");
}

void request_backup(struct request *request)
{
    ask(request, "backup");
}
