/* peer.h: who is at the other end of a Unix socket. */
#ifndef DAEMON_PEER_H
#define DAEMON_PEER_H

#include <stdbool.h>
#include <sys/types.h>

struct caller;

/* As the kernel knows it; false when it does not. */
bool peer_find(int descriptor, uid_t *uid, pid_t *pid);

/* A user who may do everything, by name, or by number when there is none. */
void peer_name(struct caller *caller, uid_t uid);

#endif
