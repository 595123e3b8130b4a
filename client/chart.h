/* chart.h: curves as text: braille dots, or letters where there is no UTF-8.
 *
 * Each series has a colour and a letter; the letter stands to the right of
 * its last point, so that curves can be told apart without colours, and in
 * front of its name in the legend.
 */
#ifndef CLIENT_CHART_H
#define CLIENT_CHART_H

#include <stdio.h>

#include "client/style.h"

enum { CHART_SERIES_MAX = 26 };

/* `x` ascending; points whose y is NaN are left out.  All borrowed. */
struct chart_series {
    const char *name;
    const char *note; /* after the name in the legend */
    int count;
    const double *x, *y;
};

struct chart {
    const char *title;   /* above the y axis */
    const char *x_label; /* below the x axis */
    int width, height;   /* of the whole but title and legend, in cells */
    int count;           /* at most CHART_SERIES_MAX */
    const struct chart_series *series;
};

/* Nothing is drawn when no series has a point. */
void chart_draw(const struct chart *chart, const struct style *style,
                FILE *file);

/* A step of 1, 2 or 5 times a power of ten, so that `range` has about `count`
 * steps. */
double chart_tick(double range, int count);

#endif
