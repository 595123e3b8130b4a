#define _GNU_SOURCE /* struct ucred */
#include "daemon/peer.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>

#include "daemon/store.h"

bool peer_find(int descriptor, uid_t *uid, pid_t *pid)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return false;
    *uid = peer.uid;
    *pid = peer.pid;
    return true;
}

void peer_name(struct caller *caller, uid_t uid)
{
    struct passwd entry, *found = NULL;
    char text[16384];
    caller->uid = uid;
    caller->is_operator = true;
    if (getpwuid_r(uid, &entry, text, sizeof text, &found) == 0 && found)
        snprintf(caller->name, sizeof caller->name, "%s", found->pw_name);
    else
        snprintf(caller->name, sizeof caller->name, "%ld", (long)uid);
}
