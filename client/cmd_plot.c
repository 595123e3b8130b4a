/* cmd_plot.c: curves of an accuracy, a loss or a diagnostic over epochs.
 *
 * Three questions make a plot: what varies, which jobs there are (with their
 * settings and runs), and their histories.  Two jobs that share a training
 * count once, and so do replicas of one: the newest that is done.  Of a
 * diagnostic, every layer has a curve of its own.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/chart.h"
#include "client/command.h"
#include "client/curves.h"
#include "client/exits.h"
#include "client/listing.h"
#include "client/text.h"
#include "schema/memory.h"

enum { WIDTH = 78, WIDTH_MOST = 160, HEIGHT = 22, CURVES_MOST = 12 };

/* X(name, heading, in percent, of layers) */
#define METRICS(X)                                                             \
    X(test_accuracy, "test accuracy %", true, false)                           \
    X(train_accuracy, "train accuracy %", true, false)                         \
    X(valid_accuracy, "valid accuracy %", true, false)                         \
    X(test_loss, "test loss", false, false)                                    \
    X(train_loss, "train loss", false, false)                                  \
    X(valid_loss, "valid loss", false, false)                                  \
    X(angle, "angle to BP, degrees", false, true)                              \
    X(off_diagonal, "norm of W W^T off its diagonal", false, true)             \
    X(condition, "condition number of W", false, true)                         \
    X(error_rms, "root mean square of the error", false, true)

struct metric {
    const char *name, *heading;
    bool is_percent, is_of_layers;
};

struct job {
    int64_t id, nb_epochs;
    int64_t replica; /* -1: a new one that is not done */
    char key[33];    /* of its run */
    int group;       /* -1: another job stands for its training */
};

/* One evaluation of the job that is being read. */
struct sample {
    int64_t step, epoch;
    int layer; /* 0 unless the metric is of layers */
    double value;
};

struct plot {
    struct connection connection;
    const struct metric *metric;
    int64_t layer;    /* -1: all */
    int64_t layers;   /* that were seen */
    struct cJSON *by; /* names of settings */
    int job_count, job_capacity;
    struct job *jobs;     /* ascending id */
    struct curves groups; /* of jobs; not drawn if of layers */
    struct curves curves;
    int64_t job; /* whose samples are being read */
    int sample_count, sample_capacity;
    struct sample *samples;
};

