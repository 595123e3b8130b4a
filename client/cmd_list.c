/* cmd_list.c: jobs, or sweeps with --sweeps. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "client/command.h"
#include "client/exits.h"
#include "client/listing.h"

enum { LIMIT_WITHOUT_TARGET = 100 };

static const struct column sweep_columns[] = {
    {"id", NULL, COLUMN_NUMBER, true},
    {"name", NULL, COLUMN_TEXT, true},
    {"owner", NULL, COLUMN_TEXT, true},
    {"job_count", "jobs", COLUMN_NUMBER, true},
    {"held", NULL, COLUMN_NUMBER, true},
    {"queued", NULL, COLUMN_NUMBER, true},
    {"running", NULL, COLUMN_NUMBER, true},
    {"done", NULL, COLUMN_NUMBER, true},
    {"failed", NULL, COLUMN_NUMBER, true},
    {"cancelled", NULL, COLUMN_NUMBER, true},
    {"submitted_at", "submitted", COLUMN_TIME, true},
    {"finished_at", "finished", COLUMN_TIME, true},
    {"is_kept", "kept", COLUMN_TEXT, false},
};

/* Before the settings, and after them. */
static const struct column job_columns[] = {
    {"id", "job", COLUMN_NUMBER, true},
    {"sweep_id", NULL, COLUMN_NUMBER, false},
    {"sweep", NULL, COLUMN_TEXT, true},
    {"position", NULL, COLUMN_NUMBER, false},
    {"run_id", NULL, COLUMN_NUMBER, false},
    {"key", NULL, COLUMN_TEXT, false},
    {"replica", NULL, COLUMN_NUMBER, false},
    {"verifies", NULL, COLUMN_NUMBER, false},
    {"owner", NULL, COLUMN_TEXT, false},
    {"state", NULL, COLUMN_STATE, true},
    {"epoch", NULL, COLUMN_NUMBER, true},
    {"nb_epochs", "of", COLUMN_NUMBER, true},
};
static const struct column job_rest[] = {
    {"train_accuracy", "train accuracy %", COLUMN_PERCENT, false},
    {"test_accuracy", "test accuracy %", COLUMN_PERCENT, true},
    {"priority", NULL, COLUMN_NUMBER, false},
    {"attempts", NULL, COLUMN_NUMBER, false},
    {"submitted_at", "submitted", COLUMN_TIME, true},
    {"started_at", "started", COLUMN_TIME, false},
    {"finished_at", "finished", COLUMN_TIME, false},
    {"reason", NULL, COLUMN_TEXT, true},
};

#define ADD(columns, array)                                                    \
    columns_add(columns, array, (int)(sizeof(array) / sizeof *(array)))

static bool show_page(void *user, const struct cJSON *page, struct error *error)
{
    struct client *client = user;
    const struct cJSON *jobs = cJSON_GetObjectItemCaseSensitive(page, "jobs");
    (void)error;
    output_rows(
        &client->output,
        jobs != NULL ? jobs : cJSON_GetObjectItemCaseSensitive(page, "sweeps"));
    return true;
}

static void say_rest(const struct client *client, const struct listing *listing)
{
    if (listing->has_more)
        fprintf(stderr, "the %s %lld; more with: --limit N\n",
                client->options.word_count > 0 ? "first" : "newest",
                (long long)client->output.rows);
    if (client->output.rows > 0)
        return;
    if (options_text(&client->options, "state") != NULL)
        fprintf(stderr, "no jobs are %s\n",
                options_text(&client->options, "state"));
    else
        fprintf(stderr, "no jobs yet; submit one with: gaitctl submit "
                        "--algorithm=GAIT --nb_epochs=3\n");
}

static int run_listing(struct client *client, struct connection *connection,
                       struct listing *listing, const struct columns *columns,
                       struct error *error)
{
    output_begin(&client->output, columns->column, columns->count);
    bool good = listing_run(listing, connection, show_page, client, error);
    output_end(&client->output);
    if (good)
        say_rest(client, listing);
    return good ? EXIT_GOOD : -1;
}

static struct cJSON *make_params(const struct client *client)
{
    struct cJSON *params = cJSON_CreateObject();
    const char *state = options_text(&client->options, "state");
    if (client->options.word_count > 0)
        cJSON_AddStringToObject(params, "target", client->options.words[0]);
    if (state != NULL)
        cJSON_AddStringToObject(params, "state", state);
    return params;
}

static int64_t limit_of(const struct client *client)
{
    bool has_target = client->options.word_count > 0;
    return options_integer(&client->options, "limit",
                           has_target ? 0 : LIMIT_WITHOUT_TARGET);
}

static int list_sweeps(struct client *client, struct connection *connection,
                       struct error *error)
{
    struct columns columns = {0};
    struct listing listing = {
        .method = "sweeps", .rows = "sweeps", .limit = limit_of(client)};
    if (client->options.word_count > 0 ||
        options_text(&client->options, "state") != NULL) {
        error_set(error, ERROR_PARAMS,
                  "--sweeps lists every sweep: without TARGET and --state");
        return -1;
    }
    ADD(&columns, sweep_columns);
    columns_add_controls(&columns, "priority");
    return run_listing(client, connection, &listing, &columns, error);
}

/* The settings that the table shows.  Its columns come before its first row,
 * so what varies has to be asked for. */
static struct cJSON *shown_settings(const struct client *client,
                                    struct connection *connection,
                                    struct error *error)
{
    static const char *const usual[] = {"algorithm", "dataset"};
    if (client->options.word_count == 0)
        return cJSON_CreateStringArray(usual, sizeof usual / sizeof *usual);
    if (client->output.format != OUTPUT_TABLE)
        return cJSON_CreateArray();
    return listing_varying(connection, client->options.words[0], error);
}

static int list_jobs(struct client *client, struct connection *connection,
                     struct error *error)
{
    struct columns columns = {0};
    struct listing listing = {
        .method = "list", .rows = "jobs", .limit = limit_of(client)};
    struct cJSON *shown = shown_settings(client, connection, error);
    if (shown == NULL)
        return -1;
    ADD(&columns, job_columns);
    columns_add_settings(&columns, shown);
    ADD(&columns, job_rest);
    cJSON_Delete(shown);
    listing.params = make_params(client);
    return run_listing(client, connection, &listing, &columns, error);
}

static int run(struct client *client, struct error *error)
{
    struct connection connection;
    int status = -1;
    if (connection_open(&connection, error))
        status = options_is(&client->options, "sweeps")
                     ? list_sweeps(client, &connection, error)
                     : list_jobs(client, &connection, error);
    connection_close(&connection);
    return status;
}

static const struct option options[] = {
    {"sweeps", 0, OPTION_BOOLEAN, NULL, "list sweeps instead of jobs"},
    {"state", 0, OPTION_TEXT, "STATE",
     "held, queued, running, done, failed or cancelled"},
    {"limit", 'n', OPTION_INTEGER, "N",
     "rows at most, 0 for all (100 without TARGET)"},
};

const struct command command_list = {
    .name = "list",
    .synopsis = "[TARGET] [--sweeps] [--state STATE] [--limit N]",
    .summary = "list jobs, the newest first, or those of a target",
    .options = OPTION_TABLE(options),
    .words_most = 1,
    .run = run,
};
