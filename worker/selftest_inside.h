/* selftest_inside.h: what the groups of the self-test share.
 *
 * A group is a function that measures and reports; each has a file of its own
 * and a line in selftest.c.
 */
#ifndef WORKER_SELFTEST_INSIDE_H
#define WORKER_SELFTEST_INSIDE_H

#include "worker/engine/trainer.h"

enum { SELFTEST_ROWS = 1500, SELFTEST_WIDTH = 784, SELFTEST_BATCH = 60 };

struct selftest {
    struct device *cpu, *gpu; /* the second is borrowed */
    char where[80];           /* the case that is being looked at */
    int checks, failures;
    uint8_t pixels[SELFTEST_ROWS * SELFTEST_WIDTH]; /* random */
    uint8_t labels[SELFTEST_ROWS];
};

/* Says which case is next. */
__attribute__((format(printf, 2, 3))) void
selftest_case(struct selftest *test, const char *format, ...);

/* A line of the report; an error above its bound, or that is NaN, fails. */
void selftest_report(struct selftest *test, const char *what, double error,
                     double bound);
void selftest_report_is(struct selftest *test, const char *what, bool is);

/* What could not be measured has failed. */
void selftest_fail(struct selftest *test, const struct error *error);

/* The first `rows` rows of `width` random pixels, to train on and to test. */
struct data selftest_data(const struct selftest *test, int64_t rows, int width);

/* Settings of that rule and precision, otherwise as they are by default. */
struct settings selftest_settings(const char *algorithm, const char *precision);

/* "float32" and "float64". */
extern const char *const selftest_precisions[2];
double selftest_epsilon(const char *precision);

void selftest_operations(struct selftest *test);
void selftest_systems(struct selftest *test);
void selftest_gradients(struct selftest *test);
void selftest_trainings(struct selftest *test);
void selftest_failures(struct selftest *test);
void selftest_time(struct selftest *test);

#endif
