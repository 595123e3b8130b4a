/* cmd_shutdown.c: stops the daemon, and returns when it has gone. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"

static const struct column columns[] = {
    {"running", NULL, COLUMN_NUMBER, true},
};

/* The connection ends when the daemon does. */
static int wait_for_end(struct connection *connection, struct error *error)
{
    for (;;) {
        struct cJSON *message;
        enum heard heard = connection_hear(connection, -1, -1, &message, error);
        cJSON_Delete(message);
        if (heard == HEARD_END)
            return EXIT_GOOD;
        if (heard == HEARD_TIMEOUT)
            return EXIT_TIMEOUT;
        if (heard == HEARD_ERROR)
            return -1;
    }
}

static int stop(struct client *client, struct connection *connection,
                struct error *error)
{
    struct cJSON *answer =
        connection_request(connection, "shutdown", NULL, error);
    if (answer == NULL)
        return -1;
    int64_t count = json_integer_or(answer, "running", 0);
    if (client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, columns,
                      sizeof columns / sizeof *columns);
    cJSON_Delete(answer);
    if (count > 0)
        fprintf(stderr, "gaitd is stopping; %lld running job%s first\n",
                (long long)count, count == 1 ? " checkpoints" : "s checkpoint");
    int status = wait_for_end(connection, error);
    if (status == EXIT_GOOD)
        fputs("gaitd has stopped\n", stderr);
    if (status == EXIT_TIMEOUT)
        fprintf(stderr, "gaitctl: gaitd is still stopping after %g s\n",
                connection->deadline.timeout_s);
    return status;
}

static int run(struct client *client, struct error *error)
{
    struct connection connection;
    struct deadline deadline = client_deadline(client);
    int status = -1;
    if (connection_open_until(&connection, &deadline, error))
        status = stop(client, &connection, error);
    connection_close(&connection);
    return status;
}

static const struct option options[] = {
    {"timeout", 0, OPTION_SECONDS, "TIME",
     "seconds, or 30m, 2h; then exit 124"},
};

const struct command command_shutdown = {
    .name = "shutdown",
    .synopsis = "[--timeout TIME]",
    .summary = "stop the daemon; queued jobs wait for its return",
    .details = "Running jobs checkpoint and go on when gaitd is started "
               "again.\n",
    .options = OPTION_TABLE(options),
    .run = run,
};
