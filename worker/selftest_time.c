/* selftest_time.c: how long steps of the usual width take.
 */
#include <stdio.h>
#include <time.h>

#include "worker/selftest_inside.h"

enum { WARM_STEPS = 5, TIMED_STEPS = SELFTEST_ROWS / SELFTEST_BATCH };
#define SLOW_SECONDS 5.0

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool is_enough(void *user, int64_t step)
{
    const int64_t *to_step = user;
    return step >= *to_step;
}

/* Seconds from here to that step, within the first epoch; negative: failed. */
static double time_to(struct selftest *test, struct trainer *trainer,
                      int64_t step)
{
    struct trainer_hooks hooks = {&step, NULL, is_enough};
    struct error error;
    double start = now();
    if (!trainer_run(trainer, 1, &hooks, &error) && error.code == ERROR_STOPPED)
        return now() - start;
    selftest_fail(test, &error);
    return -1.0;
}

/* The first steps load what the libraries need.  Where they take long already,
 * a simulator stands in for the device. */
static void time_steps(struct selftest *test, struct trainer *trainer)
{
    double warm = time_to(test, trainer, WARM_STEPS);
    double timed = warm >= 0.0 && warm < SLOW_SECONDS
                       ? time_to(test, trainer, TIMED_STEPS - 1)
                       : -1.0;
    if (timed >= 0.0)
        printf("  %-44s %.3f ms a step (first %d and an evaluation: %.1f ms)\n",
               test->where, 1e3 * timed / (TIMED_STEPS - 1 - WARM_STEPS),
               WARM_STEPS, 1e3 * warm);
    else if (warm >= SLOW_SECONDS)
        printf("  %-44s first %d steps and an evaluation: %.1f s, too slow to "
               "go on\n",
               test->where, WARM_STEPS, warm);
}

static void time_rule(struct selftest *test, const char *rule)
{
    struct settings settings = selftest_settings(rule, "float32");
    struct data data = selftest_data(test, SELFTEST_ROWS, SELFTEST_WIDTH);
    struct error error;
    settings.nb_layers = 4;
    settings.orthogonal_reg = 0.01;
    settings.orthogonal_init = settings.shuffle = true;
    settings.batch_size = SELFTEST_BATCH;
    settings.test_rows = 1;
    selftest_case(test, "%s float32, 5 layers of %d, batches of %d", rule,
                  SELFTEST_WIDTH, SELFTEST_BATCH);
    struct trainer *trainer = trainer_new(&settings, &data, test->gpu, &error);
    if (trainer)
        time_steps(test, trainer);
    else
        selftest_fail(test, &error);
    trainer_free(trainer);
}

void selftest_time(struct selftest *test)
{
    time_rule(test, "BP");
    time_rule(test, "GAIT");
}
