/* cmd_show.c: everything about one sweep or one job. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"

static const struct column sweep_columns[] = {
    {"id", "sweep", COLUMN_NUMBER, true},
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
    {"is_kept", "kept", COLUMN_TEXT, true},
};

static const struct column job_columns[] = {
    {"id", "job", COLUMN_NUMBER, true},
    {"sweep", NULL, COLUMN_TEXT, true},
    {"sweep_id", "sweep id", COLUMN_NUMBER, false},
    {"position", "position in it", COLUMN_NUMBER, true},
    {"run_id", "run", COLUMN_NUMBER, true},
    {"verifies", "verifies job", COLUMN_NUMBER, true},
    {"owner", NULL, COLUMN_TEXT, true},
    {"state", NULL, COLUMN_STATE, true},
    {"reason", NULL, COLUMN_TEXT, true},
    {"epoch", NULL, COLUMN_NUMBER, true},
    {"nb_epochs", "of epochs", COLUMN_NUMBER, true},
    {"train_accuracy", "train accuracy %", COLUMN_PERCENT, true},
    {"test_accuracy", "test accuracy %", COLUMN_PERCENT, true},
    {"priority", NULL, COLUMN_NUMBER, true},
    {"attempts", NULL, COLUMN_NUMBER, true},
    {"submitted_at", "submitted", COLUMN_TIME, true},
    {"started_at", "started", COLUMN_TIME, true},
    {"finished_at", "finished", COLUMN_TIME, true},
};

static const struct column run_columns[] = {
    {"key", NULL, COLUMN_TEXT, true},
    {"device_class", "device class", COLUMN_TEXT, true},
    {"replica", NULL, COLUMN_NUMBER, true},
    {"dataset_digest", "dataset digest", COLUMN_TEXT, true},
    {"epochs_done", "epochs done", COLUMN_NUMBER, true},
    {"step", NULL, COLUMN_NUMBER, true},
    {"steps_per_epoch", "steps per epoch", COLUMN_NUMBER, true},
    {"state_hash", "state hash", COLUMN_TEXT, true},
    {"diverged_epoch", "diverged in epoch", COLUMN_NUMBER, true},
    {"failure", NULL, COLUMN_TEXT, true},
};

static const struct column attempt_columns[] = {
    {"number", "attempt", COLUMN_NUMBER, true},
    {"device", NULL, COLUMN_TEXT, true},
    {"pid", NULL, COLUMN_NUMBER, true},
    {"started_at", "started", COLUMN_TIME, true},
    {"ended_at", "ended", COLUMN_TIME, true},
    {"outcome", NULL, COLUMN_TEXT, true},
    {"message", NULL, COLUMN_TEXT, true},
};

/* Below the table of attempts, line by line. */
static void show_stderr(struct output *output, const struct cJSON *attempts)
{
    const struct cJSON *attempt;
    cJSON_ArrayForEach(attempt, attempts)
    {
        const char *text = json_text_or(attempt, "stderr", NULL);
        if (!text)
            continue;
        fprintf(output->file, "\nlast words of the worker of attempt %lld:\n",
                (long long)json_integer_or(attempt, "number", 0));
        for (const char *end; *text; text = end + (*end == '\n')) {
            end = text + strcspn(text, "\n");
            fprintf(output->file, "  %.*s\n", (int)(end - text), text);
        }
    }
}

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static const struct cJSON *member(const struct cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static void show_job(struct output *output, const struct cJSON *answer)
{
    const struct cJSON *job = member(answer, "job");
    const struct cJSON *attempts = member(answer, "attempts");
    struct columns columns = {0};
    columns_add(&columns, job_columns, COUNT(job_columns));
    columns_add_settings(&columns, NULL);
    for (int i = COUNT(job_columns); i < columns.count; i++)
        columns.column[i].in_table = true;
    output_object(output, job, columns.column, columns.count);
    if (output->format != OUTPUT_TABLE)
        return;
    fprintf(output->file, "\n");
    output_object(output, member(answer, "run"), run_columns,
                  COUNT(run_columns));
    if (cJSON_GetArraySize(attempts) == 0)
        return;
    fprintf(output->file, "\n");
    output_begin(output, attempt_columns, COUNT(attempt_columns));
    output_rows(output, attempts);
    output_end(output);
    show_stderr(output, attempts);
}

static void show_sweep(struct output *output, const struct cJSON *answer)
{
    struct columns columns = {0};
    columns_add(&columns, sweep_columns, COUNT(sweep_columns));
    columns_add_controls(&columns, NULL);
    output_object(output, member(answer, "sweep"), columns.column,
                  columns.count);
    if (output->format != OUTPUT_TABLE)
        return;
    fprintf(output->file, "\n");
    output_json(output, member(answer, "spec"));
}

static int run(struct client *client, struct error *error)
{
    struct output *output = &client->output;
    struct cJSON *answer =
        connection_ask("show", params_of_target(client_target(client)), error);
    if (answer == NULL)
        return -1;
    if (output->format == OUTPUT_JSON)
        output_json(output, answer);
    else if (output->format == OUTPUT_JSONL)
        output_line(output, answer);
    else if (member(answer, "job") != NULL)
        show_job(output, answer);
    else
        show_sweep(output, answer);
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

const struct command command_show = {
    .name = "show",
    .synopsis = "[TARGET]",
    .summary = "show a sweep with its spec, or a job with its run and attempts",
    .details = "Without TARGET: the sweep that you submitted last.\n",
    .words_most = 1,
    .run = run,
};
