/* cpu.h: how many trainings of one thread this machine has room for.
 *
 * As many as there are physical cores within the affinity mask, but no more
 * than the control group's quota, and at least one.  Two hyperthreads share
 * the arithmetic units that training keeps busy, so they count once.
 *
 * Files are read below `root` ("" for the machine), so tests can make one up.
 */
#ifndef DAEMON_CPU_H
#define DAEMON_CPU_H

#include <stdbool.h>

enum { CPU_MOST = 8192 };

/* allowed[n]: CPU n may be used. */
struct cpu_mask {
    bool allowed[CPU_MOST];
};

void cpu_mask_read(struct cpu_mask *mask); /* this process's affinity */

int cpu_cores(const char *root, const struct cpu_mask *mask);

/* CPUs' worth of time the control groups allow, INFINITY when unlimited. */
double cpu_quota(const char *root);

int cpu_slots(const char *root, const struct cpu_mask *mask);

#endif
