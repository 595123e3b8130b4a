/* nvml.h: the GPUs of this machine, as NVIDIA's management library tells.
 *
 * The library (libnvidia-ml.so.1) comes with the driver and is opened when
 * gaitd starts; nothing is linked with it.  Handles stand for a GPU or for a
 * MIG instance of one, and stay good until nvml_close.  Calls may be made from
 * any thread and can take their time when a GPU fails.
 */
#ifndef DAEMON_NVML_H
#define DAEMON_NVML_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "schema/error.h"

struct nvml;
struct nvml_gpu; /* NVML's own handle */

enum { NVML_TEXT_BYTES = 96, NVML_USERS = 64 };

/* What does not change. */
struct nvml_facts {
    char uuid[NVML_TEXT_BYTES]; /* GPU-..., MIG-... */
    char model[NVML_TEXT_BYTES];
    int capability; /* 90: sm_90; 0: not told (of an instance) */
    int64_t memory_bytes;
};

/* A process that uses a GPU. */
struct nvml_user {
    pid_t pid;
    int64_t bytes; /* -1: not told */
};

/* How a GPU is now. */
struct nvml_state {
    int64_t free_bytes;
    int64_t ecc_errors; /* uncorrected since the driver came; 0: not told */
    int user_count;     /* in `users`; more are not listed */
    struct nvml_user users[NVML_USERS];
};

/* NULL with a reason: no library, no driver, or one that is of no use. */
struct nvml *nvml_open(struct error *error);
void nvml_close(struct nvml *nvml); /* NULL-safe */

const char *nvml_driver(const struct nvml *nvml); /* its version */

int nvml_count(const struct nvml *nvml); /* GPUs */
/* By the index that nvidia-smi shows; NULL with the reason when it is lost. */
struct nvml_gpu *nvml_find(const struct nvml *nvml, int index,
                           struct error *error);
/* Places for MIG instances, and the one that is there, or NULL. */
int nvml_instances(const struct nvml *nvml, struct nvml_gpu *gpu);
struct nvml_gpu *nvml_instance(const struct nvml *nvml, struct nvml_gpu *gpu,
                               int number);

bool nvml_describe(const struct nvml *nvml, struct nvml_gpu *gpu,
                   struct nvml_facts *facts, struct error *error);
/* False: the GPU is lost, must be reset, and the like. */
bool nvml_look(const struct nvml *nvml, struct nvml_gpu *gpu,
               struct nvml_state *state, struct error *error);

/* Has the GPU's failures (Xid) kept from now on. */
void nvml_watch(struct nvml *nvml, struct nvml_gpu *gpu);
/* The next failure that was kept; false: none.  Those that a program brings
 * upon itself are left out. */
bool nvml_next_failure(const struct nvml *nvml, struct nvml_gpu **gpu,
                       int *xid);

/* The short name of a process, "" when it is not to be seen from here. */
void nvml_process_name(const struct nvml *nvml, pid_t pid,
                       char name[NVML_TEXT_BYTES]);

#endif
