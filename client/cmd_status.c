/* cmd_status.c: how the daemon is, and what its slots do. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/news.h"
#include "client/text.h"
#include "schema/job.h"

static const struct column columns[] = {
    {"version", "gaitd", COLUMN_TEXT, true},
    {"pid", NULL, COLUMN_NUMBER, true},
    {"started_at", "started", COLUMN_TIME, true},
    {"socket", NULL, COLUMN_TEXT, true},
    {"state_dir", "state folder", COLUMN_TEXT, true},
    {"disk", NULL, COLUMN_TEXT, true},
    {"sweeps", NULL, COLUMN_NUMBER, true},
    {"jobs", NULL, COLUMN_TEXT, true},
    {"drained", NULL, COLUMN_TEXT, true},
};

static const struct column slot_columns[] = {
    {"slot", NULL, COLUMN_NUMBER, true},
    {"device", NULL, COLUMN_TEXT, true},
    {"device_class", "device class", COLUMN_TEXT, false},
    {"worker_pid", "worker", COLUMN_NUMBER, true},
    {"job", NULL, COLUMN_NUMBER, true},
    {"label", NULL, COLUMN_TEXT, true},
    {"epoch", NULL, COLUMN_NUMBER, true},
    {"nb_epochs", "of", COLUMN_NUMBER, true},
    {"step", NULL, COLUMN_NUMBER, true},
    {"steps", "of", COLUMN_NUMBER, true},
    {"steps_per_second", "steps/s", COLUMN_NUMBER, true},
    {"trouble", NULL, COLUMN_TEXT, false},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* "3 queued, 1 running" */
static void print_counts(char *text, size_t bytes, const struct cJSON *counts)
{
    size_t used = 0;
    snprintf(text, bytes, "none yet");
    for (int i = 0; i < JOB_STATE_COUNT && used < bytes; i++) {
        const char *state = job_state_name((enum job_state)i);
        int64_t count = json_integer_or(counts, state, 0);
        if (count > 0)
            used +=
                (size_t)snprintf(text + used, bytes - used, "%s%lld %s",
                                 used > 0 ? ", " : "", (long long)count, state);
    }
}

static void show_slots(struct output *output, const struct cJSON *status)
{
    output_begin(output, slot_columns, COUNT(slot_columns));
    output_rows(output, cJSON_GetObjectItemCaseSensitive(status, "slots"));
    output_end(output);
}

/* "since 2026-05-01 13:45:10 by ann: no job is started"; nothing when not. */
static void show_drained(struct cJSON *shown)
{
    char text[256], at[32];
    struct cJSON *drained = cJSON_DetachItemFromObject(shown, "drained");
    if (cJSON_IsObject(drained)) {
        text_time(at, sizeof at, json_real_or(drained, "at", NAN));
        snprintf(text, sizeof text, "since %s by %s: no job is started", at,
                 json_text_or(drained, "user", ""));
        cJSON_AddStringToObject(shown, "drained", text);
    }
    cJSON_Delete(drained);
}

static void show_news(struct output *output, const struct cJSON *status)
{
    char text[512];
    news_print(text, sizeof text,
               cJSON_GetObjectItemCaseSensitive(status, "news"),
               (double)time(NULL));
    if (*text != '\0')
        fprintf(output->file, "%s\n\n", text);
}

/* Below the table, which such texts would make too wide. */
static void show_trouble(struct output *output, const struct cJSON *status)
{
    const struct cJSON *slot;
    cJSON_ArrayForEach(slot, cJSON_GetObjectItemCaseSensitive(status, "slots"))
    {
        const char *trouble = json_text_or(slot, "trouble", NULL);
        if (trouble)
            fprintf(output->file, "slot %lld is %s\n",
                    (long long)json_integer_or(slot, "slot", 0), trouble);
    }
}

static void show_table(struct output *output, const struct cJSON *status)
{
    char text[256];
    struct cJSON *shown = cJSON_Duplicate(status, true);
    show_news(output, status);
    show_drained(shown);
    snprintf(text, sizeof text, "%.1f GiB free",
             json_real_or(status, "bytes_free", 0) / (1 << 30));
    cJSON_AddStringToObject(shown, "disk", text);
    print_counts(text, sizeof text,
                 cJSON_GetObjectItemCaseSensitive(status, "counts"));
    cJSON_AddStringToObject(shown, "jobs", text);
    output_object(output, shown, columns, COUNT(columns));
    cJSON_Delete(shown);
    fputc('\n', output->file);
    show_slots(output, status);
    show_trouble(output, status);
}

/* What somebody reads on a terminal is no news to him the next time. */
static struct cJSON *make_params(const struct client *client)
{
    struct cJSON *params = cJSON_CreateObject();
    if (client->output.format == OUTPUT_TABLE && isatty(STDOUT_FILENO))
        cJSON_AddTrueToObject(params, "look");
    return params;
}

static int run(struct client *client, struct error *error)
{
    struct output *output = &client->output;
    struct cJSON *status = connection_ask("status", make_params(client), error);
    if (status == NULL)
        return -1;
    if (output->format == OUTPUT_TABLE)
        show_table(output, status);
    else if (output->format == OUTPUT_CSV)
        show_slots(output, status);
    else if (output->format == OUTPUT_JSON)
        output_json(output, status);
    else
        output_line(output, status);
    cJSON_Delete(status);
    return EXIT_GOOD;
}

const struct command command_status = {
    .name = "status",
    .synopsis = "",
    .summary = "show the daemon, its queue and its slots",
    .details = "On a terminal it opens with what happened since you last "
               "looked there;\nelsewhere too, but that does not count as a "
               "look.  As csv: the slots only.\n",
    .run = run,
};
