/* cmd_results.c: how jobs ended, one by one or as statistics over the rest. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "client/command.h"
#include "client/exits.h"
#include "client/listing.h"

// clang-format off
/* X(key, heading, unit, format, in the table) */
#define METRICS(X)                                                             \
    X(final_test_accuracy,  "final test accuracy",  " %", PERCENT, true)       \
    X(peak_test_accuracy,   "peak test accuracy",   " %", PERCENT, true)       \
    X(final_valid_accuracy, "final valid accuracy", " %", PERCENT, false)      \
    X(peak_valid_accuracy,  "peak valid accuracy",  " %", PERCENT, false)      \
    X(final_train_accuracy, "final train accuracy", " %", PERCENT, true)       \
    X(peak_train_accuracy,  "peak train accuracy",  " %", PERCENT, false)      \
    X(final_test_loss,      "final test loss",      "",   NUMBER,  false)
// clang-format on

#define METRIC_COLUMN(key, heading, unit, format, in_table)                    \
    {#key, heading unit, COLUMN_##format, in_table},
#define METRIC_PAIR(key, heading, unit, format, in_table)                      \
    {#key "_mean", heading unit " mean", COLUMN_##format, in_table},           \
        {#key "_sd", "sd" unit, COLUMN_##format, in_table},

static const struct column job_columns[] = {
    {"job", NULL, COLUMN_NUMBER, true},
    {"state", NULL, COLUMN_STATE, true},
};
static const struct column job_rest[] = {
    {"epoch", NULL, COLUMN_NUMBER, true},
    METRICS(METRIC_COLUMN){"diverged_epoch", "diverged in epoch", COLUMN_NUMBER,
                           false},
};
static const struct column group_rest[] = {
    {"n", NULL, COLUMN_NUMBER, true},
    {"failed", NULL, COLUMN_NUMBER, true},
    {"unfinished", NULL, COLUMN_NUMBER, true},
    METRICS(METRIC_PAIR)};

#define ADD(columns, array)                                                    \
    columns_add(columns, array, (int)(sizeof(array) / sizeof *(array)))

enum { POOLED_TRAININGS_MAX = 2000 }; /* whose groups are compared */

struct pages {
    struct output *output;
    const struct cJSON *by; /* NULL: a row per job */
    struct columns columns;
    struct cJSON *rows;    /* of a table, which begins when all are there */
    struct cJSON *varying; /* over the target, with `by` */
    int64_t trainings;     /* in all rows, with `by` */
};

static bool has_number(const struct cJSON *rows, const char *key)
{
    const struct cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(row, key)))
            return true;
    }
    return false;
}

/* Validation and divergence have columns of a table where there is any. */
static void show_where_there_is(struct columns *columns,
                                const struct cJSON *rows)
{
    static const char *const parts[] = {"final_valid", "peak_valid",
                                        "diverged"};
    for (int i = 0; i < columns->count; i++)
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            struct column *column = &columns->column[i];
            if (strncmp(column->key, parts[k], strlen(parts[k])) == 0)
                column->in_table = has_number(rows, column->key);
        }
}

/* The same for every page: what varies, varies over the target. */
static void choose_columns(struct pages *pages, const struct cJSON *page)
{
    struct columns *columns = &pages->columns;
    if (pages->by != NULL) {
        columns_add_varying(columns, pages->by);
        ADD(columns, group_rest);
    } else {
        ADD(columns, job_columns);
        columns_add_varying(columns,
                            cJSON_GetObjectItemCaseSensitive(page, "varying"));
        ADD(columns, job_rest);
    }
}

static void begin(struct pages *pages)
{
    output_begin(pages->output, pages->columns.column, pages->columns.count);
}

static void count_trainings(struct pages *pages, const struct cJSON *rows)
{
    static const char *const members[] = {"n", "failed", "unfinished"};
    const struct cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
            pages->trainings += json_integer_or(row, members[i], 0);
    }
}

static bool on_page(void *user, const struct cJSON *page, struct error *error)
{
    struct pages *pages = user;
    const struct cJSON *row;
    const struct cJSON *rows = cJSON_GetObjectItemCaseSensitive(page, "rows");
    bool is_first = pages->columns.count == 0;
    (void)error;
    if (is_first)
        choose_columns(pages, page);
    if (is_first && pages->by != NULL)
        pages->varying = cJSON_Duplicate(
            cJSON_GetObjectItemCaseSensitive(page, "varying"), true);
    if (pages->by != NULL)
        count_trainings(pages, rows);
    if (pages->output->format == OUTPUT_TABLE) {
        cJSON_ArrayForEach(row, rows)
        {
            cJSON_AddItemToArray(pages->rows, cJSON_Duplicate(row, true));
        }
        return true;
    }
    if (is_first)
        begin(pages);
    output_rows(pages->output, rows);
    return true;
}

static void end(struct pages *pages)
{
    if (pages->columns.count == 0)
        return;
    if (pages->output->format == OUTPUT_TABLE) {
        show_where_there_is(&pages->columns, pages->rows);
        begin(pages);
        output_rows(pages->output, pages->rows);
    }
    output_end(pages->output);
}

/* What varies beside `by` and the seed. */
static struct cJSON *others_of(const struct pages *pages)
{
    struct cJSON *others = cJSON_CreateArray();
    const struct cJSON *name;
    cJSON_ArrayForEach(name, pages->varying)
    {
        const char *word = name->valuestring;
        if (strcmp(word, "seed") != 0 && !list_has(pages->by, word))
            cJSON_AddItemToArray(others, cJSON_CreateString(word));
    }
    return others;
}

