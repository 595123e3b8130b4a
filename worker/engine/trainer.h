/* trainer.h: one training run, from its initial weights to any epoch.
 *
 * The engine's whole outside: make a trainer from settings and data, take it
 * to an epoch, and read or restore its state between two batches.  It knows
 * nothing of JSON, files, sockets or processes.
 *
 *     struct trainer *t = trainer_new(&settings, &data, device, &error);
 *     trainer_run(t, 10, &hooks, &error);        rows arrive in hooks.on_row
 *     trainer_free(t);
 *
 * Rows and state depend on settings, data and device class only: not on how
 * often the run was stopped and restored, nor on what else the machine does.
 */
#ifndef ENGINE_TRAINER_H
#define ENGINE_TRAINER_H

#include <stdint.h>

#include "schema/diagnostic.h"
#include "schema/error.h"
#include "schema/settings.h"
#include "worker/engine/row_set.h"

struct device;

/* The two halves of a data set.  The trainer itself applies train_rows,
 * valid_rows and test_rows. */
struct data {
    struct row_set train, test;
    int width;
};

/* One evaluation.  Metrics as in settings "valid_rows", "test_rows": accuracy
 * is a fraction, loss the mean over rows of the summed squared error of the
 * class outputs.  valid_* are NaN when no rows are held out. */
struct evaluation {
    int64_t step;  /* updates done */
    int64_t epoch; /* completed epochs */
    double train_accuracy, train_loss;
    double valid_accuracy, valid_loss;
    double test_accuracy, test_loss;
    uint8_t state_hash[16]; /* XXH128 (canonical) of parameters and moments */
    double seconds;         /* computing time since step 0, over all attempts */
    int layer_count;        /* with diagnostics: of the network; else 0 */
    struct diagnostic layers[LAYERS_MAX];
};

/* Both are called on the thread that runs the trainer.  `on_step` is called
 * after every batch and between the chunks of an evaluation; returning true
 * stops the run there, in a state that can be exported.  Either may be NULL. */
struct trainer_hooks {
    void *user;
    void (*on_row)(void *user, const struct evaluation *row);
    bool (*on_step)(void *user, int64_t step);
};

struct trainer;

/* The device is borrowed as the data is; settings.device is what somebody else
 * has chosen it by.  NULL on failure: out of memory, settings that
 * settings_check refuses, or a device that fails (ERROR_IO). */
struct trainer *trainer_new(const struct settings *settings,
                            const struct data *data, struct device *device,
                            struct error *error);
void trainer_free(struct trainer *trainer);

/* Trains on to the end of epoch `to_epoch`, evaluating on the way (before
 * training, within epochs by eval_every, at each epoch's end).  False:
 * ERROR_STOPPED by on_step; ERROR_DIVERGED, with the epoch (counted from 1: the
 * first that is missing) and the layer (as its tensors are named) in the text,
 * at the update that trainer_step then gives; ERROR_MEMORY; ERROR_IO when the
 * device fails, after which the trainer is only good to be freed. */
bool trainer_run(struct trainer *trainer, int64_t to_epoch,
                 const struct trainer_hooks *hooks, struct error *error);

int64_t trainer_step(const struct trainer *trainer);
int64_t trainer_steps_per_epoch(const struct trainer *trainer);

/* What it has taken of a device's memory: 0 on the CPU, else what
 * schema/gpu_memory.h says. */
int64_t trainer_taken_bytes(const struct trainer *trainer);

/* State between two batches.  Tensors are in host memory, row-major. */
enum { TENSOR_NAME_BYTES = 32 };
struct tensor {
    char name[TENSOR_NAME_BYTES]; /* layers.0.weight, .bias; moments: .m, .v */
    const char *dtype;            /* "F32" or "F64", as safetensors spells it */
    int64_t shape[2];             /* a bias has shape[1] == 0: one dimension */
    void *values;
    size_t bytes;
};

/* What a checkpoint needs beside the tensors. */
struct progress {
    int64_t step;
    int64_t evaluated_step; /* the last step with a row, -1 before any */
    double seconds;
};

/* The trainer's tensors, `*count` of them, valid until the trainer runs again
 * or is freed.  For saving, read them; for restoring, write into `values`,
 * then call trainer_restore.  NULL: out of memory, or the device has failed, or
 * is known now to have diverged (what is not on the host is copied). */
const struct tensor *trainer_tensors(struct trainer *trainer, int *count,
                                     struct error *error);
void trainer_progress(const struct trainer *trainer, struct progress *progress);
void trainer_restore(struct trainer *trainer, const struct progress *progress);

#endif
