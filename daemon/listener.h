/* listener.h: the socket's name in the file system, and who owns it.
 *
 * A lock file beside the socket ("<socket>.lock") says which gaitd owns the
 * name.  Whoever holds it may replace a socket that nobody answers on (left
 * by a daemon that was killed), never one that somebody does, nor a file of
 * another kind; and unlinks, at the end, only the socket it made.
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include <sys/types.h>

#include "daemon/lock.h"

struct listener {
    struct lock lock;
    int descriptor; /* bound, not yet listening; -1: none */
    char path[PATH_BYTES];
    dev_t device; /* of the socket's file */
    ino_t inode;
};

/* Locks, probes and binds `path`, mode 0600, or 0660 with `group` (NULL: no
 * group).  On failure nothing is left. */
bool listener_open(struct listener *listener, const char *path,
                   const gid_t *group, struct error *error);
/* The descriptor, which the caller closes from now on. */
int listener_take(struct listener *listener);
void listener_close(struct listener *listener); /* also one never opened */

#endif
