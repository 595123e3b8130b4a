/* devices.h: what this machine has to run jobs on, and what of it gaitd uses.
 *
 * GPUs come from NVML; CUDA_VISIBLE_DEVICES and the option `devices` choose
 * among them.  Each kind of GPU is met once, by a worker that identifies
 * itself; one on which that fails is not used.
 */
#ifndef DAEMON_DEVICES_H
#define DAEMON_DEVICES_H

#include "daemon/device.h"

struct cJSON;
struct uv_loop_s;

/* A slot's place: its device, and which of it. */
struct devices {
    struct nvml *nvml; /* NULL: no GPU */
    char no_gpu[DEVICE_REASON_BYTES];
    int count;
    struct device *device; /* GPUs and instances as nvidia-smi lists them; the
                            * CPU last */
};

/* Sees and chooses; takes locks.  Entries of `devices` that name nothing here
 * are told of in the log. */
void devices_init(struct devices *devices, const struct config *config,
                  const struct log *log);
void devices_release(struct devices *devices);

/* Meets `worker` on all devices that have slots, on a loop that has nothing
 * else to do.  False: it is not to be used at all. */
bool devices_meet(struct devices *devices, const struct config *config,
                  struct uv_loop_s *loop, const struct log *log,
                  const char *worker, struct error *error);

int devices_slots(const struct devices *devices); /* of all */
/* The device of a slot: GPUs first, each one's first slots before the second
 * ones, so that jobs spread. */
struct device *devices_of_slot(const struct devices *devices, int slot);

#endif
