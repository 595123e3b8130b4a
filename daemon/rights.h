/* rights.h: who may come in, and what they may do.
 *
 * Root and the user whose daemon it is are operators.  Others are let in by
 * groups: members of `group` see everything and change what is theirs, members
 * of `operator_group` are operators too.  Everybody else gets nothing.
 */
#ifndef DAEMON_RIGHTS_H
#define DAEMON_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/config.h"
#include "schema/error.h"

struct peer;

struct rights {
    uid_t owner;
    bool has_group, has_operator_group;
    gid_t group, operator_group;
};

enum right { RIGHT_NONE, RIGHT_USER, RIGHT_OPERATOR };

/* Looks the groups up by name, or by number.  ERROR_NOT_FOUND when there is no
 * such group. */
bool rights_init(struct rights *rights, const struct config *config,
                 struct error *error);

enum right rights_of(const struct rights *rights, const struct peer *peer);

/* The group that the socket must let in; false when there is none. */
bool rights_socket_group(const struct rights *rights, gid_t *group);

#endif
