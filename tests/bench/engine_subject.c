#include "tests/bench/engine_subject.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/backend_cpu.h"
#include "worker/engine/device.h"
#include "worker/engine/stream.h"

enum {
    EPOCH_BATCHES = 20,
    EPOCH_EVALUATIONS = 2,
    EPOCH_TEST = 800,
    EPOCH_SCORED = EPOCH_BATCHES * BATCH + EPOCH_TEST,
};

static void die(const char *what)
{
    fprintf(stderr, "engine: %s\n", what);
    exit(1);
}

static void *must(void *memory)
{
    if (!memory)
        die("out of memory");
    return memory;
}

/* One pixel in five is not 0. */
void rows_init(struct rows *rows)
{
    struct stream stream;
    stream_init(&stream, 7);
    rows->pixels = must(malloc((size_t)ROWS * WIDTH));
    rows->labels = must(malloc(ROWS));
    for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++) {
        uint32_t word = stream_word(&stream);
        rows->pixels[i] = word % 5 ? 0 : (uint8_t)(word >> 24);
    }
    for (size_t i = 0; i < ROWS; i++)
        rows->labels[i] = (uint8_t)(stream_word(&stream) % CLASSES);
}

void rows_release(struct rows *rows)
{
    free(rows->pixels);
    free(rows->labels);
}

/* --- making -------------------------------------------------------------- */

static void choose_settings(struct subject *subject,
                            const struct operation *operation,
                            const struct shape *shape, const char *precision)
{
    struct settings *settings = &subject->settings;
    settings_init(settings);
    snprintf(settings->algorithm, SETTING_TEXT_BYTES, "%s",
             operation->algorithm);
    snprintf(settings->precision, SETTING_TEXT_BYTES, "%s", precision);
    settings->tower = shape->widths != NULL;
    if (shape->widths)
        snprintf(settings->widths, SETTING_TEXT_BYTES, "%s", shape->widths);
    else
        settings->nb_layers = shape->hidden;
    settings->orthogonal_reg = operation->orthogonal_reg;
    settings->orthogonal_init = !operation->is_xavier;
    settings->batch_size = BATCH;
    settings->eval_every = EPOCH_BATCHES / EPOCH_EVALUATIONS;
}

static void place(struct subject *subject, struct layout *layout)
{
    network_place(&subject->network, layout);
    step_place(&subject->step, layout);
    evaluator_place(&subject->evaluator, layout);
}

static void build(struct subject *subject)
{
    const struct settings *settings = &subject->settings;
    struct error error = {0};
    int widths[LAYERS_MAX];
    int depth = settings_widths(settings, WIDTH, widths);
    struct backend *backend =
        backend_cpu_open(settings->precision, (int)settings->threads, &error);
    subject->backend = must(backend);
    network_init(&subject->network, backend, widths, depth, BATCH, false);
    step_init(&subject->step, &subject->network, rule_find(settings->algorithm),
              settings);
    evaluator_init(&subject->evaluator, &subject->network);
    struct layout layout = {.element_bytes = backend->element_bytes};
    place(subject, &layout);
    subject->memory = must(backend->allocate(backend, layout.bytes, &error));
    layout = (struct layout){layout.element_bytes, subject->memory, 0};
    place(subject, &layout);
}

struct subject *subject_new(const struct operation *operation,
                            const struct shape *shape, const char *precision,
                            int threads, const struct weights *weights,
                            const struct rows *rows)
{
    struct error error = {0};
    struct subject *subject = must(calloc(1, sizeof *subject));
    subject->rows = rows;
    subject->device = must(device_open("cpu", "", &error));
    choose_settings(subject, operation, shape, precision);
    subject->settings.threads = threads;
    build(subject);
    if (!weights && !network_start(&subject->network, 1,
                                   subject->settings.orthogonal_init, &error))
        die(error.text);
    for (int l = 0; weights && l < subject->network.depth; l++)
        subject->backend->assign(subject->backend,
                                 subject->network.layers[l].weight.value,
                                 weights->layers[l]);
    return subject;
}

