/* peer.h: who is at the other end of a Unix socket, as the kernel knows it.
 */
#ifndef DAEMON_PEER_H
#define DAEMON_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Of the process that connected, at that moment: its groups are those it had,
 * whatever the group database says. */
struct peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
    size_t group_count; /* supplementary ones */
    gid_t *groups;
};

/* False when the kernel does not tell; then there is nothing to release. */
bool peer_init(struct peer *peer, int descriptor);
void peer_release(struct peer *peer);

bool peer_is_member(const struct peer *peer, gid_t group);

#endif
