/* control.h: what can be chosen about a sweep's way through the queue.
 *
 * Written once, as settings are (schema/settings.h), but controls are not
 * about training: they are not in the run key, and no part of what makes two
 * specs the same.  From the table follow gaitctl submit's flags, the members of
 * `controls` in the methods `submit` and `control`, their validation, the
 * columns of `sweep`, and what `show` tells of a sweep: a new control is one
 * line (and the code that obeys it).
 */
#ifndef SCHEMA_CONTROL_H
#define SCHEMA_CONTROL_H

#include "schema/settings.h"

/* X(name, type, initial, least, most, words, help), as SETTINGS without kind:
 * `words` of an INTEGER stands for 0, and is null in answers, as an empty TEXT
 * is.  TEXT without words is the name of something, at most 127 bytes. */
// clang-format off
#define CONTROLS(X)                                                                                  \
    X(priority,    INTEGER, "0",     -100, 100,     "",                                              \
      "of its jobs: the highest go first; operators only may go above 0")                            \
    X(hold,        BOOLEAN, "false", 0,    1,       "",                                              \
      "its jobs wait until they are released")                                                       \
    X(max_running, INTEGER, "none",  1,    1000000, "none",                                          \
      "how many of its jobs may run at once")                                                        \
    X(after,       TEXT,    "",      0,    0,       "",                                              \
      "a sweep that must be done before its jobs start")                                             \
    X(fail_fast,   INTEGER, "none",  1,    1000000, "none",                                          \
      "after so many failed jobs those that wait are cancelled; running ones finish")                \
    X(time_limit,  INTEGER, "none",  1,    1000000000, "none",                                       \
      "seconds (or 30m, 2h, 3d) that each job may run, all its attempts together")                   \
    X(on_finish,   TEXT,    "",      0,    0,       "",                                              \
      "a hook of gaitd.json to run when all its jobs are final")
// clang-format on

#define CONTROL_ONE(...) +1
#define CONTROL_FIELD(name, type, initial, least, most, words, help)           \
    SETTING_FIELD_##type(name)

enum {
    CONTROL_COUNT = 0 CONTROLS(CONTROL_ONE),
    CONTROL_TEXT_BYTES = 128, /* used of a TEXT, with its NUL */
};

struct controls {
    CONTROLS(CONTROL_FIELD)
};

/* Each of kind SETTING_CONTROL, its offset within struct controls. */
extern const struct setting control_table[CONTROL_COUNT];

/* NULL when there is none of that name. */
const struct setting *control_find(const char *name);

void controls_init(struct controls *controls); /* all defaults */

bool controls_are_default(const struct controls *controls);

/* Reads the members of `object` (NULL: none) over what `out` holds; false with
 * faults, whose context is the caller's.  Null is the same as left out. */
bool controls_read(const struct cJSON *object, struct controls *out,
                   struct faults *faults);

/* Adds all of them to a JSON object. */
void controls_write(const struct controls *controls, struct cJSON *object);

#endif
