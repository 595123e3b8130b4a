/* gate.h: readers of the database pass through it, and the store closes it for
 * a moment.
 *
 * The write-ahead log can begin anew only when no reader looks at it; readers
 * that overlap for ever would let it grow for ever.  So the store, when the
 * log is long, keeps new readers waiting until those inside have left, or for
 * the moment that a user does not notice.
 */
#ifndef DAEMON_GATE_H
#define DAEMON_GATE_H

#include <stdbool.h>

struct gate;

struct gate *gate_new(void);
void gate_free(struct gate *gate); /* NULL is allowed */

/* A reader's; enter waits while the gate is closed. */
void gate_enter(struct gate *gate);
void gate_leave(struct gate *gate);

/* The store's: closed until gate_open.  False: somebody is still inside after
 * so many seconds. */
bool gate_close(struct gate *gate, double seconds);
void gate_open(struct gate *gate);

#endif
