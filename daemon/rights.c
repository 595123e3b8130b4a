#include "daemon/rights.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/peer.h"
#include "schema/memory.h"

static bool is_number(const char *text, gid_t *group)
{
    size_t length = strlen(text);
    if (!length || length > 9 || strspn(text, "0123456789") != length)
        return false;
    *group = (gid_t)strtoul(text, NULL, 10);
    return true;
}

static bool find_group(const char *option, const char *name, gid_t *group,
                       struct error *error)
{
    enum { BYTES = 1 << 20 }; /* of one group with all its members */
    struct group entry, *found = NULL;
    char *text = xmalloc(BYTES);
    int failure = getgrnam_r(name, &entry, text, BYTES, &found);
    if (found)
        *group = found->gr_gid;
    free(text);
    if (found || is_number(name, group))
        return true;
    if (failure)
        return error_set(error, ERROR_IO, "cannot look up %s \"%s\": %s",
                         option, name, strerror(failure));
    return error_set(error, ERROR_NOT_FOUND,
                     "%s: there is no group \"%s\" on this machine", option,
                     name);
}

bool rights_init(struct rights *rights, const struct config *config,
                 struct error *error)
{
    *rights = (struct rights){
        .owner = geteuid(),
        .has_group = *config->group,
        .has_operator_group = *config->operator_group,
    };
    return (!rights->has_group ||
            find_group("group", config->group, &rights->group, error)) &&
           (!rights->has_operator_group ||
            find_group("operator_group", config->operator_group,
                       &rights->operator_group, error));
}

enum right rights_of(const struct rights *rights, const struct peer *peer)
{
    if (peer->uid == 0 || peer->uid == rights->owner)
        return RIGHT_OPERATOR;
    if (rights->has_operator_group &&
        peer_is_member(peer, rights->operator_group))
        return RIGHT_OPERATOR;
    if (rights->has_group && peer_is_member(peer, rights->group))
        return RIGHT_USER;
    return RIGHT_NONE;
}

bool rights_socket_group(const struct rights *rights, gid_t *group)
{
    *group = rights->has_group ? rights->group : rights->operator_group;
    return rights->has_group || rights->has_operator_group;
}
