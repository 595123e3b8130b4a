/* cmd_fsck.c: whether database and checkpoints are what they ought to be. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/text.h"
#include "schema/json.h"

static const struct column columns[] = {
    {"check", NULL, COLUMN_TEXT, true},
    {"text", NULL, COLUMN_TEXT, true},
    {"advice", NULL, COLUMN_TEXT, true},
};

static const struct cJSON *findings_of(const struct cJSON *answer)
{
    return cJSON_GetObjectItemCaseSensitive(answer, "findings");
}

/* Sentences are longer than columns. */
static void say_finding(FILE *file, const struct cJSON *finding)
{
    char *text = text_cleaned(json_text_or(finding, "text", ""));
    fprintf(file, "%s: %s\n    %s\n", json_text_or(finding, "check", ""), text,
            json_text_or(finding, "advice", ""));
    free(text);
}

static void show(struct output *output, const struct cJSON *answer)
{
    const struct cJSON *finding;
    if (output->format == OUTPUT_TABLE) {
        cJSON_ArrayForEach(finding, findings_of(answer))
        {
            say_finding(output->file, finding);
        }
    } else {
        output_begin(output, columns, sizeof columns / sizeof *columns);
        output_rows(output, findings_of(answer));
        output_end(output);
    }
}

static void sum_up(const struct cJSON *answer)
{
    long long count = json_integer_or(answer, "count", 0);
    fprintf(stderr, "%lld rules, %lld checkpoints: ",
            (long long)json_integer_or(answer, "rules", 0),
            (long long)json_integer_or(answer, "checkpoints", 0));
    if (count > 0)
        fprintf(stderr, "%lld finding%s\n", count, count == 1 ? "" : "s");
    else
        fputs("all is well\n", stderr);
}

static int run(struct client *client, struct error *error)
{
    struct connection connection;
    struct cJSON *answer = NULL;
    if (connection_open(&connection, error))
        answer = connection_request(&connection, "fsck", NULL, error);
    connection_close(&connection);
    if (answer == NULL)
        return -1;
    show(&client->output, answer);
    sum_up(answer);
    int status =
        json_integer_or(answer, "count", 0) > 0 ? EXIT_FAILED : EXIT_GOOD;
    cJSON_Delete(answer);
    return status;
}

const struct command command_fsck = {
    .name = "fsck",
    .synopsis = "",
    .summary = "check database, checkpoints and invariants",
    .details =
        "Reads everything, while gaitd goes on; changes nothing.  Exits with "
        "1\n"
        "when something is not as it ought to be, and says what to do.  For\n"
        "gaitd's owner and root.  Where gaitd does not start: gaitd --fsck.\n",
    .run = run,
};
