/* cmd_history.c: every evaluation of jobs, row by row. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "client/command.h"
#include "client/exits.h"
#include "client/listing.h"

static const struct column first[] = {{"job", NULL, COLUMN_NUMBER, true}};
static const struct column rest[] = {
    {"step", NULL, COLUMN_NUMBER, true},
    {"epoch", NULL, COLUMN_NUMBER, true},
    {"train_accuracy", "train accuracy %", COLUMN_PERCENT, true},
    {"train_loss", "train loss", COLUMN_NUMBER, true},
    {"valid_accuracy", "valid accuracy %", COLUMN_PERCENT, false},
    {"valid_loss", "valid loss", COLUMN_NUMBER, false},
    {"test_accuracy", "test accuracy %", COLUMN_PERCENT, true},
    {"test_loss", "test loss", COLUMN_NUMBER, true},
    {"state_hash", "state hash", COLUMN_TEXT, false},
    {"seconds", NULL, COLUMN_DURATION, true},
};

/* Of a layer: worker/engine/diagnostics.h says what they are. */
static const struct column layer_columns[] = {
    {"step", NULL, COLUMN_NUMBER, true},
    {"epoch", NULL, COLUMN_NUMBER, true},
    {"layer", NULL, COLUMN_NUMBER, true},
    {"angle", "angle to BP, degrees", COLUMN_NUMBER, true},
    {"off_diagonal", "off diagonal", COLUMN_NUMBER, true},
    {"condition", NULL, COLUMN_NUMBER, true},
    {"error_rms", "error rms", COLUMN_NUMBER, true},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

struct pages {
    struct output *output;
    bool has_layers;
    struct columns columns;
};

/* Whether validation has something to show, on this page or a later one: all
 * jobs hold out as many rows, or some of them do. */
static bool has_valid(const struct cJSON *rows, const struct cJSON *varying)
{
    return list_has(varying, "valid_rows") ||
           (rows != NULL && rows->child != NULL &&
            cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(rows->child,
                                                            "valid_accuracy")));
}

/* The first page says what varies, and so begins the output. */
static void begin(struct pages *pages, const struct cJSON *page)
{
    const struct cJSON *rows = cJSON_GetObjectItemCaseSensitive(page, "rows");
    const struct cJSON *varying =
        cJSON_GetObjectItemCaseSensitive(page, "varying");
    struct columns *c = &pages->columns;
    columns_add(c, first, COUNT(first));
    columns_add_varying(c, varying);
    if (pages->has_layers)
        columns_add(c, layer_columns, COUNT(layer_columns));
    else
        columns_add(c, rest, COUNT(rest));
    for (int i = 0; i < c->count; i++)
        if (has_valid(rows, varying) &&
            strncmp(c->column[i].key, "valid_", 6) == 0 &&
            strcmp(c->column[i].key, "valid_rows") != 0)
            c->column[i].in_table = true;
    output_begin(pages->output, c->column, c->count);
}

static bool show_page(void *user, const struct cJSON *page, struct error *error)
{
    struct pages *pages = user;
    (void)error;
    if (pages->columns.count == 0)
        begin(pages, page);
    output_rows(pages->output, cJSON_GetObjectItemCaseSensitive(page, "rows"));
    return true;
}

static int run(struct client *client, struct error *error)
{
    struct connection connection;
    struct pages pages = {
        .output = &client->output,
        .has_layers = options_is(&client->options, "layers"),
    };
    struct listing listing = {
        .method = "history",
        .rows = "rows",
        .limit = options_integer(&client->options, "limit", 0),
        .params = params_of_target(client_target(client)),
    };
    if (pages.has_layers)
        cJSON_AddTrueToObject(listing.params, "layers");
    bool good = connection_open(&connection, error) &&
                listing_run(&listing, &connection, show_page, &pages, error);
    if (pages.columns.count > 0)
        output_end(&client->output);
    if (good && client->output.rows == 0)
        fputs("no evaluations yet; watch with: gaitctl watch\n", stderr);
    connection_close(&connection);
    return good ? EXIT_GOOD : -1;
}

static const struct option options[] = {
    {"limit", 'n', OPTION_INTEGER, "N", "rows at most (0: all)"},
    {"layers", 0, OPTION_BOOLEAN, NULL,
     "the diagnostics of each layer instead, a row per layer"},
};

const struct command command_history = {
    .name = "history",
    .synopsis = "[TARGET] [--layers] [--limit N]",
    .summary = "list every evaluation of jobs",
    .details =
        "Without TARGET: the sweep that you submitted last.  Accuracies "
        "are\npercent in the table, fractions in data.\n\nLayers count from "
        "0, the lowest.  Of each: the angle between its gradient\nand "
        "that of BP, the norm of W W^T off its diagonal, the condition "
        "number of W,\nand the root mean square of its errors, all on "
        "the first batch.  Jobs have them\nthat were submitted with "
        "--diagnostics.\n",
    .options = OPTION_TABLE(options),
    .words_most = 1,
    .run = run,
};
