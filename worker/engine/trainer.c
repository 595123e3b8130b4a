/* trainer.c: a run, from settings and data to rows.
 *
 * What is in memory between two batches is the network, its moments, and three
 * numbers (struct progress); everything else follows from settings and data.
 * A step whose evaluation is due and was not finished has
 * evaluated_step < step, so a restored trainer evaluates before it goes on.
 */
#include "worker/engine/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker/engine/backend.h"
#include "worker/engine/device.h"
#include "worker/engine/diagnostics.h"
#include "worker/engine/evaluator.h"
#include "worker/engine/network.h"
#include "worker/engine/order.h"
#include "worker/engine/row_set.h"
#include "worker/engine/snapshot.h"
#include "worker/engine/step.h"

struct trainer {
    struct settings settings;
    struct source train, test; /* as the backend has loaded them */
    int64_t train_rows, valid_rows, valid_first, test_rows;
    int64_t steps_per_epoch;

    struct backend *backend;
    void *memory; /* of all matrices below */
    struct network network;
    struct step step;
    struct evaluator evaluator;
    struct diagnostics diagnostics; /* placed when asked for */
    struct snapshot snapshot;
    int32_t *order;      /* train_rows, with shuffle: the backend's */
    int32_t *shuffled;   /* the host's */
    int64_t order_epoch; /* what they are for, -1 before any */

    struct progress progress;
};

/* One trainer_run, as its evaluations see it. */
struct running {
    struct trainer *trainer;
    const struct trainer_hooks *hooks;
    double started_at; /* so that now - started_at is progress.seconds */
};

/* --- making -------------------------------------------------------------- */

static struct source source_of(const struct row_set *set, int width,
                               double largest)
{
    return (struct source){set->pixels, set->labels, set->rows, width, largest};
}

static void choose_rows(struct trainer *trainer, const struct data *data)
{
    struct dataset_shape shape = {
        .train_rows = data->train.rows,
        .test_rows = data->test.rows,
        .width = data->width,
    };
    trainer->train_rows = settings_train_rows(&trainer->settings, &shape);
    trainer->test_rows = settings_test_rows(&trainer->settings, &shape);
    trainer->valid_rows = trainer->settings.valid_rows;
    trainer->valid_first = data->train.rows - trainer->valid_rows;
    trainer->steps_per_epoch =
        trainer->train_rows / trainer->settings.batch_size;
}

/* What settings_check promises, and memory safety rests on. */
static bool check_rows(const struct trainer *trainer, const struct data *data,
                       struct error *error)
{
    int64_t held_out = trainer->valid_rows, trained = trainer->train_rows;
    if (held_out > data->train.rows || trained > data->train.rows - held_out)
        return error_set(error, ERROR_SPEC,
                         "%" PRId64 " training and %" PRId64
                         " validation rows, but there are only %" PRId64,
                         trained, held_out, data->train.rows);
    if (trainer->test_rows > data->test.rows)
        return error_set(error, ERROR_SPEC,
                         "%" PRId64 " test rows, but there are only %" PRId64,
                         trainer->test_rows, data->test.rows);
    if (trainer->steps_per_epoch < 1)
        return error_set(error, ERROR_SPEC,
                         "batch_size %" PRId64 " is more than the %" PRId64
                         " rows to train on",
                         trainer->settings.batch_size, trained);
    if (trained > INT32_MAX)
        return error_set(error, ERROR_SPEC,
                         "%" PRId64 " rows to train on, expected at most %d",
                         trained, INT32_MAX);
    return true;
}

static bool check_widths(const int *widths, int depth, int pixels,
                         struct error *error)
{
    bool is_good =
        depth > 0 && widths[0] <= pixels && widths[depth - 1] >= CLASSES;
    for (int l = 1; is_good && l < depth; l++)
        is_good = widths[l] <= widths[l - 1];
    return is_good ||
           error_set(error, ERROR_SPEC,
                     "layer widths must not increase from the %d pixels of a "
                     "row down to no less than %d",
                     pixels, CLASSES);
}

