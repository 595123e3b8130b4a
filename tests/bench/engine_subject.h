/* engine_subject.h: one operation of the engine, ready to be timed. */
#ifndef BENCH_ENGINE_SUBJECT_H
#define BENCH_ENGINE_SUBJECT_H

#include "worker/engine/evaluator.h"
#include "worker/engine/step.h"
#include "worker/engine/trainer.h"

enum { WIDTH = 784, ROWS = 10000, BATCH = 60 };

struct shape {
    const char *name;
    const char *widths; /* of a tower; NULL: square */
    int hidden;
};

/* Rows that look like handwritten digits to an engine. */
struct rows {
    uint8_t *pixels, *labels;
};

struct subject;

struct operation {
    const char *name;
    const char *algorithm;
    double orthogonal_reg;
    bool is_xavier; /* starts a while after Xavier's weights */
    double share; /* of the library's rate that the budget asks for; 0: none */
    void (*run)(struct subject *);
    double (*flops)(const struct subject *); /* of one run */
};

struct subject {
    const struct rows *rows; /* borrowed, ROWS of them */
    struct settings settings;
    struct backend *backend;
    struct network network;
    struct step step;
    struct evaluator evaluator;
    void *memory;
    int batch; /* next */
    struct device *device;
    struct trainer *trainer; /* for subject_epoch, made in its first run */
    int64_t epoch;
};

/* Weights in double precision, layer by layer. */
struct weights {
    double *layers[LAYERS_MAX];
};

void rows_init(struct rows *rows);
void rows_release(struct rows *rows);

/* A network of that shape at `weights`; NULL: where training starts.  The
 * number of threads is the process's.  The caller frees.  Whatever fails ends
 * the program. */
struct subject *subject_new(const struct operation *operation,
                            const struct shape *shape, const char *precision,
                            int threads, const struct weights *weights,
                            const struct rows *rows);
void subject_free(struct subject *subject);

/* Copies a subject's weights; the caller releases them. */
void subject_weights(const struct subject *subject, struct weights *weights);
void weights_release(struct weights *weights);

/* What is timed: one update, the scores of all rows, and an epoch of the
 * published cadence on few rows: 20 updates and two evaluations of 2,000 rows
 * each, through the trainer. */
void subject_step(struct subject *subject);
void subject_evaluation(struct subject *subject);
void subject_epoch(struct subject *subject);
double subject_step_flops(const struct subject *subject);
double subject_evaluation_flops(const struct subject *subject);
double subject_epoch_flops(const struct subject *subject);

#endif
