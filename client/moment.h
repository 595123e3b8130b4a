/* moment.h: times and durations as people type them. */
#ifndef CLIENT_MOMENT_H
#define CLIENT_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"
#include "schema/settings.h"

struct cJSON;

/* "30m", "2h", "1h30m", "3d", "45s", "1.5h": units d, h, m and s, each of them
 * once at most and the largest first. */
bool duration_read(const char *text, double *seconds);

/* The value of a setting in seconds, typed as a number, as a duration, or as
 * the setting's word; what is neither is ERROR_PARAMS. */
struct cJSON *duration_value(const struct setting *setting, const char *text,
                             struct error *error);

/* A place in the list of events. */
struct moment {
    int64_t event; /* after this one; 0: by time */
    double at;     /* seconds since 1970 */
};

/* "120" (an event's id), "2h" (so long before `now`), or local time:
 * "2026-05-01", "2026-05-01 13:45", "2026-05-01T13:45:10", "13:45" (today).
 * ERROR_PARAMS. */
bool moment_read(const char *text, double now, struct moment *moment,
                 struct error *error);

#endif
