/* cmd_verify.c: has jobs computed again, and says whether every row came out
 * the same. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"
#include "client/submission.h"
#include "client/text.h"
#include "client/watcher.h"
#include "schema/memory.h"

enum { SKIPPED_SHOWN = 10 };

static const struct column columns[] = {
    {"job", NULL, COLUMN_NUMBER, true},
    {"label", NULL, COLUMN_TEXT, true},
    {"verified_by", NULL, COLUMN_NUMBER, false},
    {"state", NULL, COLUMN_STATE, false},
    {"nb_epochs", NULL, COLUMN_NUMBER, false},
    {"rows", NULL, COLUMN_NUMBER, false},
    {"reason", NULL, COLUMN_TEXT, false},
    {"verdict", NULL, COLUMN_TEXT, true},
};

static void say_skipped(const struct cJSON *reply)
{
    const struct cJSON *row;
    int64_t count = json_integer_or(reply, "skipped_count", 0);
    int shown = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(reply, "skipped"))
    {
        if (shown++ == SKIPPED_SHOWN)
            break;
        char *reason = text_cleaned(json_text_or(row, "reason", ""));
        fprintf(stderr, "skipped: job %lld %s\n",
                (long long)json_integer_or(row, "job", 0), reason);
        free(reason);
    }
    if (count > SKIPPED_SHOWN)
        fprintf(stderr, "skipped: %lld more\n",
                (long long)count - SKIPPED_SHOWN);
}

/* Asks for it; the verification's name in `name`. */
static bool ask(struct client *client, const struct deadline *deadline,
                char name[SPEC_NAME_BYTES], struct error *error)
{
    char id[REQUEST_ID_BYTES];
    struct connection connection;
    struct cJSON *reply = NULL;
    if (!submission_request_id(id, error))
        return false;
    struct cJSON *params = params_of_target(client_target(client));
    cJSON_AddStringToObject(params, "request_id", id);
    if (connection_open_until(&connection, deadline, error))
        reply = connection_request(&connection, "verify", params, error);
    else
        cJSON_Delete(params);
    connection_close(&connection);
    if (reply == NULL)
        return false;
    text_clean(name, SPEC_NAME_BYTES, json_text_or(reply, "name", ""));
    fprintf(stderr, "%s: %lld job%s to compute again\n", name,
            (long long)json_integer_or(reply, "job_count", 0),
            json_integer_or(reply, "job_count", 0) == 1 ? "" : "s");
    say_skipped(reply);
    cJSON_Delete(reply);
    return true;
}

static void add_verdict(struct cJSON *row)
{
    const char *state = json_text_or(row, "state", "");
    const char *reason = json_text_or(row, "reason", "");
    long long rows = json_integer_or(row, "rows", 0);
    char *text =
        strcmp(state, "done") == 0
            ? xprintf("identical, %lld row%s", rows, rows == 1 ? "" : "s")
            : xprintf("%s%s%s, after %lld identical row%s", state,
                      *reason != '\0' ? ": " : "", reason, rows,
                      rows == 1 ? "" : "s");
    cJSON_AddStringToObject(row, "verdict", text);
    free(text);
}

static bool show_page(void *user, const struct cJSON *page, struct error *error)
{
    struct output *output = user;
    struct cJSON *row, *rows = cJSON_GetObjectItemCaseSensitive(page, "rows");
    (void)error;
    cJSON_ArrayForEach(row, rows) add_verdict(row);
    output_rows(output, rows);
    return true;
}

static bool show(struct client *client, const char *name, struct error *error)
{
    struct connection connection;
    struct listing listing = {.method = "verification",
                              .rows = "rows",
                              .params = params_of_target(name)};
    output_begin(&client->output, columns, sizeof columns / sizeof *columns);
    bool good =
        connection_open(&connection, error) &&
        listing_run(&listing, &connection, show_page, &client->output, error);
    output_end(&client->output);
    connection_close(&connection);
    return good;
}

static int run(struct client *client, struct error *error)
{
    char name[SPEC_NAME_BYTES];
    struct watcher watcher;
    struct deadline deadline = client_deadline(client);
    int status = -1;
    if (!ask(client, &deadline, name, error))
        return -1;
    if (watcher_open(&watcher, name, &deadline, error))
        status = watcher_run(&watcher, NULL, error);
    watcher_close(&watcher);
    if (status >= 0 && status != EXIT_INTERRUPTED && !show(client, name, error))
        return -1;
    return status;
}

static const struct option options[] = {
    {"timeout", 0, OPTION_SECONDS, "TIME",
     "seconds, or 30m, 2h; then exit 124"},
};

const struct command command_verify = {
    .name = "verify",
    .synopsis = "[TARGET] [--timeout TIME]",
    .summary = "compute jobs again and compare every row, bit by bit",
    .details =
        "Each run of the jobs is trained once more from nothing, hidden from\n"
        "all listings, as far as it has come, on the device class on which it\n"
        "began.  Prints for each job that all rows are identical, or the "
        "first\n"
        "that is not, and exits 0 or 1.\n",
    .options = OPTION_TABLE(options),
    .words_most = 1,
    .run = run,
};