static bool build_network(struct trainer *trainer, int width,
                          struct error *error)
{
    const struct settings *settings = &trainer->settings;
    const struct rule *rule = rule_choose(settings);
    int widths[LAYERS_MAX];
    int depth = settings_widths(settings, width, widths);
    if (!check_widths(widths, depth, width, error))
        return false;
    if (!rule)
        return error_set(error, ERROR_SPEC, "no learning rule \"%s\"",
                         settings->algorithm);
    network_init(&trainer->network, trainer->backend, widths, depth,
                 (int)settings->batch_size, settings->linear);
    step_init(&trainer->step, &trainer->network, rule, settings);
    evaluator_init(&trainer->evaluator, &trainer->network);
    diagnostics_init(&trainer->diagnostics, &trainer->step);
    return true;
}

static void place(struct trainer *trainer, struct layout *layout)
{
    network_place(&trainer->network, layout);
    step_place(&trainer->step, layout);
    evaluator_place(&trainer->evaluator, layout);
    if (trainer->settings.diagnostics)
        diagnostics_place(&trainer->diagnostics, layout);
    if (trainer->settings.shuffle)
        trainer->order =
            layout_bytes(layout, (size_t)trainer->train_rows * sizeof(int32_t));
}

static bool allocate(struct trainer *trainer, struct error *error)
{
    struct backend *backend = trainer->backend;
    struct layout count = {.element_bytes = backend->element_bytes};
    place(trainer, &count);
    trainer->memory = backend->allocate(backend, count.bytes, error);
    if (!trainer->memory)
        return false;
    struct layout layout = {backend->element_bytes, trainer->memory, 0};
    place(trainer, &layout);
    snapshot_init(&trainer->snapshot, &trainer->network);
    if (!trainer->settings.shuffle)
        return true;
    trainer->shuffled = malloc((size_t)trainer->train_rows * sizeof(int32_t));
    return trainer->shuffled ||
           error_set(error, ERROR_MEMORY, "no memory to shuffle rows");
}

/* Pixels are scaled by the training set's largest, in both sets. */
static bool load_rows(struct trainer *trainer, const struct data *data,
                      struct error *error)
{
    struct backend *backend = trainer->backend;
    int largest = row_set_largest(&data->train, data->width);
    double scale = largest ? largest : 1.0;
    struct source train = source_of(&data->train, data->width, scale);
    struct source test = source_of(&data->test, data->width, scale);
    return backend->load(backend, &train, &trainer->train, error) &&
           backend->load(backend, &test, &trainer->test, error);
}

struct trainer *trainer_new(const struct settings *settings,
                            const struct data *data, struct device *device,
                            struct error *error)
{
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer) {
        error_set(error, ERROR_MEMORY, "no memory for a trainer");
        return NULL;
    }
    trainer->settings = *settings;
    trainer->progress.evaluated_step = -1;
    trainer->order_epoch = -1;
    choose_rows(trainer, data);
    if (check_rows(trainer, data, error) &&
        row_set_check(&data->train, "training", error) &&
        row_set_check(&data->test, "test", error) &&
        (trainer->backend = device_backend(device, settings, error)) &&
        build_network(trainer, data->width, error) &&
        allocate(trainer, error) && load_rows(trainer, data, error) &&
        network_start(&trainer->network, settings->seed,
                      settings_is_orthogonal(settings), error) &&
        step_start(&trainer->step, settings, error) &&
        trainer->backend->check(trainer->backend, error))
        return trainer;
    trainer_free(trainer);
    return NULL;
}

void trainer_free(struct trainer *trainer)
{
    if (!trainer)
        return;
    snapshot_release(&trainer->snapshot);
    free(trainer->shuffled);
    if (trainer->backend) {
        trainer->backend->unload(trainer->backend, &trainer->train);
        trainer->backend->unload(trainer->backend, &trainer->test);
        trainer->backend->release(trainer->backend, trainer->memory);
        trainer->backend->close(trainer->backend);
    }
    free(trainer);
}

