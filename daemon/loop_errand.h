/* loop_errand.h: computing that would hold up the loop, done on another thread.
 *
 * For what takes milliseconds and waits for nobody: parsing a large message,
 * expanding a sweep, taking a large tree apart.
 */
#ifndef DAEMON_LOOP_ERRAND_H
#define DAEMON_LOOP_ERRAND_H

struct uv_loop_s;

/* Calls `run` on another thread, then `done` (may be NULL) on the loop's.
 * Several errands may run at once, and end in any order.  The loop goes on
 * until all are done. */
void loop_errand(struct uv_loop_s *loop, void (*run)(void *user),
                 void (*done)(void *user), void *user);

#endif
