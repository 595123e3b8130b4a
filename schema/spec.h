/* spec.h: what a user submits, and the jobs it stands for.
 *
 * One job:    {"name": ..., "algorithm": "GAIT", "nb_epochs": 3, ...}
 * A sweep:    {"name": ..., "base": {settings}, "points": [{settings}, ...],
 *              "axes": {setting: axis, ...}}
 *
 * An axis is a list of values, an integer range {"from", "to", "step"} (both
 * ends in, step 1), or {"from", "to", "steps", "scale": "log" | "linear"}
 * (`steps` values, both ends in; linear when no scale is given; rounded
 * to 15 digits in between).  A sweep is every point (one empty point
 * when there are none) crossed with every combination of the axes, the last
 * axis varying fastest.  Points and axes override base; a setting may not be
 * in both a point and an axis.
 *
 * Pure: a spec is parsed whole and every fault is found before anything is
 * stored.
 */
#ifndef SCHEMA_SPEC_H
#define SCHEMA_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/axis.h"
#include "schema/error.h"
#include "schema/faults.h"
#include "schema/settings.h"

enum {
    SPEC_NAME_BYTES = 128,   /* of a sweep's name, with its NUL */
    SPEC_JOBS_MAX = 1000000, /* of one sweep */
};

struct spec {
    char name[SPEC_NAME_BYTES]; /* "" when the user gave none */
    struct settings base;
    int point_count;       /* 0: no points */
    struct cJSON **points; /* objects of checked settings */
    int axis_count;
    struct axis axes[SETTING_COUNT]; /* one of each at most */
    int64_t job_count;
    bool varies[SETTING_COUNT]; /* see spec_varies */
};

/* Parses and checks `object`, which has no member twice (message_parse sees to
 * it); false with at least one fault in `faults`.  The
 * spec is the caller's to release in either case; `object` is not kept. */
bool spec_init(struct spec *spec, const struct cJSON *object,
               struct faults *faults);
void spec_release(struct spec *spec);

/* Settings of job `position`, 0 <= position < job_count. */
void spec_job(const struct spec *spec, int64_t position, struct settings *out);

/* Whether the sweep gives the setting more than one value: such settings
 * label its jobs. */
bool spec_varies(const struct spec *spec, const struct setting *setting);

/* Names may hold letters, digits, '.', '_' and '-', must not begin with '-',
 * look like an id ("12", "3..5", "sweep-4", "verify-5"), or be "last".
 * ERROR_SPEC. */
bool spec_name_check(const char *name, struct error *error);

#endif
