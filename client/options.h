/* options.h: the command line, read by tables.
 *
 *     --flag=value  --flag value  -o value  -ovalue  --tower  --tower=false
 *     --no-tower  --learning-rate (the same as --learning_rate)
 *     --          what follows are words, not flags
 *     -5          a word
 *
 * A flag that stands for true or false takes a value only after "=", so it
 * never swallows the next word.  Of a flag given twice the last counts.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"
#include "schema/settings.h"

enum option_type {
    OPTION_BOOLEAN,
    OPTION_TEXT,
    OPTION_INTEGER, /* 0 or more */
    OPTION_SECONDS, /* 0 or more, fractions too; or a duration such as 30m */
};

struct option {
    const char *name; /* '-' or '_' between words, shown as '-' */
    char letter;      /* of a short form, or 0 */
    enum option_type type;
    const char *argument; /* what the value is called in the help */
    const char *help;
};

struct option_table {
    const struct option *options;
    int count;
};

#define OPTION_TABLE(array)                                                    \
    {                                                                          \
        .options = (array), .count = sizeof(array) / sizeof *(array)           \
    }

enum { OPTIONS_MAX = 24, OPTION_TABLES = 2 };

/* A setting given as a flag.  `text` is borrowed from the arguments. */
struct option_setting {
    const struct setting *setting;
    const char *text;
};

struct options {
    struct option_table tables[OPTION_TABLES];
    bool has_settings;
    const char *values[OPTIONS_MAX]; /* by position in the tables; or NULL */
    int setting_count;
    struct option_setting *settings; /* in the order of the command line */
    int word_count;
    const char **words;
};

/* Reads `arguments` (borrowed for the life of `options`) against the command's
 * table and the common one.  Release it in either case.  False: ERROR_PARAMS
 * and a sentence that names the flag. */
bool options_init(struct options *options, const struct option_table *own,
                  const struct option_table *common, bool has_settings,
                  int count, char **arguments, struct error *error);
void options_release(struct options *options);

/* The value of a flag that is in one of the tables; NULL or the default when
 * it was not given. */
const char *options_text(const struct options *options, const char *name);
bool options_is(const struct options *options, const char *name);
int64_t options_integer(const struct options *options, const char *name,
                        int64_t otherwise);
double options_real(const struct options *options, const char *name,
                    double otherwise);

#endif
