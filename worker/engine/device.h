/* device.h: a processor that trainers run on: the CPU, or a GPU.
 *
 * GPUs are reached through a plugin (plugin.h), which is looked for when one is
 * opened and not before: the program runs where there is no CUDA.  Opening a
 * GPU takes out of this process's environment what would have its libraries
 * round otherwise.
 *
 *     struct device *device = device_open("cuda:0", "gait-cuda.so", &error);
 *     struct trainer *trainer = trainer_new(&settings, &data, device, &error);
 *     trainer_free(trainer);
 *     device_close(device);
 */
#ifndef ENGINE_DEVICE_H
#define ENGINE_DEVICE_H

#include <stdint.h>

#include "schema/error.h"
#include "schema/settings.h"

struct backend;
struct device;

enum { DEVICE_TEXT_BYTES = 128 };

/* What a device is.  Of the CPU, only the first two are known. */
struct device_info {
    char name[DEVICE_TEXT_BYTES];       /* cpu, or cuda:INDEX */
    char class_text[DEVICE_TEXT_BYTES]; /* what decides rounding beside the
                                         * job's precision and threads: library
                                         * versions, core type or GPU */
    char model[DEVICE_TEXT_BYTES];      /* the GPU's name */
    char uuid[DEVICE_TEXT_BYTES];       /* GPU-... */
    int capability;                     /* 90 is sm_90 */
    int processors;
    int64_t memory_bytes;
    int driver, runtime; /* versions of CUDA: 13000 is 13.0 */
};

/* `name` is "cpu", "cuda" (the first GPU), "cuda:INDEX" or "cuda:UUID";
 * `plugin` the shared object for GPUs.  The caller closes what it gets, after
 * all trainers on it.  NULL: ERROR_NOT_FOUND and a reason when there is no such
 * device, plugin or driver; ERROR_PROTOCOL when the plugin is another build's;
 * ERROR_MEMORY. */
struct device *device_open(const char *name, const char *plugin,
                           struct error *error);
void device_close(struct device *device); /* NULL-safe */

const struct device_info *device_info(const struct device *device);

/* A backend for one job.  The caller closes it.  NULL: ERROR_MEMORY, ERROR_IO.
 */
struct backend *device_backend(struct device *device,
                               const struct settings *settings,
                               struct error *error);

#endif