/* --- running ------------------------------------------------------------- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool is_stopped(void *user)
{
    struct running *running = user;
    const struct trainer_hooks *hooks = running->hooks;
    struct progress *progress = &running->trainer->progress;
    progress->seconds = now() - running->started_at;
    return hooks->on_step && hooks->on_step(hooks->user, progress->step);
}

/* The epoch an update belongs to counts from 1: the first that jobs miss. */
static int64_t epoch_of(const struct trainer *trainer)
{
    return (trainer->progress.step + trainer->steps_per_epoch - 1) /
           trainer->steps_per_epoch;
}

/* By what the highest layer with a fault has. */
static bool diverge(const struct trainer *trainer, const struct faults *faults,
                    struct error *error)
{
    int layer = trainer->network.depth - 1;
    while (layer > 0 && !faults->flags[layer])
        layer--;
    const char *what = faults->flags[layer] & FAULT_GRADIENT ? "gradient"
                       : faults->flags[layer] & FAULT_MOMENT ? "moment"
                                                             : "parameter";
    return error_set(error, ERROR_DIVERGED,
                     "diverged in epoch %" PRId64 " (step %" PRId64
                     "): layer %d has a %s that is not finite",
                     epoch_of(trainer), trainer->progress.step, layer, what);
}

/* Waits for the updates so far.  What went wrong in one is often known only
 * later, so the trainer goes back to it. */
static bool check_updates(struct trainer *trainer, struct error *error)
{
    struct faults faults;
    step_faults(&trainer->step, &faults);
    if (!trainer->backend->check(trainer->backend, error))
        return false;
    if (!faults.step)
        return true;
    trainer->progress.step = (int64_t)faults.step;
    return diverge(trainer, &faults, error);
}

static bool stop(struct trainer *trainer, struct error *error)
{
    return check_updates(trainer, error) &&
           error_set(error, ERROR_STOPPED, "stopped at step %" PRId64,
                     trainer->progress.step);
}

static bool check_loss(const struct trainer *trainer, const char *rows,
                       const struct part *part, struct error *error)
{
    return part->rows == 0 || isfinite(part->score.loss) ||
           error_set(error, ERROR_DIVERGED,
                     "diverged in epoch %" PRId64 " (step %" PRId64
                     "): the loss over the %s rows is not finite",
                     epoch_of(trainer), trainer->progress.step, rows);
}

static bool is_evaluation_due(const struct trainer *trainer)
{
    const struct progress *progress = &trainer->progress;
    const struct settings *settings = &trainer->settings;
    int64_t batch = progress->step % trainer->steps_per_epoch;
    int64_t past = batch - settings->eval_offset;
    if (progress->evaluated_step >= progress->step)
        return false;
    return batch == 0 || (settings->eval_every > 0 && past > 0 &&
                          past % settings->eval_every == 0);
}

enum { PART_TRAIN, PART_VALID, PART_TEST, PARTS };

static bool score_all(struct running *running, struct part parts[PARTS],
                      struct error *error)
{
    static const char *const names[PARTS] = {"training", "validation", "test"};
    struct trainer *trainer = running->trainer;
    parts[PART_TRAIN] =
        (struct part){.source = &trainer->train, .rows = trainer->train_rows};
    parts[PART_VALID] = (struct part){.source = &trainer->train,
                                      .first = trainer->valid_first,
                                      .rows = trainer->valid_rows};
    parts[PART_TEST] =
        (struct part){.source = &trainer->test, .rows = trainer->test_rows};
    if (!evaluator_score(&trainer->evaluator, parts, PARTS, is_stopped,
                         running))
        return stop(trainer, error);
    if (!check_updates(trainer, error))
        return false;
    for (int i = 0; i < PARTS; i++)
        if (!check_loss(trainer, names[i], &parts[i], error))
            return false;
    return true;
}

static void measure_layers(struct trainer *trainer, struct evaluation *row)
{
    if (!trainer->settings.diagnostics)
        return;
    row->layer_count = trainer->network.depth;
    diagnostics_measure(&trainer->diagnostics, &trainer->train, row->layers);
}

