/* task.h: what a `start` message asks for, read and checked.
 */
#ifndef WORKER_TASK_H
#define WORKER_TASK_H

#include "schema/error.h"
#include "schema/settings.h"
#include "worker/import.h"

struct cJSON;

struct task {
    int64_t attempt;
    int64_t to_epoch;
    int64_t step;                    /* of the last row at gaitd; -1: none */
    double checkpoint_every;         /* seconds; 0: only when it stops */
    const struct cJSON *checkpoints; /* {file: hash}, as gaitd knows them */
    const char *key;
    const char *run_dir;
    const char *digest;
    struct dataset_place place;
    struct settings settings;
};

/* Texts are borrowed from the message.  `attempt` is set (or -1) also on
 * failure; the task is the caller's to release in either case. */
bool task_init(struct task *task, const struct cJSON *start,
               struct error *error);
void task_release(struct task *task);

#endif
