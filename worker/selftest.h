/* selftest.h: whether a GPU computes what the CPU does, for its owner to see.
 */
#ifndef WORKER_SELFTEST_H
#define WORKER_SELFTEST_H

struct device;

/* Checks the device against the CPU and prints a report; returns the exit
 * status: 0 when everything agrees. */
int selftest_run(struct device *device);

#endif
