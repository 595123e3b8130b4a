/* paths.h: where things are when nobody says otherwise (XDG base folders).
 *
 * Only names are made here; nothing is opened or created.
 */
#ifndef SCHEMA_PATHS_H
#define SCHEMA_PATHS_H

#include <stddef.h>

#include "schema/error.h"

enum { PATH_BYTES = 4096 };

/* $XDG_STATE_HOME/gaitd, and likewise CACHE, CONFIG, DATA with their
 * fallbacks under $HOME.  False when neither variable is set. */
bool path_state(char path[PATH_BYTES], struct error *error);
bool path_cache(char path[PATH_BYTES], struct error *error);
bool path_config(char path[PATH_BYTES], struct error *error);
bool path_data(char path[PATH_BYTES], struct error *error);

/* The socket: $GAITD_SOCKET, else $XDG_RUNTIME_DIR/gaitd.sock, else
 * gaitd.sock in `state_dir` (NULL: the default one).  A path that does not
 * fit a socket address (107 bytes) is refused, never cut. */
bool path_socket(const char *state_dir, char path[PATH_BYTES],
                 struct error *error);
bool path_socket_check(const char *path, struct error *error);

/* "<folder>/<name>"; false when it does not fit. */
bool path_join(char path[PATH_BYTES], const char *folder, const char *name,
               struct error *error);

#endif
