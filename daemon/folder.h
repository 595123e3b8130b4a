/* folder.h: folders gaitd keeps things in: made, private, and local.
 */
#ifndef DAEMON_FOLDER_H
#define DAEMON_FOLDER_H

#include <stdbool.h>

#include "schema/error.h"

/* Makes `path` and what is missing above it, for the owner only (0700). */
bool folder_make(const char *path, struct error *error);

/* The name of the network file system with that statfs type, or NULL when it
 * is a local one. */
const char *folder_network_name(long type);

/* Refuses a path on a network file system, where SQLite may lose data; the
 * sentence names the setting that moves the state folder. */
bool folder_check_local(const char *path, struct error *error);

#endif
