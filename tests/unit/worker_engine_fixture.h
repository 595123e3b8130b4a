/* worker_engine_fixture.h: a network at given weights, for the engine's tests.
 *
 * On the CPU, or on what $GAIT_TEST_DEVICE names (cuda:0), by the plugin
 * $GAIT_TEST_PLUGIN.
 *
 * Everything goes in and comes out as doubles, in either precision.
 */
#ifndef WORKER_ENGINE_FIXTURE_H
#define WORKER_ENGINE_FIXTURE_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h> /* needs those before it */
// clang-format on

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/backend.h"
#include "worker/engine/device.h"
#include "worker/engine/evaluator.h"
#include "worker/engine/network.h"
#include "worker/engine/step.h"

struct model {
    struct backend *backend;
    struct network network;
    struct step step;
    struct evaluator evaluator;
    void *memory;
};

/* For the whole program. */
static inline struct device *fixture_device(void)
{
    static struct device *device;
    const char *name = getenv("GAIT_TEST_DEVICE");
    const char *plugin = getenv("GAIT_TEST_PLUGIN");
    struct error error;
    if (!device)
        device = device_open(name ? name : "cpu",
                             plugin ? plugin : "build/gait-cuda.so", &error);
    if (!device)
        fail_msg("%s", error.text);
    return device;
}

static inline bool fixture_is_cpu(void)
{
    return strcmp(device_info(fixture_device())->name, "cpu") == 0;
}

/* On the replacement libraries (tests/cuda), which do what they are told and
 * can be asked what happened. */
static inline bool fixture_is_pretended(void)
{
    return getenv("CUDASHIM_MODE") != NULL;
}

static inline struct backend *fixture_backend(const char *precision)
{
    struct settings settings;
    struct error error;
    settings_init(&settings);
    snprintf(settings.precision, sizeof settings.precision, "%s", precision);
    struct backend *backend =
        device_backend(fixture_device(), &settings, &error);
    if (!backend)
        fail_msg("%s", error.text);
    return backend;
}

/* A copy of `bytes` in the backend's memory; take_back fetches it and gives
 * the memory back. */
static inline void *lend(struct backend *backend, const void *host,
                         size_t bytes)
{
    struct error error;
    void *memory = backend->allocate(backend, bytes, &error);
    if (!memory)
        fail_msg("%s", error.text);
    backend->copy_in(backend, memory, host, bytes);
    return memory;
}

static inline void take_back(struct backend *backend, void *host, void *memory,
                             size_t bytes)
{
    struct error error;
    backend->copy_out(backend, host, memory, bytes);
    if (!backend->check(backend, &error))
        fail_msg("%s", error.text);
    backend->release(backend, memory);
}

/* Rows of this program's memory, where the backend reads them. */
static inline struct source fixture_load(struct backend *backend,
                                         const struct source *source)
{
    struct source loaded;
    struct error error;
    if (!backend->load(backend, source, &loaded, &error))
        fail_msg("%s", error.text);
    return loaded;
}

static inline void fixture_gather(struct backend *backend,
                                  const struct source *source, int64_t first,
                                  struct matrix x, uint8_t *labels)
{
    struct source loaded = fixture_load(backend, source);
    backend->gather(backend, &loaded, NULL, first, x, labels);
    backend->unload(backend, &loaded);
}

static inline void model_place(struct model *model, struct layout *layout)
{
    network_place(&model->network, layout);
    step_place(&model->step, layout);
    evaluator_place(&model->evaluator, layout);
}

/* A model of these layers, with all weights and biases zero. */
static inline void model_open(struct model *model,
                              const struct settings *settings,
                              const int *widths, int depth)
{
    struct error error;
    const struct rule *rule = rule_choose(settings);
    assert_non_null(rule);
    model->backend = fixture_backend(settings->precision);
    network_init(&model->network, model->backend, widths, depth,
                 (int)settings->batch_size, settings->linear);
    step_init(&model->step, &model->network, rule, settings);
    evaluator_init(&model->evaluator, &model->network);
    struct layout layout = {.element_bytes = model->backend->element_bytes};
    model_place(model, &layout);
    model->memory =
        model->backend->allocate(model->backend, layout.bytes, &error);
    assert_non_null(model->memory);
    layout = (struct layout){layout.element_bytes, model->memory, 0};
    model_place(model, &layout);
    assert_true(step_start(&model->step, settings, &error));
}

static inline void model_close(struct model *model)
{
    model->backend->release(model->backend, model->memory);
    model->backend->close(model->backend);
}

static inline size_t matrix_size(struct matrix matrix)
{
    return (size_t)matrix.rows * (size_t)matrix.cols;
}

/* The caller frees. */
static inline double *model_doubles(struct model *model, struct matrix matrix)
{
    double *doubles = matrix_doubles(model->backend, matrix);
    assert_non_null(doubles);
    return doubles;
}

static inline double norm(const double *values, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += values[i] * values[i];
    return sqrt(sum);
}

static inline double distance(const double *a, const double *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

/* Fails, saying by how much, unless |got - expected| <= bound.  NaN fails. */
#define assert_within(got, expected, bound)                                    \
    do {                                                                       \
        double got_ = (got), expected_ = (expected), bound_ = (bound);         \
        if (!(fabs(got_ - expected_) <= bound_))                               \
            fail_msg("%s is %.17g, expected %.17g within %g (off by %g)",      \
                     #got, got_, expected_, bound_, fabs(got_ - expected_));   \
    } while (0)

/* The same in the Frobenius norm, for `count` values. */
#define assert_near(what, got, expected, count, bound)                         \
    do {                                                                       \
        double off_ = distance(got, expected, count), bound_ = (bound);        \
        if (!(off_ <= bound_))                                                 \
            fail_msg("%s: off by %g in norm, expected at most %g (norm %g)",   \
                     what, off_, bound_, norm(expected, count));               \
    } while (0)

#endif
