/* cmd_control.c: controls chosen anew: priority, limit. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"
#include "schema/control.h"

static const struct column columns[] = {
    {"changed", NULL, COLUMN_NUMBER, true},
    {"already_set", NULL, COLUMN_NUMBER, true},
    {"already_final", NULL, COLUMN_NUMBER, true},
};

static struct cJSON *change(const struct client *client, const char *name,
                            struct error *error)
{
    struct cJSON *params = params_of_target(client_target(client));
    struct cJSON *controls = cJSON_AddObjectToObject(params, "controls");
    cJSON_AddItemToObject(
        controls, name,
        setting_value(control_find(name), client->options.words[1]));
    return connection_ask("control", params, error);
}

static int finish(struct client *client, struct cJSON *answer)
{
    if (client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, columns,
                      sizeof columns / sizeof *columns);
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

static int run_priority(struct client *client, struct error *error)
{
    const char *const *words = client->options.words;
    struct cJSON *answer = change(client, "priority", error);
    if (answer == NULL)
        return -1;
    fprintf(stderr, "%s: %lld of priority %s", words[0],
            (long long)json_integer_or(answer, "changed", 0), words[1]);
    if (json_integer_or(answer, "already_set", 0) > 0)
        fprintf(stderr, ", %lld had it already",
                (long long)json_integer_or(answer, "already_set", 0));
    if (json_integer_or(answer, "already_final", 0) > 0)
        fprintf(stderr, ", %lld final already",
                (long long)json_integer_or(answer, "already_final", 0));
    fputc('\n', stderr);
    return finish(client, answer);
}

static int run_limit(struct client *client, struct error *error)
{
    const char *const *words = client->options.words;
    struct cJSON *answer = change(client, "max_running", error);
    if (answer == NULL)
        return -1;
    fprintf(stderr, "%s: max_running %s\n", words[0], words[1]);
    return finish(client, answer);
}

const struct command command_priority = {
    .name = "priority",
    .synopsis = "TARGET N",
    .summary = "choose anew which jobs go first: -100 to 100, 0 at first",
    .details =
        "Jobs of a higher priority start before all others; at equal "
        "priority\n"
        "users take turns: who has the fewest slots, then who waited longest.\n"
        "Running jobs are not stopped.  Only operators go above 0.\n",
    .words_least = 2,
    .words_most = 2,
    .run = run_priority,
};

const struct command command_limit = {
    .name = "limit",
    .synopsis = "SWEEP N|none",
    .summary = "choose anew how many jobs of a sweep may run at once",
    .details = "Running jobs are not stopped.\n",
    .words_least = 2,
    .words_most = 2,
    .run = run_limit,
};
