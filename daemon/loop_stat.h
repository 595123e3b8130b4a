/* loop_stat.h: a file's size and time, looked at off the loop's thread,
 * because a folder may be on a network.
 */
#ifndef DAEMON_LOOP_STAT_H
#define DAEMON_LOOP_STAT_H

#include <stdint.h>

struct uv_loop_s;

/* `bytes` -1: it cannot be looked at.  `modified` is seconds since 1970. */
typedef void loop_stat_done(void *user, int64_t bytes, double modified);

/* Calls `done` once, from the loop. */
void loop_stat(struct uv_loop_s *loop, const char *path, loop_stat_done *done,
               void *user);

#endif
