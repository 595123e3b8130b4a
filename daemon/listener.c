#include "daemon/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "schema/memory.h"

static bool fail(const char *path, const char *verb, struct error *error)
{
    return error_set(error, ERROR_IO, "cannot %s socket \"%s\": %s", verb, path,
                     strerror(errno));
}

static int make(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, strlen(path)); /* path_socket_check'd */
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Whether somebody accepts connections at `path`.  A full backlog (EAGAIN)
 * is an answer too. */
static bool is_answered(const char *path)
{
    struct sockaddr_un address;
    int probe = make(path, &address);
    if (probe < 0)
        return true;
    int result = connect(probe, (struct sockaddr *)&address, sizeof address);
    bool is_live = result == 0 || errno != ECONNREFUSED;
    close(probe);
    return is_live;
}

/* Removes a socket nobody answers on. */
static bool clear(const char *path, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT || fail(path, "examine", error);
    if (!S_ISSOCK(status.st_mode))
        return error_set(error, ERROR_CONFLICT,
                         "\"%s\" exists and is not a socket", path);
    if (is_answered(path))
        return error_set(error, ERROR_CONFLICT,
                         "socket \"%s\" is in use by another program", path);
    return unlink(path) == 0 || fail(path, "remove stale", error);
}

/* The group first: never is a group let in that was not meant. */
static bool protect(const char *path, const gid_t *group, struct error *error)
{
    if (group && lchown(path, (uid_t)-1, *group) != 0)
        return error_set(error, ERROR_IO,
                         "cannot give socket \"%s\" to group %ld: %s; only "
                         "root and the group's members can",
                         path, (long)*group, strerror(errno));
    return chmod(path, group ? 0660 : 0600) == 0 ||
           fail(path, "protect", error);
}

static bool bind_to(struct listener *listener, const char *path,
                    const gid_t *group, struct error *error)
{
    struct sockaddr_un address;
    listener->descriptor = make(path, &address);
    if (listener->descriptor < 0)
        return fail(path, "make", error);
    /* Nobody can connect before listen, so the mode is right in time. */
    struct stat status;
    if (bind(listener->descriptor, (struct sockaddr *)&address,
             sizeof address) != 0)
        return fail(path, "bind", error);
    if (lstat(path, &status) != 0)
        return fail(path, "examine", error);
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    return protect(path, group, error);
}

bool listener_open(struct listener *listener, const char *path,
                   const gid_t *group, struct error *error)
{
    char file[PATH_BYTES], what[PATH_BYTES];
    *listener = (struct listener){.lock.descriptor = -1, .descriptor = -1};
    if (!path_socket_check(path, error))
        return false;
    snprintf(listener->path, sizeof listener->path, "%s", path);
    snprintf(file, sizeof file, "%.107s.lock", path);
    snprintf(what, sizeof what, "socket \"%.107s\"", path);
    if (!lock_take(&listener->lock, file, what, error))
        return false;
    if (clear(path, error) && bind_to(listener, path, group, error))
        return true;
    listener_close(listener);
    return false;
}

int listener_take(struct listener *listener)
{
    int descriptor = listener->descriptor;
    listener->descriptor = -1;
    return descriptor;
}

void listener_close(struct listener *listener)
{
    struct stat status;
    if (listener->descriptor >= 0)
        close(listener->descriptor);
    listener->descriptor = -1;
    if (listener->inode && lstat(listener->path, &status) == 0 &&
        status.st_dev == listener->device && status.st_ino == listener->inode)
        unlink(listener->path);
    listener->inode = 0;
    lock_release(&listener->lock);
}
