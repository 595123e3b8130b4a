/* cmd_keep.c: exempts a sweep's checkpoints from pruning. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"
#include "client/text.h"

static const struct column columns[] = {
    {"sweep_id", "sweep", COLUMN_NUMBER, true},
    {"name", NULL, COLUMN_TEXT, true},
    {"is_kept", "kept", COLUMN_TEXT, true},
};

static void say(const struct cJSON *answer)
{
    char *name = text_cleaned(json_text_or(answer, "name", ""));
    bool is_kept =
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "is_kept"));
    fprintf(stderr, "%s: checkpoints %s\n", name,
            is_kept ? "are kept" : "may be removed when room is short");
    free(name);
}

static int run(struct client *client, struct error *error)
{
    struct cJSON *params = params_of_target(client_target(client));
    cJSON_AddBoolToObject(params, "undo", options_is(&client->options, "undo"));
    struct cJSON *answer = connection_ask("keep", params, error);
    if (answer == NULL)
        return -1;
    say(answer);
    if (client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, columns,
                      sizeof columns / sizeof *columns);
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

static const struct option options[] = {
    {"undo", 0, OPTION_BOOLEAN, NULL, "they need not be kept any more"},
};

const struct command command_keep = {
    .name = "keep",
    .synopsis = "SWEEP [--undo]",
    .summary = "keep a sweep's checkpoints whatever the budget",
    .details =
        "gaitd removes checkpoints above checkpoint_budget, the least useful\n"
        "first; never those of a sweep that is kept, which count all the "
        "same.\n",
    .options = OPTION_TABLE(options),
    .words_least = 1,
    .words_most = 1,
    .run = run,
};
