/* selftest.c: a GPU against the CPU.
 *
 * Operations in both precisions at sizes around a warp's and a block's, then
 * short trainings of every rule: their losses against the CPU's, and the same
 * bits twice.  Then how long steps of the usual width take.
 */
#include "worker/selftest.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schema/memory.h"
#include "worker/engine/agreement.h"
#include "worker/engine/backend.h"
#include "worker/engine/device.h"
#include "worker/engine/rule.h"
#include "worker/engine/stream.h"
#include "worker/engine/trainer.h"

enum { NARROW = 33, WIDE = 784, BATCH = 60, ROWS = 4 * BATCH };
enum { WARM_STEPS = 5, TIMED_STEPS = 25, TIMED_ROWS = TIMED_STEPS * BATCH };
#define SLOW_SECONDS 5.0

static const char *const precisions[] = {"float32", "float64"};

struct selftest {
    struct device *cpu, *gpu; /* the second is borrowed */
    const char *where;        /* of what is being compared */
    int checks, failures;
    uint8_t pixels[TIMED_ROWS * WIDE], labels[TIMED_ROWS];
};

static void report(struct selftest *test, const char *what, double error,
                   double bound)
{
    bool is_good = error <= bound;
    test->checks++;
    test->failures += !is_good;
    printf("  %-22s %-24s %9.2e  of %9.2e  %s\n", what, test->where, error,
           bound, is_good ? "ok" : "FAILED");
}

static bool fail(struct selftest *test, const struct error *error)
{
    test->failures++;
    printf("  %s: FAILED: %s\n", test->where, error->text);
    return false;
}

/* --- operations ---------------------------------------------------------- */

static void on_agreement(void *user, const struct agreement *agreement)
{
    report(user, agreement->operation, agreement->error, agreement->bound);
}

static void check_shape(struct selftest *test, const char *precision, int rows,
                        int n)
{
    char where[64];
    struct settings settings;
    struct error error;
    settings_init(&settings);
    snprintf(settings.precision, sizeof settings.precision, "%s", precision);
    snprintf(where, sizeof where, "%s, %d x %d", precision, rows, n);
    test->where = where;
    struct backend *cpu = device_backend(test->cpu, &settings, &error);
    struct backend *gpu =
        cpu ? device_backend(test->gpu, &settings, &error) : NULL;
    if (!gpu ||
        !agreement_measure(cpu, gpu, rows, n, on_agreement, test, &error))
        fail(test, &error);
    if (gpu)
        gpu->close(gpu);
    if (cpu)
        cpu->close(cpu);
}

static void check_operations(struct selftest *test)
{
    static const int shapes[][2] = {
        {1, 10}, {7, 31}, {33, 32}, {60, 257}, {BATCH, WIDE}};
    puts("\noperations, off by, relative to the CPU's:");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int p = 0; p < 2; p++)
            check_shape(test, precisions[p], shapes[i][0], shapes[i][1]);
}

/* --- trainings ----------------------------------------------------------- */

static void keep_row(void *user, const struct evaluation *row)
{
    *(struct evaluation *)user = *row;
}

static struct data data_of(const struct selftest *test, int64_t rows, int width)
{
    struct row_set set = {test->pixels, test->labels, rows};
    return (struct data){set, set, width};
}

/* The last row of a training of two epochs. */
static bool train(const struct selftest *test, struct device *device,
                  const struct settings *settings, struct evaluation *row,
                  struct error *error)
{
    struct data data = data_of(test, ROWS, NARROW);
    struct trainer_hooks hooks = {row, keep_row, NULL};
    struct trainer *trainer = trainer_new(settings, &data, device, error);
    bool is_done = trainer && trainer_run(trainer, 2, &hooks, error);
    trainer_free(trainer);
    return is_done;
}

static struct settings settings_of(const char *rule, const char *precision)
{
    struct settings settings;
    settings_init(&settings);
    snprintf(settings.algorithm, sizeof settings.algorithm, "%s", rule);
    snprintf(settings.precision, sizeof settings.precision, "%s", precision);
    settings.nb_layers = 2;
    settings.orthogonal_reg = 0.01;
    settings.orthogonal_init = true;
    settings.learning_rate = 1e-3;
    settings.batch_size = BATCH;
    settings.shuffle = true;
    return settings;
}

