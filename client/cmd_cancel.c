/* cmd_cancel.c: takes jobs out of the queue and stops those that run. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"

static const struct column columns[] = {
    {"cancelled", NULL, COLUMN_NUMBER, true},
    {"stopping", NULL, COLUMN_NUMBER, true},
    {"already_final", NULL, COLUMN_NUMBER, true},
};

static void say(const struct cJSON *answer, const char *target)
{
    long long cancelled = json_integer_or(answer, "cancelled", 0);
    long long stopping = json_integer_or(answer, "stopping", 0);
    long long final = json_integer_or(answer, "already_final", 0);
    fprintf(stderr, "%s: %lld cancelled", target, cancelled);
    if (stopping > 0)
        fprintf(stderr, ", %lld stopping at a checkpoint", stopping);
    if (final > 0)
        fprintf(stderr, ", %lld final already", final);
    fputc('\n', stderr);
}

static int run(struct client *client, struct error *error)
{
    struct connection connection;
    const char *target = client_target(client);
    struct cJSON *answer = NULL;
    if (connection_open(&connection, error))
        answer = connection_request(&connection, "cancel",
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

const struct command command_cancel = {
    .name = "cancel",
    .synopsis = "TARGET",
    .summary = "cancel jobs; what they computed is kept",
    .details = "Running jobs checkpoint first: asking for them again goes on "
               "from there.\n",
    .words_least = 1,
    .words_most = 1,
    .run = run,
};