/* Whether two rows that agree in `by` differ in `name`: rows of one group. */
static bool differs(const struct cJSON *a, const struct cJSON *b,
                    const struct cJSON *by, const char *name)
{
    const struct cJSON *key;
    cJSON_ArrayForEach(key, by)
    {
        const char *word = key->valuestring;
        if (!cJSON_Compare(cJSON_GetObjectItemCaseSensitive(a, word),
                           cJSON_GetObjectItemCaseSensitive(b, word), true))
            return false;
    }
    return !cJSON_Compare(cJSON_GetObjectItemCaseSensitive(a, name),
                          cJSON_GetObjectItemCaseSensitive(b, name), true);
}

/* Without rows, which are too many to ask for: perhaps. */
static bool is_pooled(const struct cJSON *rows, const struct cJSON *by,
                      const char *name)
{
    if (rows == NULL)
        return true;
    for (const struct cJSON *a = rows->child; a != NULL; a = a->next)
        for (const struct cJSON *b = a->next; b != NULL; b = b->next)
            if (differs(a, b, by, name))
                return true;
    return false;
}

static void note_pooled(const struct cJSON *others, const struct cJSON *rows,
                        const struct cJSON *by)
{
    const struct cJSON *name;
    int count = 0;
    cJSON_ArrayForEach(name, others)
    {
        if (!is_pooled(rows, by, name->valuestring))
            continue;
        if (count++ == 0)
            fprintf(stderr, "note: beside the seed, a row's trainings %s ",
                    rows != NULL ? "differ in" : "may differ in");
        else
            fputs(", ", stderr);
        fputs(name->valuestring, stderr);
    }
    if (count > 0)
        fputs("; --by tells them apart\n", stderr);
}

/* A mean over more than seeds is easily taken for one over seeds alone: tells
 * which settings differ within a row, which the rows of finer groups show. */
static bool say_pooled(const struct pages *pages, struct connection *connection,
                       const char *target, struct error *error)
{
    struct cJSON *others = others_of(pages), *page = NULL;
    bool is_asked =
        others->child != NULL && pages->trainings <= POOLED_TRAININGS_MAX;
    if (is_asked) {
        struct cJSON *params = params_of_target(target);
        struct cJSON *finer = cJSON_Duplicate(pages->by, true);
        const struct cJSON *name;
        cJSON_ArrayForEach(name, others)
        {
            cJSON_AddItemToArray(finer, cJSON_CreateString(name->valuestring));
        }
        cJSON_AddItemToObject(params, "by", finer);
        page = connection_request(connection, "results", params, error);
    }
    if (!is_asked || page != NULL)
        note_pooled(others, cJSON_GetObjectItemCaseSensitive(page, "rows"),
                    pages->by);
    cJSON_Delete(page);
    cJSON_Delete(others);
    return !is_asked || page != NULL;
}

static int ask(struct client *client, const struct cJSON *by,
               struct error *error)
{
    struct connection connection;
    struct pages pages = {
        .output = &client->output,
        .by = by,
        .rows = cJSON_CreateArray(),
    };
    struct listing listing = {
        .method = "results",
        .rows = "rows",
        .limit = options_integer(&client->options, "limit", 0),
        .params = params_of_target(client_target(client)),
    };
    if (by != NULL)
        cJSON_AddItemToObject(listing.params, "by", cJSON_Duplicate(by, true));
    bool good = connection_open(&connection, error) &&
                listing_run(&listing, &connection, on_page, &pages, error);
    end(&pages);
    if (good && by != NULL)
        good = say_pooled(&pages, &connection, client_target(client), error);
    if (good && client->output.rows == 0)
        fputs("no jobs there\n", stderr);
    cJSON_Delete(pages.rows);
    cJSON_Delete(pages.varying);
    connection_close(&connection);
    return good ? EXIT_GOOD : -1;
}

static int run(struct client *client, struct error *error)
{
    const char *text = options_text(&client->options, "by");
    struct cJSON *by = text != NULL ? list_of_settings(text, error) : NULL;
    if (text != NULL && by == NULL)
        return -1;
    int status = ask(client, by, error);
    cJSON_Delete(by);
    return status;
}

static const struct option options[] = {
    {"by", 0, OPTION_TEXT, "SETTINGS",
     "mean, sd and n for each combination; '' for all jobs together"},
    {"limit", 'n', OPTION_INTEGER, "N", "rows at most (0: all)"},
};

const struct command command_results = {
    .name = "results",
    .synopsis = "[TARGET] [--by SETTING,SETTING]",
    .summary = "list final and peak accuracies of jobs",
    .details =
        "final: at the job's last epoch.  peak test accuracy: the maximum of\n"
        "the test accuracy over the job's evaluations, chosen by itself, and "
        "so\n"
        "for train and valid.  With --by, mean and standard deviation (n - 1)\n"
        "over everything else, such as the seeds; n counts trainings, each\n"
        "once, by its longest job that is done; failed and unfinished count\n"
        "those whose longest job failed or is not done yet.  What else "
        "differs\n"
        "within a row is told on stderr.\n\n"
        "  gaitctl results last --by algorithm,learning_rate\n",
    .options = OPTION_TABLE(options),
    .words_most = 1,
    .run = run,
};
