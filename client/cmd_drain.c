/* cmd_drain.c: lets running jobs finish and starts no other. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"

static const struct column columns[] = {
    {"is_drained", NULL, COLUMN_TEXT, true},
    {"running", NULL, COLUMN_NUMBER, true},
};

/* A connection that hears of events, and what it asks. */
struct drain {
    struct connection hearing, asking;
    struct deadline deadline;
};

static struct cJSON *order(struct drain *drain, bool is_undone,
                           struct error *error)
{
    struct cJSON *params = cJSON_CreateObject();
    if (is_undone)
        cJSON_AddTrueToObject(params, "undo");
    return connection_request(&drain->asking, "drain", params, error);
}

static bool begin_hearing(struct drain *drain, struct error *error)
{
    struct cJSON *params = cJSON_CreateObject();
    cJSON_AddTrueToObject(params, "follow");
    cJSON_AddItemToObject(params, "limit", json_integer(1));
    struct cJSON *page =
        connection_request(&drain->hearing, "events", params, error);
    cJSON_Delete(page);
    return page != NULL;
}

/* The kind of the event that is heard of next, in `kind`. */
static enum heard hear(struct drain *drain, char kind[32], struct error *error)
{
    struct cJSON *message;
    enum heard heard =
        connection_hear(&drain->hearing, -1, -1, &message, error);
    const struct cJSON *params =
        cJSON_GetObjectItemCaseSensitive(message, "params");
    snprintf(kind, 32, "%s", json_text_or(params, "kind", ""));
    cJSON_Delete(message);
    return heard;
}

/* Until nothing runs.  The status, or -1. */
static int wait_quiet(struct drain *drain, struct error *error)
{
    for (;;) {
        char kind[32];
        enum heard heard = hear(drain, kind, error);
        if (heard == HEARD_TIMEOUT)
            return EXIT_TIMEOUT;
        if (heard == HEARD_ERROR)
            return -1;
        if (heard == HEARD_END) {
            error_set(error, ERROR_UNREACHABLE, "gaitd went away");
            return -1;
        }
        if (strcmp(kind, "undrained") == 0) {
            error_set(error, ERROR_CONFLICT, "somebody has undone it");
            return -1;
        }
        if (strcmp(kind, "quiet") == 0) {
            fputs("no job is running any more\n", stderr);
            return EXIT_GOOD;
        }
    }
}

static void say(const struct cJSON *answer)
{
    long long running = json_integer_or(answer, "running", 0);
    if (!json_boolean_or(answer, "is_drained", false))
        fputs("jobs are started again\n", stderr);
    else if (running > 0)
        fprintf(stderr, "no job is started any more; %lld running job%s\n",
                running, running == 1 ? " goes on" : "s go on");
    else
        fputs("no job is started any more, and none is running\n", stderr);
}

static int run_open(struct client *client, struct drain *drain,
                    struct error *error)
{
    bool is_undone = options_is(&client->options, "undo");
    bool waits = options_is(&client->options, "wait") && !is_undone;
    if (waits && !begin_hearing(drain, error))
        return -1;
    struct cJSON *answer = order(drain, is_undone, error);
    if (answer == NULL)
        return -1;
    say(answer);
    waits = waits && json_integer_or(answer, "running", 0) > 0;
    if (client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, columns,
                      sizeof columns / sizeof *columns);
    cJSON_Delete(answer);
    return waits ? wait_quiet(drain, error) : EXIT_GOOD;
}

static int run(struct client *client, struct error *error)
{
    struct drain drain = {.deadline = client_deadline(client)};
    int status = -1;
    if (connection_open_until(&drain.asking, &drain.deadline, error)) {
        if (connection_open_until(&drain.hearing, &drain.deadline, error))
            status = run_open(client, &drain, error);
        connection_close(&drain.hearing);
    }
    connection_close(&drain.asking);
    return status;
}

static const struct option options[] = {
    {"undo", 0, OPTION_BOOLEAN, NULL, "let jobs start again"},
    {"wait", 0, OPTION_BOOLEAN, NULL, "until no job is running"},
    {"timeout", 0, OPTION_SECONDS, "TIME",
     "seconds, or 30m, 2h; then exit 124"},
};

const struct command command_drain = {
    .name = "drain",
    .synopsis = "[--undo] [--wait [--timeout TIME]]",
    .summary = "start no more jobs, let those running finish",
    .details = "It holds over restarts of gaitd, until --undo.  To stop at "
               "once, with\ncheckpoints: gaitctl shutdown.\n",
    .options = OPTION_TABLE(options),
    .run = run,
};