static const struct metric *find_metric(const char *name, struct error *error)
{
    static const struct metric metrics[] = {
#define METRIC_ENTRY(name, heading, is_percent, is_of_layers)                  \
    {#name, heading, is_percent, is_of_layers},
        METRICS(METRIC_ENTRY)};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (name == NULL || strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    error_set(error, ERROR_PARAMS,
              "--metric: \"%s\" is not test_accuracy, train_accuracy, "
              "valid_accuracy, test_loss, train_loss, valid_loss, angle, "
              "off_diagonal, condition or error_rms",
              name);
    return NULL;
}

/* Jobs: groups and runs. */

static bool take_jobs(void *user, const struct cJSON *page, struct error *error)
{
    struct plot *plot = user;
    const struct cJSON *row;
    (void)error;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(page, "jobs"))
    {
        if (plot->job_count == plot->job_capacity) {
            plot->job_capacity = 2 * plot->job_capacity + 64;
            plot->jobs = xrealloc(plot->jobs, (size_t)plot->job_capacity *
                                                  sizeof *plot->jobs);
        }
        struct job *job = &plot->jobs[plot->job_count++];
        bool is_done = strcmp(json_text_or(row, "state", ""), "done") == 0;
        *job = (struct job){
            .id = json_integer_or(row, "id", 0),
            .nb_epochs = json_integer_or(row, "nb_epochs", 0),
            .replica = json_integer_or(row, "replica", 0),
            .group = curves_find(&plot->groups, plot->by, row),
        };
        if (!is_done && job->replica > 0)
            job->replica = -1;
        snprintf(job->key, sizeof job->key, "%s", json_text_or(row, "key", ""));
    }
    return true;
}

static int by_run(const void *a, const void *b)
{
    const struct job *left = a, *right = b;
    int order = strcmp(left->key, right->key);
    if (order != 0)
        return order;
    if (left->group != right->group)
        return left->group < right->group ? -1 : 1;
    if (left->replica != right->replica)
        return left->replica > right->replica ? -1 : 1;
    if (left->nb_epochs != right->nb_epochs)
        return left->nb_epochs > right->nb_epochs ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

static int by_id(const void *a, const void *b)
{
    const struct job *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* Of the jobs of a training in one group the newest replica's longest stays. */
static void drop_twins(struct plot *plot)
{
    size_t count = (size_t)plot->job_count;
    if (count == 0)
        return;
    qsort(plot->jobs, count, sizeof *plot->jobs, by_run);
    const struct job *kept = &plot->jobs[0];
    for (size_t i = 1; i < count; i++) {
        if (strcmp(plot->jobs[i].key, kept->key) == 0 &&
            plot->jobs[i].group == kept->group)
            plot->jobs[i].group = -1;
        else
            kept = &plot->jobs[i];
    }
    qsort(plot->jobs, count, sizeof *plot->jobs, by_id);
}

/* Histories: a job's samples are kept until its steps per epoch are known. */

static bool ask_steps_per_epoch(struct plot *plot, double *steps,
                                struct error *error)
{
    char target[32];
    snprintf(target, sizeof target, "%lld", (long long)plot->job);
    struct cJSON *answer = connection_request(&plot->connection, "show",
                                              params_of_target(target), error);
    const struct cJSON *run = cJSON_GetObjectItemCaseSensitive(answer, "run");
    *steps = (double)json_integer_or(run, "steps_per_epoch", 1);
    cJSON_Delete(answer);
    return answer != NULL;
}

/* The first evaluation with a new epoch is at its end. */
static bool find_steps_per_epoch(struct plot *plot, double *steps,
                                 struct error *error)
{
    bool is_begun = false;
    *steps = 1;
    for (int i = 0; i < plot->sample_count; i++) {
        const struct sample *sample = &plot->samples[i];
        is_begun = is_begun || sample->step > 0;
        if (sample->epoch > 0) {
            *steps = (double)sample->step / (double)sample->epoch;
            return true;
        }
    }
    return !is_begun || ask_steps_per_epoch(plot, steps, error);
}

/* The curve of a group's layer, made when it is new. */
static int curve_of(struct plot *plot, int group, int layer)
{
    struct cJSON *by = cJSON_Duplicate(plot->by, true);
    struct cJSON *values =
        cJSON_Duplicate(plot->groups.curves[group].settings, true);
    if (plot->metric->is_of_layers) {
        cJSON_AddItemToArray(by, cJSON_CreateString("layer"));
        cJSON_AddItemToObject(values, "layer", json_integer(layer));
    }
    int curve = curves_find(&plot->curves, by, values);
    cJSON_Delete(by);
    cJSON_Delete(values);
    return curve;
}

static void add_samples(struct plot *plot, int group, double steps)
{
    int curves[LAYERS_MAX];
    memset(curves, -1, sizeof curves);
    for (int i = 0; i < plot->sample_count; i++) {
        const struct sample *sample = &plot->samples[i];
        int *curve = &curves[sample->layer];
        if (*curve < 0)
            *curve = curve_of(plot, group, sample->layer);
        curve_add(&plot->curves.curves[*curve], (double)sample->step / steps,
                  sample->value);
    }
}

static bool finish_job(struct plot *plot, struct error *error)
{
    struct job wanted = {.id = plot->job};
    const struct job *job =
        plot->job_count > 0
            ? bsearch(&wanted, plot->jobs, (size_t)plot->job_count,
                      sizeof *plot->jobs, by_id)
            : NULL;
    double steps;
    if (job != NULL && job->group >= 0) {
        if (!find_steps_per_epoch(plot, &steps, error))
            return false;
        add_samples(plot, job->group, steps);
    }
    plot->sample_count = 0;
    return true;
}

static void take_sample(struct plot *plot, const struct cJSON *row)
{
    int64_t layer = json_integer_or(row, "layer", 0);
    bool is_wanted = plot->layer < 0 || plot->layer == layer;
    if (plot->layers <= layer)
        plot->layers = layer + 1;
    if (!is_wanted || layer < 0 || layer >= LAYERS_MAX)
        return;
    if (plot->sample_count == plot->sample_capacity) {
        plot->sample_capacity = 2 * plot->sample_capacity + 256;
        plot->samples = xrealloc(plot->samples, (size_t)plot->sample_capacity *
                                                    sizeof *plot->samples);
    }
    plot->samples[plot->sample_count++] = (struct sample){
        .step = json_integer_or(row, "step", 0),
        .epoch = json_integer_or(row, "epoch", 0),
        .layer = (int)layer,
        .value = json_real_or(row, plot->metric->name, NAN),
    };
}

static bool take_rows(void *user, const struct cJSON *page, struct error *error)
{
    struct plot *plot = user;
    const struct cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(page, "rows"))
    {
        int64_t job = json_integer_or(row, "job", 0);
        if (job != plot->job && !finish_job(plot, error))
            return false;
        plot->job = job;
        take_sample(plot, row);
    }
    return true;
}

/* By default everything that varies makes curves, but for the seed. */
static struct cJSON *choose_by(struct client *client, struct plot *plot,
                               struct error *error)
{
    const char *text = options_text(&client->options, "by");
    if (text != NULL)
        return list_of_settings(text, error);
    struct cJSON *varying =
        listing_varying(&plot->connection, client_target(client), error);
    for (struct cJSON *m = varying != NULL ? varying->child : NULL, *next;
         m != NULL; m = next) {
        next = m->next;
        if (cJSON_IsString(m) && strcmp(m->valuestring, "seed") == 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(varying, m));
    }
    return varying;
}

static bool read_all(struct client *client, struct plot *plot,
                     struct error *error)
{
    const char *target = client_target(client);
    struct listing jobs = {
        .method = "list", .rows = "jobs", .params = params_of_target(target)};
    struct listing rows = {.method = "history",
                           .rows = "rows",
                           .params = params_of_target(target)};
    if (plot->metric->is_of_layers)
        cJSON_AddTrueToObject(rows.params, "layers");
    bool good = listing_run(&jobs, &plot->connection, take_jobs, plot, error);
    drop_twins(plot);
    if (!good)
        cJSON_Delete(rows.params);
    return good &&
           listing_run(&rows, &plot->connection, take_rows, plot, error) &&
           finish_job(plot, error);
}

/* Output. */

static struct cJSON *row_of(const struct plot *plot, const struct curve *curve,
                            const struct curve_point *point)
{
    char key[64];
    struct cJSON *row = cJSON_Duplicate(curve->settings, true);
    cJSON_AddItemToObject(row, "epoch", json_number(point->x));
    cJSON_AddItemToObject(row, "n", json_integer(point->n));
    snprintf(key, sizeof key, "%s_mean", plot->metric->name);
    cJSON_AddItemToObject(row, key, json_number(point->mean));
    snprintf(key, sizeof key, "%s_sd", plot->metric->name);
    cJSON_AddItemToObject(row, key, json_number(curve_point_sd(point)));
    return row;
}

static void write_points(struct client *client, const struct plot *plot)
{
    char mean[64], sd[64];
    snprintf(mean, sizeof mean, "%s_mean", plot->metric->name);
    snprintf(sd, sizeof sd, "%s_sd", plot->metric->name);
    const struct column layer = {"layer", NULL, COLUMN_NUMBER, true};
    const struct column rest[] = {{"epoch", NULL, COLUMN_NUMBER, true},
                                  {"n", NULL, COLUMN_NUMBER, true},
                                  {mean, NULL, COLUMN_NUMBER, true},
                                  {sd, NULL, COLUMN_NUMBER, true}};
    struct columns columns = {0};
    columns_add_varying(&columns, plot->by);
    if (plot->metric->is_of_layers)
        columns_add(&columns, &layer, 1);
    columns_add(&columns, rest, sizeof rest / sizeof *rest);
    output_begin(&client->output, columns.column, columns.count);
    for (int i = 0; i < plot->curves.count; i++) {
        const struct curve *curve = &plot->curves.curves[i];
        for (int k = 0; k < curve->count; k++) {
            struct cJSON *row = row_of(plot, curve, &curve->points[k]);
            output_row(&client->output, row);
            cJSON_Delete(row);
        }
    }
    output_end(&client->output);
}

/* "n 5  last 93.21", and "n 3..5" where some jobs are shorter. */
static char *note_of(const struct plot *plot, const struct curve *curve)
{
    int64_t least, most;
    char value[32], count[64];
    double last = curve->points[curve->count - 1].mean;
    curve_counts(curve, &least, &most);
    if (plot->metric->is_percent)
        text_percent(value, sizeof value, last);
    else
        text_number(value, sizeof value, last);
    if (least == most)
        snprintf(count, sizeof count, "n %lld", (long long)most);
    else
        snprintf(count, sizeof count, "n %lld..%lld", (long long)least,
                 (long long)most);
    return xprintf("%s%s, at epoch %g: %s%s", most > 1 ? "mean of " : "", count,
                   curve->points[curve->count - 1].x, value,
                   plot->metric->is_percent ? " %" : "");
}

static void make_series(const struct plot *plot, const struct curve *curve,
                        struct chart_series *series)
{
    double *x = xmalloc((size_t)curve->count * sizeof *x);
    double *y = xmalloc((size_t)curve->count * sizeof *y);
    for (int i = 0; i < curve->count; i++) {
        x[i] = curve->points[i].x;
        y[i] = curve->points[i].mean * (plot->metric->is_percent ? 100 : 1);
    }
    *series = (struct chart_series){
        .name = *curve->name != '\0' ? curve->name : "all jobs",
        .note = note_of(plot, curve),
        .count = curve->count,
        .x = x,
        .y = y,
    };
}

static void free_series(struct chart_series *series)
{
    free((void *)series->x);
    free((void *)series->y);
    free((void *)series->note);
}

static void draw(struct client *client, const struct plot *plot)
{
    const struct style *style = &client->output.style;
    struct chart_series series[CURVES_MOST];
    int count = 0, with_points = 0;
    for (int i = 0; i < plot->curves.count; i++) {
        const struct curve *curve = &plot->curves.curves[i];
        if (curve->count == 0 || ++with_points > CURVES_MOST)
            continue;
        make_series(plot, curve, &series[count++]);
    }
    int width = style->is_terminal ? style->width - 1 : WIDTH;
    struct chart chart = {
        .title = plot->metric->heading,
        .x_label = "epoch",
        .width = width > WIDTH_MOST ? WIDTH_MOST : width,
        .height = style->height - 4 < HEIGHT ? style->height - 4 : HEIGHT,
        .count = count,
        .series = series,
    };
    chart_draw(&chart, style, client->output.file);
    if (with_points > count)
        fprintf(stderr, "the first %d of %d curves; fewer with: --by\n", count,
                with_points);
    for (int i = 0; i < count; i++)
        free_series(&series[i]);
}

static bool is_empty(const struct plot *plot)
{
    for (int i = 0; i < plot->curves.count; i++)
        if (plot->curves.curves[i].count > 0)
            return false;
    return true;
}

static bool check_layer(const struct plot *plot, struct error *error)
{
    return plot->layer < plot->layers || plot->layers == 0 ||
           error_set(error, ERROR_PARAMS,
                     "--layer: no layer %lld, expected 0 to %lld",
                     (long long)plot->layer, (long long)plot->layers - 1);
}

static int show(struct client *client, struct plot *plot, struct error *error)
{
    plot->by = choose_by(client, plot, error);
    if (plot->by == NULL || !read_all(client, plot, error) ||
        !check_layer(plot, error))
        return -1;
    if (is_empty(plot))
        fprintf(stderr, "no evaluations with %s yet\n", plot->metric->name);
    if (client->output.format == OUTPUT_TABLE)
        draw(client, plot);
    else
        write_points(client, plot);
    return EXIT_GOOD;
}

static bool choose_metric(const struct options *options, struct plot *plot,
                          struct error *error)
{
    plot->metric = find_metric(options_text(options, "metric"), error);
    plot->layer = options_integer(options, "layer", -1);
    return plot->metric != NULL &&
           (plot->layer < 0 || plot->metric->is_of_layers ||
            error_set(error, ERROR_PARAMS,
                      "--layer: \"%s\" is not of layers, as angle, "
                      "off_diagonal, condition and error_rms are",
                      plot->metric->name));
}

static int run(struct client *client, struct error *error)
{
    struct plot plot = {0};
    int status = -1;
    if (!choose_metric(&client->options, &plot, error))
        return -1;
    if (connection_open(&plot.connection, error))
        status = show(client, &plot, error);
    connection_close(&plot.connection);
    cJSON_Delete(plot.by);
    curves_release(&plot.groups);
    curves_release(&plot.curves);
    free(plot.jobs);
    free(plot.samples);
    return status;
}

static const struct option options[] = {
    {"metric", 0, OPTION_TEXT, "NAME",
     "test_accuracy (default), train_..., valid_..., ..._loss; of layers: "
     "angle, off_diagonal, condition, error_rms"},
    {"layer", 0, OPTION_INTEGER, "N", "only that layer, counted from 0"},
    {"by", 0, OPTION_TEXT, "SETTINGS",
     "a curve for each combination (what varies, but for the seed)"},
};

const struct command command_plot = {
    .name = "plot",
    .synopsis = "[TARGET] [--metric NAME] [--layer N] [--by SETTING,SETTING]",
    .summary = "draw curves over epochs, averaged over the rest",
    .details = "Without TARGET: the sweep that you submitted last.  Data "
               "formats give the\npoints: epoch, n, mean, sd.\n",
    .options = OPTION_TABLE(options),
    .words_most = 1,
    .run = run,
};
