/* hooks.h: programs that are run when a sweep has finished.
 *
 * They are set by gaitd's owner (the option `hooks`: a name, and a program with
 * its arguments); a submission names one (the control on_finish), so that no
 * spec can hold a command.  Started without a shell, as gaitd's user, with
 * /dev/null as stdin and in a session of its own; what it prints is kept up to
 * its last lines, for the event of its end.  A few at a time; one that takes
 * longer than HOOK_TIMEOUT_S is killed.
 *
 * The order is stored in the transaction that finishes the sweep, its end when
 * it has ended: an order without an end is taken up again by the next start.
 * So a hook runs once for each time the sweep finishes, and once more when
 * gaitd ended while it ran.
 */
#ifndef DAEMON_HOOKS_H
#define DAEMON_HOOKS_H

#include "daemon/store.h"

struct cJSON;
struct config;
struct hooks;
struct log;
struct uv_loop_s;

enum { HOOK_TIMEOUT_S = 60, HOOKS_AT_ONCE = 4 };

/* Everything is borrowed and outlives it. */
struct hooks *hooks_new(struct uv_loop_s *loop, const struct log *log,
                        const struct config *config, struct store *store);
/* Those that run are killed, and run again by the next start. */
void hooks_free(struct hooks *hooks); /* NULL is allowed */

/* Runs it when there is room; an order that is known already is ignored. */
void hooks_run(struct hooks *hooks, const struct hook_order *order);

/* Whether gaitd's owner has set one of that name, or it is "". */
bool hook_check(const struct config *config, const char *name,
                struct error *error);

/* The argument with "{sweep}", "{id}", "{owner}", "{done}", "{failed}" and
 * "{cancelled}" replaced; other braces stay.  The caller's. */
char *hook_argument(const char *pattern, const struct hook_order *order);

#endif
