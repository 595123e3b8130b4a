#include "client/curves.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/text.h"
#include "schema/memory.h"

void curves_release(struct curves *curves)
{
    for (int i = 0; i < curves->count; i++) {
        free(curves->curves[i].name);
        free(curves->curves[i].points);
        cJSON_Delete(curves->curves[i].settings);
    }
    free(curves->curves);
    *curves = (struct curves){0};
}

/* "GAIT learning_rate=0.001": words speak for themselves, numbers do not.  "-"
 * when nothing that was asked for has an effect. */
static char *name_of(const struct cJSON *by, const struct cJSON *job)
{
    char *name = xstrdup("");
    const struct cJSON *item;
    cJSON_ArrayForEach(item, by)
    {
        const struct cJSON *value =
            cJSON_GetObjectItemCaseSensitive(job, item->valuestring);
        if (value == NULL || cJSON_IsNull(value))
            continue; /* without effect */
        char *text = text_of_value(value);
        bool is_word = cJSON_IsString(value);
        char *longer =
            xprintf("%s%s%s%s%s", name, *name != '\0' ? " " : "",
                    is_word ? "" : item->valuestring, is_word ? "" : "=", text);
        free(name);
        free(text);
        name = longer;
    }
    if (*name == '\0' && by->child != NULL) {
        free(name);
        return xstrdup("-");
    }
    text_clean(name, strlen(name) + 1, name);
    return name;
}

static struct cJSON *settings_of(const struct cJSON *by,
                                 const struct cJSON *job)
{
    struct cJSON *settings = cJSON_CreateObject();
    const struct cJSON *item;
    cJSON_ArrayForEach(item, by)
    {
        const struct cJSON *value =
            cJSON_GetObjectItemCaseSensitive(job, item->valuestring);
        cJSON_AddItemToObject(settings, item->valuestring,
                              value != NULL ? cJSON_Duplicate(value, true)
                                            : cJSON_CreateNull());
    }
    return settings;
}

/* Names are made from the values, all that have an effect and in order: equal
 * names are equal groups. */
int curves_find(struct curves *curves, const struct cJSON *by,
                const struct cJSON *job)
{
    char *name = name_of(by, job);
    for (int i = 0; i < curves->count; i++) {
        if (strcmp(curves->curves[i].name, name) == 0) {
            free(name);
            return i;
        }
    }
    curves->curves = xrealloc(curves->curves, (size_t)(curves->count + 1) *
                                                  sizeof *curves->curves);
    curves->curves[curves->count] =
        (struct curve){.name = name, .settings = settings_of(by, job)};
    return curves->count++;
}

/* The first point at or after x. */
static int place(const struct curve *curve, double x)
{
    int low = 0, high = curve->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (curve->points[middle].x < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct curve *curve, int at, double x)
{
    if (curve->count == curve->capacity) {
        curve->capacity = 2 * curve->capacity + 16;
        curve->points = xrealloc(curve->points, (size_t)curve->capacity *
                                                    sizeof *curve->points);
    }
    memmove(&curve->points[at + 1], &curve->points[at],
            (size_t)(curve->count - at) * sizeof *curve->points);
    curve->points[at] = (struct curve_point){.x = x};
    curve->count++;
}

void curve_add(struct curve *curve, double x, double value)
{
    if (!isfinite(value))
        return;
    int at = place(curve, x);
    if (at == curve->count || curve->points[at].x > x)
        insert(curve, at, x);
    struct curve_point *point = &curve->points[at];
    double before = value - point->mean;
    point->n++;
    point->mean += before / (double)point->n;
    point->squares += before * (value - point->mean);
}

double curve_point_sd(const struct curve_point *point)
{
    return point->n < 2 ? NAN : sqrt(point->squares / (double)(point->n - 1));
}

void curve_counts(const struct curve *curve, int64_t *least, int64_t *most)
{
    *least = *most = curve->count > 0 ? curve->points[0].n : 0;
    for (int i = 1; i < curve->count; i++) {
        int64_t n = curve->points[i].n;
        *least = n < *least ? n : *least;
        *most = n > *most ? n : *most;
    }
}
