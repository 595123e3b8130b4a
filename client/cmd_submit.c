/* cmd_submit.c: hands a spec to gaitd, and may stay to see it through. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/board.h"
#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"
#include "client/moment.h"
#include "client/submission.h"
#include "client/text.h"
#include "client/watcher.h"
#include "schema/control.h"

static const struct column reply_columns[] = {
    {"sweep_id", NULL, COLUMN_NUMBER, true},
    {"name", NULL, COLUMN_TEXT, true},
    {"owner", NULL, COLUMN_TEXT, true},
    {"job_count", NULL, COLUMN_NUMBER, true},
    {"first_job", NULL, COLUMN_NUMBER, true},
    {"last_job", NULL, COLUMN_NUMBER, true},
    {"is_existing", NULL, COLUMN_TEXT, true},
    {"new", NULL, COLUMN_NUMBER, true},
    {"continued", NULL, COLUMN_NUMBER, true},
    {"done", NULL, COLUMN_NUMBER, true},
    {"failed", NULL, COLUMN_NUMBER, true},
    {"waiting", NULL, COLUMN_NUMBER, true},
    {"submitted_at", NULL, COLUMN_TIME, true},
};

static struct cJSON *make_spec(const struct client *client, struct error *error)
{
    const struct options *o = &client->options;
    if (o->word_count == 0 && o->setting_count == 0) {
        error_set(error, ERROR_PARAMS,
                  "nothing to submit: give a spec file, \"-\" for stdin, or "
                  "settings as flags; usage: gaitctl %s %s",
                  client->command->name, client->command->synopsis);
        return NULL;
    }
    struct cJSON *spec = o->word_count > 0 ? submission_read(o->words[0], error)
                                           : cJSON_CreateObject();
    if (spec != NULL && !submission_apply(spec, o->settings, o->setting_count,
                                          options_text(o, "name"), error)) {
        cJSON_Delete(spec);
        return NULL;
    }
    return spec;
}

static struct cJSON *control_value(const struct setting *control,
                                   const char *text, struct error *error)
{
    return strcmp(control->name, "time_limit") == 0
               ? duration_value(control, text, error)
               : setting_value(control, text);
}

static bool add_controls(struct cJSON *params, const struct options *o,
                         struct error *error)
{
    struct cJSON *controls = cJSON_AddObjectToObject(params, "controls");
    for (int i = 0; i < CONTROL_COUNT; i++) {
        const struct setting *control = &control_table[i];
        const char *text = options_text(o, control->name);
        struct cJSON *value =
            text != NULL ? control_value(control, text, error) : NULL;
        if (text != NULL && value == NULL)
            return false;
        if (value != NULL)
            cJSON_AddItemToObject(controls, control->name, value);
    }
    return true;
}

static struct cJSON *make_params(const struct client *client,
                                 struct error *error)
{
    char id[REQUEST_ID_BYTES];
    struct cJSON *spec = make_spec(client, error);
    if (spec == NULL)
        return NULL;
    if (!submission_request_id(id, error)) {
        cJSON_Delete(spec);
        return NULL;
    }
    struct cJSON *params = cJSON_CreateObject();
    cJSON_AddItemToObject(params, "spec", spec);
    cJSON_AddStringToObject(params, "request_id", id);
    if (!add_controls(params, &client->options, error)) {
        cJSON_Delete(params);
        return NULL;
    }
    if (options_is(&client->options, "dry-run"))
        cJSON_AddTrueToObject(params, "dry_run");
    if (options_is(&client->options, "fresh"))
        cJSON_AddTrueToObject(params, "fresh");
    return params;
}

/* "controls.fail_fast" was a flag: "--fail-fast". */
static void say_where(char *where)
{
    bool is_control = strncmp(where, "controls.", strlen("controls.")) == 0;
    if (is_control)
        where += strlen("controls.");
    for (char *c = where; is_control && *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    fprintf(stderr, "  %s%s%s", is_control ? "--" : "", where,
            *where != '\0' ? ": " : "");
}

static void say_faults(const struct cJSON *data)
{
    const struct cJSON *fault;
    cJSON_ArrayForEach(fault, cJSON_GetObjectItemCaseSensitive(data, "faults"))
    {
        char *where = text_cleaned(json_text_or(fault, "where", ""));
        char *text = text_cleaned(json_text_or(fault, "text", ""));
        say_where(where);
        fprintf(stderr, "%s\n", text);
        free(where);
        free(text);
    }
}

static struct cJSON *ask_once(const struct cJSON *params,
                              const struct deadline *deadline, bool *is_broken,
                              struct error *error)
{
    struct connection connection;
    struct cJSON *reply = NULL;
    if (connection_open_until(&connection, deadline, error))
        reply = connection_request(&connection, "submit",
                                   cJSON_Duplicate(params, true), error);
    if (reply == NULL && error->code == ERROR_SPEC) {
        exit_report(error);
        say_faults(connection.error_data);
    }
    *is_broken = connection.is_broken;
    connection_close(&connection);
    return reply;
}

/* A connection that broke before the answer leaves open whether the sweep was
 * stored.  Asking again with the same request id stores it once. */
static struct cJSON *ask(const struct cJSON *params,
                         const struct deadline *deadline, struct error *error)
{
    bool is_broken, went_away;
    struct cJSON *reply = ask_once(params, deadline, &went_away, error);
    if (went_away)
        reply = ask_once(params, deadline, &is_broken, error);
    if (reply != NULL || cJSON_HasObjectItem(params, "dry_run"))
        return reply;
    if (went_away && error->code == ERROR_UNREACHABLE)
        error_prefix(error, "gaitd went away, the sweep may be stored or not");
    if (error->code == ERROR_TIMEOUT)
        error_prefix(error, "the sweep may be stored or not");
    return NULL;
}

static void say_counts(const struct cJSON *reply)
{
    static const char *const members[] = {"new", "continued", "done", "failed",
                                          "waiting"};
    const char *before = " (";
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        int64_t count = json_integer_or(reply, members[i], 0);
        if (count == 0)
            continue;
        fprintf(stderr, "%s%lld %s", before, (long long)count, members[i]);
        before = ", ";
    }
    fputs(*before == ',' ? ")" : "", stderr);
}

