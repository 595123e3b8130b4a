/* lock.h: one gaitd per state folder, and one per socket.
 *
 * The lock is flock's, so the kernel gives it up whatever way the process
 * ends; the file's text (pid, host, boot id) only tells others who has it.
 * The file is removed on release, while still locked; whoever opened the
 * removed file notices and tries again.
 */
#ifndef DAEMON_LOCK_H
#define DAEMON_LOCK_H

#include <stdbool.h>

#include "schema/error.h"
#include "schema/paths.h"

struct lock {
    int descriptor; /* -1: not held */
    char path[PATH_BYTES];
    /* Set before it is taken: the file is one that every user's gaitd locks. */
    bool is_for_all;
};

/* ERROR_CONFLICT when it is held: `what` (such as: state folder "/x") is in
 * use by a running gaitd (pid 123). */
bool lock_take(struct lock *lock, const char *path, const char *what,
               struct error *error);
void lock_release(struct lock *lock); /* also one that was never taken */

#endif
