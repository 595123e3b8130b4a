/* device.h: what jobs run on: a GPU, an instance (MIG) of one, or the CPU.
 *
 * A device that gaitd uses has slots; another one says why not.  A GPU's lock
 * keeps other gaitd off it.  A GPU is looked at (nvml_look, which takes its
 * time, so elsewhere) before it gets a job while it has none, and is then
 * judged: whether others use it, and how much memory is left.
 */
#ifndef DAEMON_DEVICE_H
#define DAEMON_DEVICE_H

#include "daemon/hello.h"
#include "daemon/lock.h"
#include "daemon/nvml.h"
#include "daemon/place.h"

struct config;

enum { DEVICE_REASON_BYTES = 400 };

struct device {
    char name[32]; /* cpu, cuda:0, cuda:0.1 */
    int gpu;       /* index of the GPU; -1: the CPU */
    struct nvml_facts facts;
    struct nvml_gpu *handle, *whole; /* whole: of an instance its GPU */
    int slots;
    struct hello hello; /* what a worker on it says */
    struct lock lock;

    char unused[DEVICE_REASON_BYTES];  /* why it has no slots; "" */
    char trouble[DEVICE_REASON_BYTES]; /* why it gets no job now; "" */
    struct nvml_state state;           /* as last seen */
    char users[DEVICE_REASON_BYTES];   /* others': "4711 (python)"; "" */
    bool was_seen;
    int64_t room_bytes; /* for jobs together, as last answered */
};

/* Why a device that was chosen has no slots; only the first reason counts. */
void device_refuse(struct device *device, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Bytes that jobs may take of it together: all but its workers' own.  0 and
 * less: there is no room for any. */
int64_t device_capacity(const struct device *device,
                        const struct config *config);
/* Of these, what is left by others, as last seen without a job of ours on it
 * and with so many workers. */
int64_t device_room(const struct device *device, const struct config *config,
                    int workers);

/* As jobs see it, by its number. */
void device_place(const struct device *device, int number,
                  const struct config *config, struct place *place);

/* Takes the lock, unless it is held; sets `trouble` where that fails. */
bool device_lock(struct device *device, const struct config *config);

/* As the method `devices` shows it; `trouble`: why it gets no jobs now, or "".
 * The caller's. */
struct cJSON *device_write(const struct device *device, const char *trouble);

/* What was seen becomes `state`, `users` and `trouble`.  `own`: the workers'
 * processes there. */
void device_judge(struct device *device, const struct config *config,
                  const struct nvml *nvml, const struct nvml_state *state,
                  const pid_t *own, int own_count);

#endif