static void say_notes(const struct cJSON *notes)
{
    const struct cJSON *note;
    cJSON_ArrayForEach(note, notes)
    {
        if (!cJSON_IsString(note))
            continue;
        char *text = text_cleaned(note->valuestring);
        fprintf(stderr, "note: %s\n", text);
        free(text);
    }
}

/* "100 times an epoch over 70000 rows", as far as all jobs agree. */
static void say_evaluations(const struct cJSON *work)
{
    int64_t times = json_integer_or(work, "evaluations_per_epoch", 0);
    int64_t rows = json_integer_or(work, "evaluation_rows", 0);
    if (times == 1)
        fputs(": once an epoch", stderr);
    else if (times > 1)
        fprintf(stderr, ": %lld times an epoch", (long long)times);
    if (rows > 0)
        fprintf(stderr, "%s over %lld rows", times > 0 ? "" : ":",
                (long long)rows);
}

/* "83", "0.42" */
static void print_share(char text[16], double share)
{
    snprintf(text, 16, share < 0.1 ? "%.2g" : "%.0f", 100 * share);
}

static void say_work(const struct cJSON *work)
{
    char text[16];
    double share = json_real_or(work, "evaluation_share", NAN);
    double once = json_real_or(work, "once_share", NAN);
    double flops = json_real_or(work, "training_flops", NAN) +
                   json_real_or(work, "evaluation_flops", NAN);
    if (isnan(share))
        return;
    print_share(text, share);
    fprintf(stderr, "evaluation is %s %% of the work (%.3g FLOP)", text, flops);
    say_evaluations(work);
    print_share(text, once);
    if (once < share)
        fprintf(stderr, "; with eval_every 0, once an epoch, %s %%", text);
    fputc('\n', stderr);
}

static void say_reply(const struct cJSON *reply, const char *name,
                      bool is_dry_run, bool is_followed)
{
    int64_t count = json_integer_or(reply, "job_count", 0);
    if (*name != '\0')
        fprintf(stderr, "sweep \"%s\"", name);
    else
        fputs("sweep without a name", stderr);
    if (json_boolean_or(reply, "is_existing", false))
        fputs(" exists already", stderr);
    fprintf(stderr, ": %lld job%s", (long long)count, count == 1 ? "" : "s");
    say_counts(reply);
    if (is_dry_run)
        fputs("; not submitted", stderr);
    else if (!is_followed)
        fprintf(stderr, "; watch with: gaitctl watch %s", name);
    fputc('\n', stderr);
    say_work(cJSON_GetObjectItemCaseSensitive(reply, "work"));
    say_notes(cJSON_GetObjectItemCaseSensitive(reply, "notes"));
}

/* The settings that differ among the jobs of an expansion. */
static struct cJSON *varying_in(const struct cJSON *jobs)
{
    struct cJSON *varying = cJSON_CreateArray();
    for (int i = 0; i < setting_count; i++) {
        const char *name = setting_table[i].name;
        const struct cJSON *job, *first = NULL;
        bool varies = false;
        cJSON_ArrayForEach(job, jobs)
        {
            const struct cJSON *value =
                cJSON_GetObjectItemCaseSensitive(job, name);
            first = first != NULL ? first : value;
            varies = varies || !cJSON_Compare(first, value, true);
        }
        if (varies)
            cJSON_AddItemToArray(varying, cJSON_CreateString(name));
    }
    return varying;
}

