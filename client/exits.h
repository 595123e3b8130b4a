/* exits.h: how gaitctl's exit status says what happened.
 *
 * Scripts rely on these; the README lists them.  EXITS is also what
 * `gaitctl help exit` prints.
 */
#ifndef CLIENT_EXITS_H
#define CLIENT_EXITS_H

#include "schema/error.h"

/* X(name, status, meaning) */
#define EXITS(X)                                                               \
    X(GOOD, 0, "done as asked")                                                \
    X(FAILED, 1, "some job failed, or output could not be written")            \
    X(USAGE, 2, "the command line or the spec is wrong")                       \
    X(MISSING, 3, "no such job, sweep or file")                                \
    X(UNREACHABLE, 4, "gaitd is not running, is stopping, or went away")       \
    X(CANCELLED, 5, "some job was cancelled, and none failed")                 \
    X(TIMEOUT, 124, "--timeout came first")                                    \
    X(INTERRUPTED, 130, "Ctrl-C came first")

#define EXIT_ENUM(name, status, meaning) EXIT_##name = status,
enum exit_status { EXITS(EXIT_ENUM) };

/* The status that stands for an error of the daemon or of the client. */
int exit_of(enum error_code code);

/* "gaitctl: <text>" on stderr; control characters become '?'.  Returns
 * exit_of the code. */
int exit_report(const struct error *error);

#endif
