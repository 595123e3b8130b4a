#include "schema/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static bool too_long(const char *folder, const char *name, struct error *error)
{
    return error_set(error, ERROR_IO,
                     "the path \"%.100s.../%.100s\" is too long: at most %d "
                     "bytes",
                     folder, name, PATH_BYTES - 1);
}

bool path_join(char path[PATH_BYTES], const char *folder, const char *name,
               struct error *error)
{
    size_t length = strlen(folder);
    const char *between = length && folder[length - 1] == '/' ? "" : "/";
    char joined[PATH_BYTES]; /* `folder` may be `path` */
    int used = snprintf(joined, sizeof joined, "%s%s%s", folder, between, name);
    if (used < 0 || used >= PATH_BYTES)
        return too_long(folder, name, error);
    memcpy(path, joined, (size_t)used + 1);
    return true;
}

/* The XDG specification has relative values ignored. */
static const char *absolute(const char *variable)
{
    const char *value = getenv(variable);
    return value && value[0] == '/' ? value : NULL;
}

static bool base(char path[PATH_BYTES], const char *variable,
                 const char *below_home, struct error *error)
{
    const char *folder = absolute(variable);
    if (folder)
        return path_join(path, folder, "gaitd", error);
    const char *home = absolute("HOME");
    if (!home)
        return error_set(error, ERROR_IO,
                         "neither \"%s\" nor \"HOME\" is set to an absolute "
                         "path",
                         variable);
    return path_join(path, home, below_home, error) &&
           path_join(path, path, "gaitd", error);
}

bool path_state(char path[PATH_BYTES], struct error *error)
{
    return base(path, "XDG_STATE_HOME", ".local/state", error);
}

bool path_cache(char path[PATH_BYTES], struct error *error)
{
    return base(path, "XDG_CACHE_HOME", ".cache", error);
}

bool path_config(char path[PATH_BYTES], struct error *error)
{
    return base(path, "XDG_CONFIG_HOME", ".config", error);
}

bool path_data(char path[PATH_BYTES], struct error *error)
{
    return base(path, "XDG_DATA_HOME", ".local/share", error);
}

/* Before any check of the length a socket address can hold. */
static bool socket_path(const char *state_dir, char path[PATH_BYTES],
                        struct error *error)
{
    const char *given = getenv("GAITD_SOCKET");
    if (given && given[0]) {
        int used = snprintf(path, PATH_BYTES, "%s", given);
        return used < PATH_BYTES || too_long(given, "", error);
    }
    const char *runtime = absolute("XDG_RUNTIME_DIR");
    if (runtime)
        return path_join(path, runtime, "gaitd.sock", error);
    if (state_dir)
        return path_join(path, state_dir, "gaitd.sock", error);
    return path_state(path, error) &&
           path_join(path, path, "gaitd.sock", error);
}

bool path_socket(const char *state_dir, char path[PATH_BYTES],
                 struct error *error)
{
    return socket_path(state_dir, path, error) &&
           path_socket_check(path, error);
}

bool path_socket_check(const char *path, struct error *error)
{
    size_t length = strlen(path);
    size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    if (!length)
        return error_set(error, ERROR_IO, "the socket's path is empty");
    if (length <= most)
        return true;
    return error_set(error, ERROR_IO,
                     "the socket's path has %zu bytes, at most %zu are "
                     "possible: set GAITD_SOCKET to a shorter one than "
                     "\"%.200s\"",
                     length, most, path);
}
