/* query_groups.h: results by settings: mean, spread and n over the rest. */
#ifndef DAEMON_QUERY_GROUPS_H
#define DAEMON_QUERY_GROUPS_H

#include "daemon/query.h"

/* Adds a row per combination of the settings named in `by` that occurs among
 * the target's jobs, in the order in which they first do; and finds what
 * varies between them. */
bool query_groups(const struct question *question, const struct target *target,
                  const struct cJSON *by, struct varying *varying,
                  struct page *page, struct error *error);

#endif
