/* cmd_events.c: what happened, and what goes on happening with --follow.
 *
 * Following takes two connections: one only hears that there is something,
 * the other asks what, from behind the last event shown.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <time.h>

#include "client/command.h"
#include "client/exits.h"
#include "client/listing.h"
#include "client/moment.h"
#include "schema/event.h"

#define SINCE_INITIAL "24h"

static const struct column columns[] = {
    {"id", "event", COLUMN_NUMBER, true},
    {"at", "time", COLUMN_TIME, true},
    {"kind", NULL, COLUMN_TEXT, true},
    {"sweep_id", NULL, COLUMN_NUMBER, false},
    {"sweep", NULL, COLUMN_TEXT, true},
    {"job", NULL, COLUMN_NUMBER, true},
    {"cost_s", "cost", COLUMN_DURATION, true},
    {"text", NULL, COLUMN_TEXT, true},
};

struct events {
    struct client *client;
    const char *target; /* NULL: all */
    struct moment since;
    int64_t last; /* shown */
};

static struct cJSON *make_params(const struct events *events)
{
    struct cJSON *params = events->target != NULL
                               ? params_of_target(events->target)
                               : cJSON_CreateObject();
    if (events->since.event == 0)
        cJSON_AddItemToObject(params, "since", json_number(events->since.at));
    return params;
}

static bool show_page(void *user, const struct cJSON *page, struct error *error)
{
    struct events *events = user;
    const struct cJSON *rows = cJSON_GetObjectItemCaseSensitive(page, "events");
    const struct cJSON *row;
    (void)error;
    cJSON_ArrayForEach(row, rows)
    {
        events->last = json_integer_or(row, "id", events->last);
    }
    output_rows(&events->client->output, rows);
    fflush(events->client->output.file);
    return true;
}

static bool show_new(struct events *events, struct connection *connection,
                     struct error *error)
{
    struct listing listing = {.method = "events",
                              .rows = "events",
                              .after = events->last,
                              .params = make_params(events)};
    return listing_run(&listing, connection, show_page, events, error);
}

/* Asks for one page, which is thrown away, so as to hear from now on. */
static bool begin_hearing(const struct events *events,
                          struct connection *hearing, struct error *error)
{
    struct cJSON *params = make_params(events);
    cJSON_AddTrueToObject(params, "follow");
    cJSON_AddItemToObject(params, "limit", json_integer(1));
    struct cJSON *page = connection_request(hearing, "events", params, error);
    cJSON_Delete(page);
    return page != NULL;
}

static int follow(struct events *events, struct connection *asking,
                  struct connection *hearing, struct error *error)
{
    for (;;) {
        struct cJSON *message;
        if (!show_new(events, asking, error))
            return -1;
        enum heard heard = connection_hear(hearing, -1, -1, &message, error);
        cJSON_Delete(message);
        if (heard == HEARD_TIMEOUT)
            return EXIT_TIMEOUT;
        if (heard == HEARD_ERROR)
            return -1;
        if (heard == HEARD_END) {
            error_set(error, ERROR_UNREACHABLE, "gaitd went away");
            return -1;
        }
    }
}

static int run_following(struct events *events, struct connection *asking,
                         struct error *error)
{
    struct connection hearing;
    struct deadline deadline = client_deadline(events->client);
    int status = -1;
    if (connection_open_until(&hearing, &deadline, error) &&
        begin_hearing(events, &hearing, error))
        status = follow(events, asking, &hearing, error);
    connection_close(&hearing);
    return status;
}

static int run_events(struct events *events, struct error *error)
{
    struct client *client = events->client;
    struct connection connection;
    int status = -1;
    output_begin(&client->output, columns, sizeof columns / sizeof *columns);
    if (connection_open(&connection, error)) {
        if (options_is(&client->options, "follow"))
            status = run_following(events, &connection, error);
        else if (show_new(events, &connection, error))
            status = EXIT_GOOD;
    }
    connection_close(&connection);
    output_end(&client->output);
    return status;
}

static int show_kinds(struct output *output)
{
    static const struct column kind_columns[] = {
        {"kind", NULL, COLUMN_TEXT, true},
        {"meaning", NULL, COLUMN_TEXT, true}};
    struct cJSON *rows = cJSON_CreateArray();
    for (int i = 0; i < event_kind_count; i++) {
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "kind", event_kinds[i].name);
        cJSON_AddStringToObject(row, "meaning", event_kinds[i].meaning);
        cJSON_AddItemToArray(rows, row);
    }
    output_begin(output, kind_columns, 2);
    output_rows(output, rows);
    output_end(output);
    cJSON_Delete(rows);
    return EXIT_GOOD;
}

static int run(struct client *client, struct error *error)
{
    const struct options *o = &client->options;
    const char *since = options_text(o, "since");
    struct events events = {
        .client = client,
        .target = o->word_count > 0 ? o->words[0] : NULL,
    };
    if (options_is(o, "kinds"))
        return show_kinds(&client->output);
    if (!moment_read(since != NULL ? since : SINCE_INITIAL, (double)time(NULL),
                     &events.since, error)) {
        error_prefix(error, "--since");
        return -1;
    }
    events.last = events.since.event;
    return run_events(&events, error);
}

static const struct option options[] = {
    {"since", 0, OPTION_TEXT, "TIME",
     "30m, 2h, 3d, a date, a date and time, or an event's id "
     "(" SINCE_INITIAL ")"},
    {"follow", 'f', OPTION_BOOLEAN, NULL, "go on with what happens"},
    {"kinds", 0, OPTION_BOOLEAN, NULL, "say which kinds of events there are"},
    {"timeout", 0, OPTION_SECONDS, "TIME",
     "of --follow: seconds, or 30m, 2h; then exit 124"},
};

const struct command command_events = {
    .name = "events",
    .synopsis = "[TARGET] [--since TIME] [--follow]",
    .summary = "list what happened: starts, losses and their cost, failures",
    .details = "cost: the time that computing takes which has to be done "
               "again.\n",
    .options = OPTION_TABLE(options),
    .words_most = 1,
    .run = run,
};
