/* cmd_plot.c: draws a plot, or writes its points. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/chart.h"
#include "client/command.h"
#include "client/exits.h"
#include "client/listing.h"
#include "client/plot.h"
#include "client/text.h"
#include "schema/memory.h"

enum { WIDTH = 78, WIDTH_MOST = 160, HEIGHT = 22, CURVES_MOST = 12 };

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

static int show(struct client *client, struct plot *plot, struct error *error)
{
    plot->by = choose_by(client, plot, error);
    if (plot->by == NULL || !plot_read(plot, client_target(client), error) ||
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
    plot->metric = plot_metric(options_text(options, "metric"), error);
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
    plot_release(&plot);
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