/* Only what varies is worth a column; of one job, everything is. */
static void show_expansion(struct output *output, const struct cJSON *reply)
{
    const struct cJSON *jobs = cJSON_GetObjectItemCaseSensitive(reply, "jobs");
    struct cJSON *varying = varying_in(jobs);
    const struct column epochs = {"nb_epochs", "nb_epochs", COLUMN_NUMBER,
                                  varying->child == NULL ||
                                      list_has(varying, "nb_epochs")};
    struct columns columns = {0};
    columns_add_settings(&columns, varying);
    columns_add(&columns, &epochs, 1);
    if (cJSON_GetArraySize(jobs) == 1 && output->format == OUTPUT_TABLE) {
        for (int i = 0; i < columns.count; i++)
            columns.column[i].in_table = true;
        output_object(output, jobs->child, columns.column, columns.count);
    } else {
        output_begin(output, columns.column, columns.count);
        output_rows(output, jobs);
        output_end(output);
    }
    int64_t count = json_integer_or(reply, "job_count", 0);
    if (count > cJSON_GetArraySize(jobs))
        fprintf(stderr, "the first %d of %lld jobs\n", cJSON_GetArraySize(jobs),
                (long long)count);
    cJSON_Delete(varying);
}

static void show_reply(struct output *output, const struct cJSON *reply,
                       const char *name)
{
    if (output->format == OUTPUT_TABLE)
        fprintf(output->file, "%s\n", name);
    else
        output_object(output, reply, reply_columns,
                      (int)(sizeof reply_columns / sizeof *reply_columns));
    fflush(output->file);
}

static int stay(struct client *client, const char *name,
                const struct deadline *deadline, struct error *error)
{
    struct board board;
    struct watch_view view;
    struct watcher watcher;
    bool is_followed = options_is(&client->options, "follow");
    int status = -1;
    if (watcher_open(&watcher, name, deadline, error)) {
        if (is_followed)
            board_init(&board, &client->output, &view);
        status = watcher_run(&watcher, is_followed ? &view : NULL, error);
    }
    watcher_close(&watcher);
    return status;
}

static int finish(struct client *client, const struct cJSON *reply,
                  const struct deadline *deadline, struct error *error)
{
    char name[SPEC_NAME_BYTES];
    const struct options *o = &client->options;
    bool is_dry_run = options_is(o, "dry-run");
    bool is_followed = options_is(o, "follow");
    text_clean(name, sizeof name, json_text_or(reply, "name", ""));
    say_reply(reply, name, is_dry_run, is_followed);
    if (is_dry_run && client->output.format == OUTPUT_JSON) {
        output_json(&client->output, reply);
        return EXIT_GOOD;
    }
    /* What exists is not expanded again. */
    if (is_dry_run && !cJSON_HasObjectItem(reply, "jobs")) {
        show_reply(&client->output, reply, name);
        return EXIT_GOOD;
    }
    if (is_dry_run) {
        show_expansion(&client->output, reply);
        return EXIT_GOOD;
    }
    /* What follows on stdout is then the events. */
    if (!is_followed)
        show_reply(&client->output, reply, name);
    return is_followed || options_is(o, "wait")
               ? stay(client, name, deadline, error)
               : EXIT_GOOD;
}

static int run(struct client *client, struct error *error)
{
    struct cJSON *params = make_params(client, error);
    if (params == NULL)
        return -1;
    struct deadline deadline = client_deadline(client);
    struct cJSON *reply = ask(params, &deadline, error);
    cJSON_Delete(params);
    if (reply == NULL) /* a refused spec has been told with its faults */
        return error->code == ERROR_SPEC ? EXIT_USAGE : -1;
    int status = finish(client, reply, &deadline, error);
    cJSON_Delete(reply);
    return status;
}

#define CONTROL_OPTION_INTEGER OPTION_TEXT, "N" /* gaitd knows the bounds */
#define CONTROL_OPTION_TEXT OPTION_TEXT, "NAME"
#define CONTROL_OPTION_BOOLEAN OPTION_BOOLEAN, NULL
#define CONTROL_OPTION(name, type, initial, least, most, words, help)          \
    {#name, 0, CONTROL_OPTION_##type, help},

static const struct option options[] = {
    {"name", 0, OPTION_TEXT, "NAME", "of the sweep, unique"},
    {"wait", 0, OPTION_BOOLEAN, NULL, "until every job is final"},
    {"follow", 0, OPTION_BOOLEAN, NULL, "watch it until every job is final"},
    {"fresh", 0, OPTION_BOOLEAN, NULL,
     "train anew, whatever there is; its results supersede"},
    {"dry-run", 0, OPTION_BOOLEAN, NULL, "check and expand, store nothing"},
    CONTROLS(CONTROL_OPTION) /* */
    {"timeout", 0, OPTION_SECONDS, "TIME",
     "seconds, or 30m, 2h; then exit 124"},
};

const struct command command_submit = {
    .name = "submit",
    .synopsis = "[SPEC.json|-] [--SETTING=VALUE ...] [--name NAME]",
    .summary = "train the jobs of a spec file, of flags, or of both",
    .details =
        "A flag takes one value, a list (BP,GAIT), a range of whole numbers\n"
        "(1..5, 1..401:100), or values evenly spaced (1e-5..1e-3:log:5,\n"
        "0..1:linear:11); every combination of the values is a job.  Flags "
        "win\n"
        "over the file.  Prints the sweep's name.\n\n"
        "  gaitctl submit --algorithm=BP,GAIT --seed=1..5 --nb_epochs=3\n",
    .options = OPTION_TABLE(options),
    .has_settings = true,
    .words_most = 1,
    .run = run,
};
