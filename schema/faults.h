/* faults.h: everything that is wrong with a spec, told at once.
 *
 * A fault names the setting (or member) as the user wrote it, the value, what
 * is allowed, and the nearest known name where a name is unknown.  Its
 * sentence is what gaitctl prints:
 *
 *     axes.learning_rte: unknown setting, did you mean "learning_rate"?
 *     base.batch_size: 0 is below 1
 *     points[2].tower: "yes" is not true or false
 */
#ifndef SCHEMA_FAULTS_H
#define SCHEMA_FAULTS_H

#include <stdbool.h>

struct cJSON;

enum { FAULTS_MAX = 20 }; /* more are counted, not kept */

struct fault {
    char where[96];   /* "base.batch_size" */
    char setting[48]; /* "batch_size" */
    char text[1000];  /* the sentence after "where: " */
};

struct faults {
    const char *context; /* borrowed, put in front: "base", "points[2]", "" */
    int count;           /* all of them; the first FAULTS_MAX are kept */
    struct fault fault[FAULTS_MAX];
};

void faults_init(struct faults *faults);

/* Adds one; `setting` may be "" for a fault of the context, or of the whole
 * spec (whose `where` is then "spec").  What does not fit is cut. */
void faults_add(struct faults *faults, const char *setting, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

/* The same about a member of it: "axes.learning_rate.steps". */
void faults_add_member(struct faults *faults, const char *setting,
                       const char *member, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Whether another one would be counted only: no need to look for its words. */
bool faults_is_full(const struct faults *faults);

/* An array of {where, setting, text} (the caller's), for error data. */
struct cJSON *faults_write(const struct faults *faults);

#endif
