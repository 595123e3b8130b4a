/* phase.h: what the worker's thread is at, told by its name.
 *
 * Shown by top -H and ps -L, and in /proc/PID/comm: "gait training",
 * "gait evaluating", "gait saving"; between two attempts, and while one waits
 * for its data set or lock, the program's own.  A change costs one system call,
 * the same again nothing.
 */
#ifndef WORKER_PHASE_H
#define WORKER_PHASE_H

enum phase { PHASE_IDLE, PHASE_TRAINING, PHASE_EVALUATING, PHASE_SAVING };

/* `*phase`, of the calling thread, becomes `next`; at first it is PHASE_IDLE.
 */
void phase_enter(enum phase *phase, enum phase next);

#endif
