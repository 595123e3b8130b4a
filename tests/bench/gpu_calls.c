/* gpu_calls.c: what gpu_model.py counts with.
 *
 *     gpu_calls PLUGIN RULE HIDDEN_LAYERS REGULARISER STEPS
 *
 * trains a small network for so many steps on a GPU, or on what stands in for
 * one and gives an account of all calls.  One epoch, evaluated before and after
 * it.  The calls of a step depend on neither width nor batch size, those of an
 * evaluation on its thousands of rows.  On standard output: the bytes of a
 * GPU's memory that the same network takes 784 wide, with batches of 60 from
 * 60,000 rows and 10,000 to test.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/gpu_memory.h"
#include "worker/engine/device.h"
#include "worker/engine/trainer.h"

enum { WIDTH = 12, BATCH = 2, STEPS_MAX = 400 };

static bool train(const struct settings *settings, int64_t rows,
                  struct device *device, struct error *error)
{
    static uint8_t pixels[STEPS_MAX * BATCH * WIDTH], labels[STEPS_MAX * BATCH];
    struct row_set set = {pixels, labels, rows};
    struct data data = {set, set, WIDTH};
    struct trainer_hooks hooks = {0};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    for (size_t i = 0; i < sizeof labels; i++)
        labels[i] = (uint8_t)(i % CLASSES);
    struct trainer *trainer = trainer_new(settings, &data, device, error);
    bool is_done = trainer && trainer_run(trainer, 1, &hooks, error);
    trainer_free(trainer);
    return is_done;
}

static void tell_bytes(struct settings settings)
{
    struct dataset_shape shape = {
        .train_rows = 60000, .test_rows = 10000, .width = 784};
    settings.batch_size = 60;
    printf("%" PRId64 "\n", gpu_memory_bytes(&settings, &shape));
}

int main(int count, char **arguments)
{
    struct settings settings;
    struct error error = {0};
    int64_t steps = count == 6 ? atoi(arguments[5]) : 0;
    if (steps < 1 || steps > STEPS_MAX) {
        fputs("usage: gpu_calls PLUGIN RULE HIDDEN_LAYERS REGULARISER STEPS\n",
              stderr);
        return 2;
    }
    settings_init(&settings);
    snprintf(settings.algorithm, sizeof settings.algorithm, "%s", arguments[2]);
    settings.nb_layers = atoi(arguments[3]);
    settings.orthogonal_reg = atof(arguments[4]);
    settings.batch_size = BATCH;
    tell_bytes(settings);
    struct device *device = device_open("cuda:0", arguments[1], &error);
    bool is_done = device && train(&settings, steps * BATCH, device, &error);
    device_close(device);
    if (!is_done)
        fprintf(stderr, "gpu_calls: %s\n", error.text);
    return is_done ? 0 : 1;
}
