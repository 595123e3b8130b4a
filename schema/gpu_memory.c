#include "schema/gpu_memory.h"

#include <stdio.h>
#include <string.h>

/* The network, and what is placed so far. */
struct plan {
    const struct settings *settings;
    int widths[LAYERS_MAX];
    int depth;
    size_t rows; /* of a batch */
    size_t element_bytes;
    size_t bytes;
};

static void place(struct plan *plan, size_t bytes)
{
    plan->bytes += (bytes + GPU_ALIGNMENT - 1) / GPU_ALIGNMENT * GPU_ALIGNMENT;
}

static void place_matrix(struct plan *plan, size_t rows, size_t cols)
{
    place(plan, rows * cols * plan->element_bytes);
}

static size_t width(const struct plan *plan, int l)
{
    return (size_t)plan->widths[l];
}

/* Of every layer: values and two moments, gradients; outputs and errors. */
static void place_network(struct plan *plan)
{
    place_matrix(plan, plan->rows, width(plan, 0));
    place(plan, plan->rows);
    for (int l = 0; l < plan->depth; l++) {
        size_t n = width(plan, l);
        for (int i = 0; i < 4; i++) {
            place_matrix(plan, n, n);
            place_matrix(plan, 1, n);
        }
        for (int i = 0; i < 2; i++)
            place_matrix(plan, plan->rows, n);
    }
}

/* B[l], of FA all rows, of DFA those of the classes. */
static void place_feedback(struct plan *plan, size_t rows)
{
    for (int l = 1; l < plan->depth; l++) {
        size_t n = width(plan, l);
        place_matrix(plan, rows < n ? rows : n, n);
    }
}

static void place_rule(struct plan *plan)
{
    const char *name = plan->settings->algorithm;
    size_t n = width(plan, 0);
    if (settings_is_published(plan->settings))
        for (int i = 0; i < 2; i++) {
            place_matrix(plan, plan->rows, n);
            place_matrix(plan, n, n);
        }
    if (!strcmp(name, "DFA")) {
        place_matrix(plan, plan->rows, CLASSES);
        place_feedback(plan, CLASSES);
    } else if (!strcmp(name, "FA")) {
        place_feedback(plan, n);
    }
}

static void place_step(struct plan *plan)
{
    size_t n = width(plan, 0);
    place_matrix(plan, plan->rows, n);
    if (plan->settings->orthogonal_reg != 0)
        place_matrix(plan, n, n);
    if (settings_inverts(plan->settings)) {
        place_matrix(plan, n, n);
        place(plan, n * sizeof(int));
        place(plan, gpu_factor_bytes(plan->widths[0], plan->element_bytes));
        for (int i = 0; i < 2; i++)
            place_matrix(plan, plan->rows, n);
    }
    place(plan, sizeof(uint64_t) + LAYERS_MAX * sizeof(uint32_t)); /* faults */
    place_rule(plan);
}

/* Two chunks of outputs, labels, and three tallies. */
static void place_evaluator(struct plan *plan)
{
    for (int i = 0; i < 2; i++)
        place_matrix(plan, GPU_CHUNK_ROWS, width(plan, 0));
    place(plan, GPU_CHUNK_ROWS);
    place(plan, 3 * (sizeof(int64_t) + sizeof(double)));
}

static void place_diagnostics(struct plan *plan)
{
    size_t n = width(plan, 0);
    for (int l = 0; l < plan->depth; l++)
        place_matrix(plan, plan->rows, width(plan, l));
    for (int i = 0; i < 2; i++)
        place_matrix(plan, n, n);
    place(plan, gpu_singular_bytes(plan->widths[0], plan->element_bytes));
}

int64_t gpu_memory_bytes(const struct settings *settings,
                         const struct dataset_shape *shape)
{
    bool is_double = strcmp(settings->precision, "float64") == 0;
    struct plan plan = {
        .settings = settings,
        .rows = (size_t)settings->batch_size,
        .element_bytes = is_double ? sizeof(double) : sizeof(float),
    };
    plan.depth = settings_widths(settings, shape->width, plan.widths);
    if (plan.depth == 0)
        return -1;
    place_network(&plan);
    place_step(&plan);
    place_evaluator(&plan);
    if (settings->diagnostics)
        place_diagnostics(&plan);
    if (settings->shuffle)
        place(&plan,
              (size_t)settings_train_rows(settings, shape) * sizeof(int32_t));
    return (int64_t)(plan.bytes + GPU_OWN_BYTES +
                     gpu_rows_bytes(shape->train_rows, shape->width) +
                     gpu_rows_bytes(shape->test_rows, shape->width));
}

const char *gpu_size(int64_t bytes, char text[GPU_SIZE_BYTES])
{
    double mib = (double)bytes / (1 << 20);
    if (mib < 1024)
        snprintf(text, GPU_SIZE_BYTES, "%.1f MiB", mib);
    else
        snprintf(text, GPU_SIZE_BYTES, "%.1f GiB", mib / 1024);
    return text;
}
