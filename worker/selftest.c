/* selftest.c: a GPU against the CPU, which the golden vectors of the tests
 * hold: what is measured, and the report of it.
 */
#include "worker/selftest.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"
#include "worker/engine/device.h"
#include "worker/engine/stream.h"
#include "worker/selftest_inside.h"

static const struct group {
    const char *title;
    void (*run)(struct selftest *test);
} groups[] = {
    {"operations, off the CPU's by", selftest_operations},
    {"systems of equations, residuals", selftest_systems},
    {"gradients by depth, off the CPU's in float64 by", selftest_gradients},
    {"trainings, off the CPU's by", selftest_trainings},
    {"failures", selftest_failures},
    {"time", selftest_time},
};

const char *const selftest_precisions[2] = {"float32", "float64"};

double selftest_epsilon(const char *precision)
{
    return strcmp(precision, "float64") ? (double)FLT_EPSILON : DBL_EPSILON;
}

/* --- reporting ----------------------------------------------------------- */

void selftest_case(struct selftest *test, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(test->where, sizeof test->where, format, arguments);
    va_end(arguments);
}

static const char *judge(struct selftest *test, bool is_good)
{
    test->checks++;
    test->failures += !is_good;
    return is_good ? "ok" : "FAILED";
}

void selftest_report(struct selftest *test, const char *what, double error,
                     double bound)
{
    printf("  %-44s %-24s %9.2e  of %9.2e  %s\n", test->where, what, error,
           bound, judge(test, error <= bound));
}

void selftest_report_is(struct selftest *test, const char *what, bool is)
{
    printf("  %-44s %-48s %s\n", test->where, what, judge(test, is));
}

void selftest_fail(struct selftest *test, const struct error *error)
{
    printf("  %-44s %s: %s\n", test->where, judge(test, false), error->text);
}

/* --- what is trained ----------------------------------------------------- */

struct data selftest_data(const struct selftest *test, int64_t rows, int width)
{
    struct row_set set = {test->pixels, test->labels, rows};
    return (struct data){set, set, width};
}

struct settings selftest_settings(const char *algorithm, const char *precision)
{
    struct settings settings;
    settings_init(&settings);
    snprintf(settings.algorithm, SETTING_TEXT_BYTES, "%s", algorithm);
    snprintf(settings.precision, SETTING_TEXT_BYTES, "%s", precision);
    settings.learning_rate = 1e-3;
    return settings;
}

static void draw_rows(struct selftest *test)
{
    struct stream stream;
    stream_init(&stream, 1);
    for (size_t i = 0; i < sizeof test->pixels; i++)
        test->pixels[i] = (uint8_t)(stream_word(&stream) % 256);
    for (size_t i = 0; i < sizeof test->labels; i++)
        test->labels[i] = (uint8_t)(stream_word(&stream) % CLASSES);
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

static void run_groups(struct selftest *test)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        printf("\n%s:\n", groups[i].title);
        groups[i].run(test);
    }
}

int selftest_run(struct device *device)
{
    struct error error;
    struct selftest *test = xcalloc(1, sizeof *test);
    setvbuf(stdout, NULL, _IOLBF, 0); /* the driver may end all of it */
    test->gpu = device;
    test->cpu = device_open("cpu", "", &error);
    describe(device_info(device));
    draw_rows(test);
    if (test->cpu)
        run_groups(test);
    else
        selftest_fail(test, &error);
    printf("\n%d checks, %d failed\n", test->checks, test->failures);
    int code = test->failures ? EXIT_FAILURE : EXIT_SUCCESS;
    device_close(test->cpu);
    free(test);
    return code;
}