static bool evaluate(struct running *running, struct error *error)
{
    struct trainer *trainer = running->trainer;
    struct part parts[PARTS];
    if (!score_all(running, parts, error))
        return false;
    struct evaluation row = {
        .step = trainer->progress.step,
        .epoch = trainer->progress.step / trainer->steps_per_epoch,
        .train_accuracy = parts[PART_TRAIN].score.accuracy,
        .train_loss = parts[PART_TRAIN].score.loss,
        .valid_accuracy = parts[PART_VALID].score.accuracy,
        .valid_loss = parts[PART_VALID].score.loss,
        .test_accuracy = parts[PART_TEST].score.accuracy,
        .test_loss = parts[PART_TEST].score.loss,
    };
    measure_layers(trainer, &row);
    row.seconds = now() - running->started_at;
    if (!snapshot_read(&trainer->snapshot, error) ||
        !snapshot_hash(&trainer->snapshot, row.state_hash, error))
        return false;
    trainer->progress.evaluated_step = row.step;
    if (running->hooks->on_row)
        running->hooks->on_row(running->hooks->user, &row);
    return true;
}

static const int32_t *order_of(struct trainer *trainer, int64_t epoch)
{
    if (trainer->order && trainer->order_epoch != epoch) {
        order_shuffle(trainer->settings.seed, epoch, trainer->shuffled,
                      (int32_t)trainer->train_rows);
        trainer->backend->copy_in(
            trainer->backend, trainer->order, trainer->shuffled,
            (size_t)trainer->train_rows * sizeof(int32_t));
        trainer->order_epoch = epoch;
    }
    return trainer->order;
}

static bool update(struct trainer *trainer, struct error *error)
{
    struct network *network = &trainer->network;
    int64_t epoch = trainer->progress.step / trainer->steps_per_epoch;
    int64_t batch = trainer->progress.step % trainer->steps_per_epoch;
    trainer->backend->gather(
        trainer->backend, &trainer->train, order_of(trainer, epoch),
        batch * network->batch_rows, network->input, network->labels);
    trainer->progress.step++;
    step_run(&trainer->step, (uint64_t)trainer->progress.step);
    return trainer->backend->is_host
               ? check_updates(trainer, error)
               : trainer->backend->check(trainer->backend, error);
}

static bool run(struct running *running, int64_t to_epoch, struct error *error)
{
    struct trainer *trainer = running->trainer;
    int64_t last = to_epoch * trainer->steps_per_epoch;
    for (;;) {
        if (trainer->progress.step > last)
            return true;
        if (is_evaluation_due(trainer) && !evaluate(running, error))
            return false;
        if (trainer->progress.step == last)
            return true;
        if (!update(trainer, error))
            return false;
        if (is_stopped(running))
            return stop(trainer, error);
    }
}

bool trainer_run(struct trainer *trainer, int64_t to_epoch,
                 const struct trainer_hooks *hooks, struct error *error)
{
    struct running running = {trainer, hooks,
                              now() - trainer->progress.seconds};
    bool is_done = run(&running, to_epoch, error) &&
                   trainer->backend->check(trainer->backend, error);
    trainer->progress.seconds = now() - running.started_at;
    return is_done;
}

/* --- state --------------------------------------------------------------- */

int64_t trainer_step(const struct trainer *trainer)
{
    return trainer->progress.step;
}

int64_t trainer_steps_per_epoch(const struct trainer *trainer)
{
    return trainer->steps_per_epoch;
}

int64_t trainer_taken_bytes(const struct trainer *trainer)
{
    return (int64_t)trainer->backend->taken_bytes;
}

const struct tensor *trainer_tensors(struct trainer *trainer, int *count,
                                     struct error *error)
{
    struct faults faults = {0};
    if (!trainer->backend->is_host)
        step_faults(&trainer->step, &faults);
    if (faults.step) {
        diverge(trainer, &faults, error);
        return NULL;
    }
    if (!snapshot_read(&trainer->snapshot, error))
        return NULL;
    *count = trainer->snapshot.count;
    return trainer->snapshot.tensors;
}

void trainer_progress(const struct trainer *trainer, struct progress *progress)
{
    *progress = trainer->progress;
}

void trainer_restore(struct trainer *trainer, const struct progress *progress)
{
    snapshot_write(&trainer->snapshot);
    step_forget_faults(&trainer->step);
    trainer->progress = *progress;
}
