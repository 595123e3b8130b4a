/* option.h: one row of the option table: its name, and reading its value.
 */
#ifndef DAEMON_OPTION_H
#define DAEMON_OPTION_H

#include <stddef.h>

#include "daemon/config.h"

enum { OPTION_FLAG_BYTES = 64 };

struct option {
    const char *name;
    enum option_type type;
    const char *initial; /* the default as text; "" when it is worked out */
    double least, most;
    const char *words;
    const char *help;
    size_t offset; /* of the field in struct config */
};

extern const struct option option_table[];
extern const int option_count;

const struct option *option_find(const char *name); /* NULL when unknown */

/* A member of the file, or the first `length` bytes of an argument ("--a-b");
 * NULL with a fault that tells the nearest known name.  `name` receives the
 * flag as its user wrote it. */
const struct option *option_find_member(const char *member,
                                        struct faults *faults);
const struct option *option_find_flag(const char *argument, size_t length,
                                      char name[OPTION_FLAG_BYTES],
                                      struct faults *faults);

void option_flag(const struct option *option, char flag[OPTION_FLAG_BYTES]);
const char *option_value_name(const struct option *option); /* for --help */

/* A value as typed after a flag.  What cannot be read stays text, so that
 * option_read says what was expected.  The value is the caller's. */
struct cJSON *option_parse(const struct option *option, const char *text);

/* Checks and stores a value; false with a fault about `shown_as`. */
bool option_read(const struct option *option, const struct cJSON *value,
                 struct config *config, const char *shown_as,
                 struct faults *faults);

#endif
