/* rig.h: the GPUs that the replacement libraries pretend are in the machine.
 *
 * A test describes them in a text file, named by CUDASHIM_RIG, and may replace
 * the file (write another, rename it) while programs run: it is read anew when
 * it has changed, by the replacement runtime and NVML alike.  Without the
 * variable there is one GPU of 8 GiB.  A line is a word and name=value pairs;
 * a value with spaces stands in double quotes; # begins a comment:
 *
 *     driver version=580.95.05 cuda=13000 [error=9]
 *     gpu uuid=GPU-... name="Pretended A" capability=9.0 memory=1073741824
 *         [used=0] [error=lost|ecc|reset|xid] [cuda=719] [nvml=15] [bus=...]
 *     mig gpu=0 uuid=MIG-... name="Pretended A MIG 1g" memory=268435456
 *     process gpu=0 pid=4711 bytes=1000000 [name=python]
 *     event gpu=0 type=8 data=79
 *
 * (each on one line).  `gpu=` counts the gpu lines from 0.  What is wrong with
 * the file is the test's fault and ends the process with status 96.
 *
 * Beside it, in <file>.usage, the processes that use the replacement runtime
 * note what they have allocated, so that they see each other's memory.
 */
#ifndef TESTS_CUDA_RIG_H
#define TESTS_CUDA_RIG_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RIG_GPUS = 32,
    RIG_PROCESSES = 128,
    RIG_EVENTS = 64,
    RIG_EXIT = 96, /* the status of a process whose rig makes no sense */
};

struct rig_gpu {
    char uuid[80], name[96], bus[32];
    int major, minor; /* compute capability */
    uint64_t memory_bytes;
    uint64_t used_bytes;        /* by nobody in particular */
    int cuda_error, nvml_error; /* what calls answer; 0: it works */
    int parent;                 /* of a MIG instance its GPU; -1: a GPU */
    int number;                 /* among the GPUs, or in its parent */
};

struct rig_process {
    int gpu; /* index into gpus */
    unsigned pid;
    uint64_t bytes;
    char name[64];
};

struct rig_event {
    int gpu;
    uint64_t type, data;
};

struct rig {
    struct rig_gpu gpus[RIG_GPUS]; /* GPUs and MIG instances as they come */
    int gpu_count;
    struct rig_process processes[RIG_PROCESSES];
    int process_count;
    struct rig_event events[RIG_EVENTS];
    int event_count;
    char driver[80];
    int cuda_version; /* 13000 */
    int init_error;   /* what nvmlInit answers */
};

/* The rig as it is now.  One per process; not for several threads at once. */
const struct rig *rig_now(void);

/* A GPU by its number among the GPUs, or -1; its instance by number, or -1. */
int rig_find_gpu(const struct rig *rig, int number);
int rig_find_instance(const struct rig *rig, int parent, int number);

/* Notes what this process has on a GPU: bytes, and that it uses it at all. */
void rig_use(int gpu, uint64_t bytes);
/* What processes other than this one have there. */
uint64_t rig_used_by_others(int gpu);
/* Fills in the processes using a GPU that are alive, at most `room` of them;
 * returns how many. */
int rig_users(int gpu, struct rig_process *to, int room);

#endif
