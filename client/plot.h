/* plot.h: what a plot shows: curves of a metric over epochs.
 *
 * Three questions make one: what varies, which jobs there are (with their
 * settings and runs), and their histories.  Two jobs that share a training
 * count once, and so do replicas of one: the newest that is done.  Of a
 * diagnostic, every layer has a curve of its own.
 */
#ifndef CLIENT_PLOT_H
#define CLIENT_PLOT_H

#include "client/connection.h"
#include "client/curves.h"

struct metric {
    const char *name, *heading;
    bool is_percent, is_of_layers;
};

struct plot_job;
struct plot_sample;

/* Zeroed, then `metric`, `layer`, `by` and the open connection are set. */
struct plot {
    struct connection connection;
    const struct metric *metric;
    int64_t layer;    /* -1: all */
    int64_t layers;   /* that were seen */
    struct cJSON *by; /* names of settings */
    int job_count, job_capacity;
    struct plot_job *jobs; /* ascending id */
    struct curves groups;  /* of jobs; not drawn if of layers */
    struct curves curves;
    int64_t job; /* whose samples are being read */
    int sample_count, sample_capacity;
    struct plot_sample *samples;
};

/* The metric of that name, the first for NULL; or NULL and an error. */
const struct metric *plot_metric(const char *name, struct error *error);

/* Fills `curves` from the jobs of `target`. */
bool plot_read(struct plot *plot, const char *target, struct error *error);

/* Closes the connection too. */
void plot_release(struct plot *plot);

#endif
