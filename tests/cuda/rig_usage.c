/* rig_usage.c: who uses how much of the pretended GPUs.
 *
 * <rig>.usage is an array of slots that processes map and take by compare and
 * swap of their pid; the slot of a process that is gone may be taken again. */
#include "tests/cuda/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 256 };

struct slot {
    _Atomic int pid; /* 0: free */
    _Atomic int gpu;
    _Atomic uint64_t bytes;
};

/* The mapped table; NULL without a rig's file: then nobody shares. */
static struct slot *table(void)
{
    static struct slot *slots;
    const char *path = getenv("CUDASHIM_RIG");
    if (slots != NULL || path == NULL) {
        return slots;
    }
    char name[4096];
    snprintf(name, sizeof name, "%s.usage", path);
    int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const size_t bytes = SLOTS * sizeof *slots;
    if (file < 0 || ftruncate(file, (off_t)bytes) != 0) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
        exit(RIG_EXIT);
    }
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
        exit(RIG_EXIT);
    }
    return slots = memory;
}

static bool is_alive(int pid)
{
    return pid != 0 && (kill(pid, 0) == 0 || errno != ESRCH);
}

static struct slot *own_slot(struct slot *slots, int gpu)
{
    const int self = getpid();
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i].pid == self && slots[i].gpu == gpu) {
            return &slots[i];
        }
    }
    for (int i = 0; i < SLOTS; i++) {
        int pid = slots[i].pid;
        if (!is_alive(pid) &&
            atomic_compare_exchange_strong(&slots[i].pid, &pid, self)) {
            slots[i].bytes = 0;
            slots[i].gpu = gpu;
            return &slots[i];
        }
    }
    fprintf(stderr, "more than %d users of the rig\n", SLOTS);
    exit(RIG_EXIT);
}

void rig_use(int gpu, uint64_t bytes)
{
    struct slot *slots = table();
    if (slots != NULL) {
        own_slot(slots, gpu)->bytes = bytes;
    }
}

int rig_users(int gpu, struct rig_process *to, int room)
{
    const struct rig *rig = rig_now();
    struct slot *slots = table();
    int count = 0;
    for (int i = 0; i < rig->process_count && count < room; i++) {
        if (rig->processes[i].gpu == gpu) {
            to[count++] = rig->processes[i];
        }
    }
    for (int i = 0; slots != NULL && i < SLOTS && count < room; i++) {
        if (slots[i].gpu == gpu && is_alive(slots[i].pid)) {
            to[count++] = (struct rig_process){.gpu = gpu,
                                               .pid = (unsigned)slots[i].pid,
                                               .bytes = slots[i].bytes,
                                               .name = "gait-worker"};
        }
    }
    return count;
}

uint64_t rig_used_by_others(int gpu)
{
    struct rig_process users[SLOTS];
    int count = rig_users(gpu, users, SLOTS);
    uint64_t bytes = rig_now()->gpus[gpu].used_bytes;
    for (int i = 0; i < count; i++) {
        bytes += users[i].pid == (unsigned)getpid() ? 0 : users[i].bytes;
    }
    return bytes;
}
