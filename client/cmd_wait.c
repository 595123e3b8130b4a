/* cmd_wait.c: returns when jobs are final, and says by its status how. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "client/command.h"
#include "client/watcher.h"

static const struct column columns[] = {
    {"target", NULL, COLUMN_TEXT, true},
    {"job_count", NULL, COLUMN_NUMBER, true},
#define STATE_COLUMN(name) {#name, NULL, COLUMN_NUMBER, true},
    JOB_STATES(STATE_COLUMN)};

static void show(struct output *output, const struct watcher *watcher)
{
    struct cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "target", watcher->target);
    cJSON_AddItemToObject(row, "job_count", json_integer(watcher->job_count));
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        cJSON_AddItemToObject(row, job_state_name((enum job_state)i),
                              json_integer(watcher->counts[i]));
    output_object(output, row, columns, sizeof columns / sizeof *columns);
    cJSON_Delete(row);
}

static int run(struct client *client, struct error *error)
{
    struct watcher watcher;
    struct deadline deadline = client_deadline(client);
    int status = -1;
    if (watcher_open(&watcher, client_target(client), &deadline, error))
        status = watcher_run(&watcher, NULL, error);
    if (watcher.is_begun && client->output.format != OUTPUT_TABLE)
        show(&client->output, &watcher);
    watcher_close(&watcher);
    return status;
}

static const struct option options[] = {
    {"timeout", 0, OPTION_SECONDS, "TIME",
     "seconds, or 30m, 2h; then exit 124"},
};

const struct command command_wait = {
    .name = "wait",
    .synopsis = "[TARGET] [--timeout TIME]",
    .summary = "wait until jobs are final",
    .details = "The exit status says how they ended.  With -o json, jsonl or "
               "csv the\ncounts go to stdout.\n",
    .options = OPTION_TABLE(options),
    .words_most = 1,
    .run = run,
};
