#define _GNU_SOURCE /* struct ucred */
#include "daemon/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "schema/memory.h"

/* A first look that is too short tells the length. */
static bool read_groups(struct peer *peer, int descriptor)
{
    socklen_t bytes = 0;
    while (getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, peer->groups,
                      &bytes) != 0) {
        if (errno != ERANGE)
            return false;
        peer->groups = xrealloc(peer->groups, bytes);
    }
    peer->group_count = bytes / sizeof *peer->groups;
    return true;
}

bool peer_init(struct peer *peer, int descriptor)
{
    struct ucred found;
    socklen_t bytes = sizeof found;
    *peer = (struct peer){.groups = NULL};
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &found, &bytes) != 0)
        return false;
    peer->uid = found.uid;
    peer->gid = found.gid;
    peer->pid = found.pid;
    if (read_groups(peer, descriptor))
        return true;
    peer_release(peer);
    return false;
}

void peer_release(struct peer *peer)
{
    free(peer->groups);
    peer->groups = NULL;
    peer->group_count = 0;
}

bool peer_is_member(const struct peer *peer, gid_t group)
{
    bool is_member = peer->gid == group;
    for (size_t i = 0; i < peer->group_count; i++)
        is_member |= peer->groups[i] == group;
    return is_member;
}
