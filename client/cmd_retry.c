/* cmd_retry.c: sends what failed or was cancelled to the queue again. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"

static const struct column columns[] = {
    {"retried", NULL, COLUMN_NUMBER, true},
    {"failed", NULL, COLUMN_NUMBER, true},
    {"cancelled", NULL, COLUMN_NUMBER, true},
    {"diverged", NULL, COLUMN_NUMBER, true},
};

static void say(const struct cJSON *answer, const char *target)
{
    long long retried = json_integer_or(answer, "retried", 0);
    long long failed = json_integer_or(answer, "failed", 0);
    long long cancelled = json_integer_or(answer, "cancelled", 0);
    long long diverged = json_integer_or(answer, "diverged", 0);
    if (retried > 0)
        fprintf(stderr,
                "%s: %lld job%s in the queue again (%lld had failed, %lld "
                "had been cancelled)\n",
                target, retried, retried == 1 ? " is" : "s are", failed,
                cancelled);
    else
        fprintf(stderr, "%s: nothing to retry\n", target);
    if (diverged > 0)
        fprintf(stderr,
                "%lld left alone: the same settings would diverge again\n",
                diverged);
}

static int run(struct client *client, struct error *error)
{
    struct connection connection;
    const char *target = client_target(client);
    struct cJSON *answer = NULL;
    if (connection_open(&connection, error))
        answer = connection_request(&connection, "retry",
                                    params_of_target(target), error);
    connection_close(&connection);
    if (answer == NULL)
        return -1;
    say(answer, target);
    if (client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, columns,
                      sizeof columns / sizeof *columns);
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

const struct command command_retry = {
    .name = "retry",
    .synopsis = "TARGET",
    .summary = "queue the failed and cancelled jobs of a sweep again",
    .details = "They go on from their checkpoints; crashes are counted from "
               "nothing again.\nA job that diverged is left: the same "
               "settings diverge again.\n",
    .words_least = 1,
    .words_most = 1,
    .run = run,
};
