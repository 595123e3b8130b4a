/* limits.h: clocks of the attempts whose jobs have a time limit.
 *
 * What an attempt has taken is stored every few seconds and at its end, so that
 * no restart sets it back; the store tells it to stop when its job has none
 * left (store_limit.c).  Monotonic: jumps of the wall clock change nothing.
 */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

#include <stdint.h>

struct dispatch;
struct limits;
struct store;
struct uv_loop_s;

struct limits *limits_new(struct uv_loop_s *loop, struct store *store);
/* When no attempt is under way, or none is looked after any more. */
void limits_free(struct limits *limits); /* NULL is allowed */

/* From now on, if there is a limit; and if there is one after all, when it is
 * said to have changed: what the attempt has taken by then counts. */
void limits_begin(struct limits *limits, const struct dispatch *dispatch);
void limits_change(struct limits *limits, int64_t attempt);
/* It is told to stop, or has ended: its clock is no longer looked at. */
void limits_end(struct limits *limits, int64_t attempt);

#endif
