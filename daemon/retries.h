/* retries.h: the timers of jobs that wait after a crash.
 *
 * One for each; they count monotonic time, and end with store_wait_over.
 */
#ifndef DAEMON_RETRIES_H
#define DAEMON_RETRIES_H

#include <stdint.h>

struct retries;
struct store;
struct uv_loop_s;

/* Both are borrowed. */
struct retries *retries_new(struct uv_loop_s *loop, struct store *store);
/* Stops them all; their handles close when the loop runs next. */
void retries_free(struct retries *retries);

void retries_add(struct retries *retries, int64_t job, double seconds);

#endif
