/* cmd_retry.c: sends what failed or was cancelled to the queue again. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"
#include "client/moment.h"
#include "schema/control.h"

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

static struct cJSON *make_params(const struct client *client,
                                 struct error *error)
{
    struct cJSON *params = params_of_target(client_target(client));
    const char *limit = options_text(&client->options, "time-limit");
    if (limit == NULL)
        return params;
    struct cJSON *value =
        duration_value(control_find("time_limit"), limit, error);
    if (value != NULL) {
        cJSON_AddItemToObject(params, "time_limit", value);
        return params;
    }
    cJSON_Delete(params);
    return NULL;
}

static int run(struct client *client, struct error *error)
{
    const char *target = client_target(client);
    struct cJSON *params = make_params(client, error);
    struct cJSON *answer =
        params ? connection_ask("retry", params, error) : NULL;
    if (answer == NULL)
        return -1;
    say(answer, target);
    if (client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, columns,
                      sizeof columns / sizeof *columns);
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

static const struct option options[] = {
    {"time-limit", 0, OPTION_TEXT, "TIME",
     "the sweep's from now on: seconds, or 30m, 2h, 3d, or none"},
};

const struct command command_retry = {
    .name = "retry",
    .synopsis = "TARGET [--time-limit TIME]",
    .summary = "queue the failed and cancelled jobs of a sweep again",
    .details = "They go on from their checkpoints; crashes are counted from "
               "nothing again.\nA job that diverged is left: the same "
               "settings diverge again.\n",
    .options = OPTION_TABLE(options),
    .words_least = 1,
    .words_most = 1,
    .run = run,
};
