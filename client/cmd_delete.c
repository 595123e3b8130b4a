/* cmd_delete.c: removes a sweep, with what no other one uses, after asking. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"
#include "client/submission.h"
#include "client/text.h"
#include "schema/memory.h"

static const struct column columns[] = {
    {"sweep_id", "sweep", COLUMN_NUMBER, true},
    {"name", NULL, COLUMN_TEXT, true},
    {"jobs", NULL, COLUMN_NUMBER, true},
    {"runs", NULL, COLUMN_NUMBER, true},
    {"rows", NULL, COLUMN_NUMBER, true},
    {"bytes", NULL, COLUMN_NUMBER, true},
    {"shared_runs", NULL, COLUMN_NUMBER, true},
    {"is_existing", NULL, COLUMN_TEXT, false},
};

static long long number(const struct cJSON *answer, const char *name)
{
    return json_integer_or(answer, name, 0);
}

static void say(const struct cJSON *answer, const char *verb)
{
    char *name = text_cleaned(json_text_or(answer, "name", ""));
    long long shared = number(answer, "shared_runs");
    fprintf(stderr,
            "%s: jobs %s: %lld, runs: %lld, rows of histories: %lld, "
            "checkpoints: %.1f MiB",
            name, verb, number(answer, "jobs"), number(answer, "runs"),
            number(answer, "rows"),
            (double)number(answer, "bytes") / (1 << 20));
    if (shared > 0)
        fprintf(stderr, "; %lld run%s, for other sweeps use %s", shared,
                shared == 1 ? " stays" : "s stay", shared == 1 ? "it" : "them");
    fputc('\n', stderr);
    free(name);
}

static struct cJSON *request(const char *target, const char *id, bool dry_run,
                             struct error *error)
{
    struct cJSON *params = params_of_target(target);
    cJSON_AddStringToObject(params, "request_id", id);
    cJSON_AddBoolToObject(params, "dry_run", dry_run);
    return connection_ask("delete", params, error);
}

static bool has_agreed(void)
{
    char line[16];
    fputs("delete it? [y/N] ", stderr);
    return fgets(line, sizeof line, stdin) && tolower(line[0]) == 'y';
}

static int delete (struct client *client, const char *target, const char *id,
                   struct error *error)
{
    struct cJSON *answer = request(target, id, false, error);
    if (answer == NULL)
        return -1;
    say(answer, "deleted");
    if (client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, columns,
                      sizeof columns / sizeof *columns);
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

static int run(struct client *client, struct error *error)
{
    const char *target = client_target(client);
    char id[REQUEST_ID_BYTES];
    bool is_agreed = options_is(&client->options, "yes");
    bool dry_run = options_is(&client->options, "dry-run");
    if (!submission_request_id(id, error))
        return -1;
    if (is_agreed && !dry_run)
        return delete (client, target, id, error);
    struct cJSON *answer = request(target, id, true, error);
    if (answer == NULL)
        return -1;
    say(answer, "to delete");
    if (dry_run && client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, columns,
                      sizeof columns / sizeof *columns);
    /* Not what the name may stand for by then. */
    char *sweep = xprintf("sweep-%lld", number(answer, "sweep_id"));
    cJSON_Delete(answer);
    int status = EXIT_GOOD;
    if (!dry_run && !isatty(STDIN_FILENO)) {
        status = -1;
        error_set(error, ERROR_PARAMS,
                  "nothing deleted: nobody can be asked here; --yes agrees");
    } else if (!dry_run && !has_agreed()) {
        status = EXIT_FAILED;
        fputs("nothing deleted\n", stderr);
    } else if (!dry_run) {
        status = delete (client, sweep, id, error);
    }
    free(sweep);
    return status;
}

static const struct option options[] = {
    {"yes", 'y', OPTION_BOOLEAN, NULL, "without asking"},
    {"dry-run", 0, OPTION_BOOLEAN, NULL, "say what would go"},
};

const struct command command_delete = {
    .name = "delete",
    .synopsis = "SWEEP [--yes] [--dry-run]",
    .summary = "delete a sweep and what no other one uses",
    .details =
        "Its jobs go, and of their runs, with histories and checkpoints, "
        "those\n"
        "that no other sweep's job has.  Verifications of its jobs go too; "
        "one\n"
        "alone is named verify-<id>.  Running jobs must be cancelled first.\n",
    .options = OPTION_TABLE(options),
    .words_least = 1,
    .words_most = 1,
    .run = run,
};