static void check_rule(struct selftest *test, const char *rule,
                       const char *precision)
{
    struct settings settings = settings_of(rule, precision);
    struct evaluation expected, got, again;
    struct error error;
    char where[64];
    bool is_double = settings.precision[5] == '6';
    snprintf(where, sizeof where, "%s, %s", rule, precision);
    test->where = where;
    if (!train(test, test->cpu, &settings, &expected, &error) ||
        !train(test, test->gpu, &settings, &got, &error) ||
        !train(test, test->gpu, &settings, &again, &error)) {
        fail(test, &error);
        return;
    }
    report(test, "loss, training rows",
           fabs(got.train_loss / expected.train_loss - 1.0),
           is_double ? 1e-9 : 1e-3);
    report(test, "the same bits twice",
           memcmp(got.state_hash, again.state_hash, sizeof got.state_hash)
               ? 1.0
               : 0.0,
           0.0);
}

static void check_rules(struct selftest *test)
{
#define RULE_NAME(name, suffix, inverts) #name,
    static const char *const rules[] = {RULES(RULE_NAME)};
    puts("\ntwo epochs of every rule, against the CPU's, and twice:");
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        for (int p = 0; p < 2; p++)
            check_rule(test, rules[i], precisions[p]);
}

/* --- timing -------------------------------------------------------------- */

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
    fail(test, &error);
    return -1.0;
}

/* The first steps load what the libraries need.  Where they take long already,
 * a simulator stands in for the device. */
static void time_rule(struct selftest *test, const char *rule)
{
    struct settings settings = settings_of(rule, "float32");
    struct data data = data_of(test, TIMED_ROWS, WIDE);
    struct error error;
    test->where = rule;
    settings.nb_layers = 4;
    settings.test_rows = 1;
    struct trainer *trainer = trainer_new(&settings, &data, test->gpu, &error);
    if (!trainer) {
        fail(test, &error);
        return;
    }
    double warm = time_to(test, trainer, WARM_STEPS);
    double timed = warm >= 0.0 && warm < SLOW_SECONDS
                       ? time_to(test, trainer, TIMED_STEPS - 1)
                       : -1.0;
    if (timed >= 0.0)
        printf("  %-6s 5 layers of %d, batches of %d, float32: %.3f ms a step "
               "(first %d and an evaluation: %.1f ms)\n",
               rule, WIDE, BATCH, 1e3 * timed / (TIMED_STEPS - 1 - WARM_STEPS),
               WARM_STEPS, 1e3 * warm);
    else if (warm >= SLOW_SECONDS)
        printf("  %-6s first %d steps and an evaluation: %.1f s, too slow to "
               "go on\n",
               rule, WARM_STEPS, warm);
    trainer_free(trainer);
}

/* --- all ----------------------------------------------------------------- */

static void describe(const struct device_info *info)
{
    printf("gait-worker %s, self-test of %s\n", GAITD_VERSION, info->name);
    printf("  model         %s\n", info->model);
    printf("  uuid          %s\n", info->uuid);
    printf("  capability    %d.%d, %d processors, %.1f GB\n",
           info->capability / 10, info->capability % 10, info->processors,
           (double)info->memory_bytes / 1e9);
    printf("  driver        for CUDA %d.%d, runtime %d.%d\n",
           info->driver / 1000, info->driver % 1000 / 10, info->runtime / 1000,
           info->runtime % 1000 / 10);
    printf("  device class  %s\n", info->class_text);
}

static void draw_rows(struct selftest *test)
{
    struct stream stream;
    stream_init(&stream, 1);
    for (int i = 0; i < TIMED_ROWS * WIDE; i++)
        test->pixels[i] = (uint8_t)(stream_word(&stream) % 256);
    for (int i = 0; i < TIMED_ROWS; i++)
        test->labels[i] = (uint8_t)(stream_word(&stream) % CLASSES);
}

int selftest_run(struct device *device)
{
    struct error error;
    struct selftest *test = xcalloc(1, sizeof *test);
    test->gpu = device;
    test->cpu = device_open("cpu", "", &error);
    describe(device_info(device));
    draw_rows(test);
    if (test->cpu) {
        check_operations(test);
        check_rules(test);
        puts("\ntime:");
        time_rule(test, "BP");
        time_rule(test, "GAIT");
    } else {
        fail(test, &error);
    }
    printf("\n%d checks, %d failed\n", test->checks, test->failures);
    int code = test->failures ? EXIT_FAILURE : EXIT_SUCCESS;
    device_close(test->cpu);
    free(test);
    return code;
}
