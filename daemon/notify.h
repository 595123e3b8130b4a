/* notify.h: telling whoever started gaitd that it is ready.
 *
 * systemd hears one datagram on $NOTIFY_SOCKET, scripts and tests a newline
 * on the descriptor they named with --ready-fd.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>

#include "schema/error.h"

/* Sends `state` ("READY=1"); true when nobody asked for it. */
bool notify_systemd(const char *state, struct error *error);

/* Writes a newline to `descriptor` and closes it; -1: nobody asked. */
bool notify_descriptor(int descriptor, struct error *error);

#endif
