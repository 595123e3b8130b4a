#include "client/plot.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/listing.h"
#include "schema/memory.h"
#include "schema/message.h"
#include "schema/settings.h"

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

struct plot_job {
    int64_t id, nb_epochs;
    int64_t replica; /* -1: a new one that is not done */
    char key[33];    /* of its run */
    int group;       /* -1: another job stands for its training */
};

/* One evaluation of the job that is being read. */
struct plot_sample {
    int64_t step, epoch;
    int layer; /* 0 unless the metric is of layers */
    double value;
};

const struct metric *plot_metric(const char *name, struct error *error)
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
        struct plot_job *job = &plot->jobs[plot->job_count++];
        bool is_done = strcmp(json_text_or(row, "state", ""), "done") == 0;
        *job = (struct plot_job){
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
    const struct plot_job *left = a, *right = b;
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
    const struct plot_job *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* Of the jobs of a training in one group the newest replica's longest stays. */
static void drop_twins(struct plot *plot)
{
    size_t count = (size_t)plot->job_count;
    if (count == 0)
        return;
    qsort(plot->jobs, count, sizeof *plot->jobs, by_run);
    const struct plot_job *kept = &plot->jobs[0];
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
        const struct plot_sample *sample = &plot->samples[i];
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
        const struct plot_sample *sample = &plot->samples[i];
        int *curve = &curves[sample->layer];
        if (*curve < 0)
            *curve = curve_of(plot, group, sample->layer);
        curve_add(&plot->curves.curves[*curve], (double)sample->step / steps,
                  sample->value);
    }
}

static bool finish_job(struct plot *plot, struct error *error)
{
    struct plot_job wanted = {.id = plot->job};
    const struct plot_job *job =
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
    plot->samples[plot->sample_count++] = (struct plot_sample){
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

bool plot_read(struct plot *plot, const char *target, struct error *error)
{
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

void plot_release(struct plot *plot)
{
    connection_close(&plot->connection);
    cJSON_Delete(plot->by);
    curves_release(&plot->groups);
    curves_release(&plot->curves);
    free(plot->jobs);
    free(plot->samples);
}