void subject_free(struct subject *subject)
{
    trainer_free(subject->trainer);
    device_close(subject->device);
    subject->backend->release(subject->backend, subject->memory);
    subject->backend->close(subject->backend);
    free(subject);
}

void subject_weights(const struct subject *subject, struct weights *weights)
{
    struct backend *backend = subject->backend;
    *weights = (struct weights){{NULL}};
    for (int l = 0; l < subject->network.depth; l++) {
        struct matrix from = subject->network.layers[l].weight.value;
        size_t count = (size_t)from.rows * (size_t)from.cols;
        double *to = must(calloc(count, sizeof *to));
        float *single = (float *)to;
        backend->copy_out(backend, to, from.values,
                          count * backend->element_bytes);
        /* widened in place, from the end */
        for (size_t i = count; i-- > 0 && backend->element_bytes == 4;)
            to[i] = (double)single[i];
        weights->layers[l] = to;
    }
}

void weights_release(struct weights *weights)
{
    for (int l = 0; l < LAYERS_MAX; l++)
        free(weights->layers[l]);
}

/* --- running ------------------------------------------------------------- */

static struct source source_of(const struct subject *subject)
{
    return (struct source){subject->rows->pixels, subject->rows->labels, ROWS,
                           WIDTH, 255.0};
}

void subject_step(struct subject *subject)
{
    struct network *network = &subject->network;
    struct source source = source_of(subject);
    struct faults faults;
    subject->backend->gather(subject->backend, &source, NULL,
                             (int64_t)subject->batch * BATCH, network->input,
                             network->labels);
    subject->batch = (subject->batch + 1) % (ROWS / BATCH);
    step_run(&subject->step, 1);
    step_faults(&subject->step, &faults);
    if (faults.step)
        die("a step diverged");
}

static bool never(void *user)
{
    (void)user;
    return false;
}

void subject_evaluation(struct subject *subject)
{
    struct source source = source_of(subject);
    struct part part = {.source = &source, .rows = ROWS};
    evaluator_score(&subject->evaluator, &part, 1, never, NULL);
    if (!isfinite(part.score.loss))
        die("an evaluation diverged");
}

void subject_epoch(struct subject *subject)
{
    struct data data = {
        .train = {subject->rows->pixels, subject->rows->labels,
                  EPOCH_BATCHES * BATCH},
        .test = {subject->rows->pixels, subject->rows->labels, EPOCH_TEST},
        .width = WIDTH,
    };
    struct trainer_hooks hooks = {0};
    struct error error = {0};
    if (!subject->trainer)
        subject->trainer =
            trainer_new(&subject->settings, &data, subject->device, &error);
    if (!subject->trainer ||
        !trainer_run(subject->trainer, ++subject->epoch, &hooks, &error))
        die(error.text);
}

/* --- counting ------------------------------------------------------------ */

/* Forward, gradients, and for each layer above the lowest an error: by a
 * product, or by LU and a solve.  The regulariser: half of W W^T, and a
 * product. */
double subject_step_flops(const struct subject *subject)
{
    double flops = 0.0;
    bool inverts = subject->step.inverts;
    for (int l = 0; l < subject->network.depth; l++) {
        double n = subject->network.layers[l].width;
        flops += 2.0 * 2.0 * BATCH * n * n;
        if (l > 0)
            flops +=
                2.0 * BATCH * n * n + (inverts ? 2.0 / 3.0 * n * n * n : 0);
        if (subject->settings.orthogonal_reg != 0.0)
            flops += n * n * n + 2.0 * n * n * n;
    }
    return flops;
}

static double row_flops(const struct subject *subject)
{
    double flops = 0.0;
    for (int l = 0; l < subject->network.depth; l++) {
        double n = subject->network.layers[l].width;
        flops += 2.0 * n * (l == subject->network.depth - 1 ? CLASSES : n);
    }
    return flops;
}

double subject_evaluation_flops(const struct subject *subject)
{
    return ROWS * row_flops(subject);
}

double subject_epoch_flops(const struct subject *subject)
{
    return EPOCH_BATCHES * subject_step_flops(subject) +
           EPOCH_EVALUATIONS * EPOCH_SCORED * row_flops(subject);
}
