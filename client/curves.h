/* curves.h: histories of many jobs, averaged into a few curves.
 *
 * A curve is the mean over jobs of one group at equal places x; jobs of
 * different length leave fewer of them towards the end, so every point keeps
 * its own n.
 */
#ifndef CLIENT_CURVES_H
#define CLIENT_CURVES_H

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

struct curve_point {
    double x;
    int64_t n;
    double mean, squares; /* sum of squared distances from the mean */
};

struct curve {
    char *name;
    struct cJSON *settings; /* those that make the group, in their order */
    int count, capacity;
    struct curve_point *points; /* ascending x */
};

struct curves {
    int count;
    struct curve *curves; /* in the order of their first use */
};

void curves_release(struct curves *curves);

/* The index of the group of a job: the values of the settings `by` (a list of
 * names) in `job`.  Made when it is new. */
int curves_find(struct curves *curves, const struct cJSON *by,
                const struct cJSON *job);

/* Adds one value; NaN is left out. */
void curve_add(struct curve *curve, double x, double value);

/* Standard deviation (n - 1); NaN for n < 2. */
double curve_point_sd(const struct curve_point *point);

/* The smallest and largest n of the points. */
void curve_counts(const struct curve *curve, int64_t *least, int64_t *most);

#endif
