/* cmd_explain.c: why a job is where it is. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"
#include "client/text.h"

static const struct column columns[] = {
    {"job", NULL, COLUMN_NUMBER, true},
    {"state", NULL, COLUMN_STATE, true},
    {"text", NULL, COLUMN_TEXT, true},
};

static void say(struct output *output, const struct cJSON *answer)
{
    if (output->format != OUTPUT_TABLE) {
        output_object(output, answer, columns,
                      sizeof columns / sizeof *columns);
        return;
    }
    char *text = text_cleaned(json_text_or(answer, "text", ""));
    fprintf(output->file, "%s\n", text);
    free(text);
}

static int run(struct client *client, struct error *error)
{
    struct cJSON *answer = connection_ask(
        "explain", params_of_target(client_target(client)), error);
    if (answer == NULL)
        return -1;
    say(&client->output, answer);
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

const struct command command_explain = {
    .name = "explain",
    .synopsis = "JOB",
    .summary = "say in one sentence why a job is where it is",
    .details = "What it waits for, since when it runs, why it failed.\n",
    .words_least = 1,
    .words_most = 1,
    .run = run,
};
