/* Preloaded into gaitd and its workers: what a disk and a moment can do to a
 * checkpoint.
 *
 * While the file $FAULT_FULL is there, writes of one fail with ENOSPC, half
 * of it written.  With the file $FAULT_KILL (which is removed) the process is
 * killed between writing and renaming.  While the pipe $FAULT_HOLD is there, a
 * checkpoint is removed when somebody has opened and closed its other end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_there(const char *variable)
{
    const char *path = getenv(variable);
    return path && access(path, F_OK) == 0;
}

static int ends_with(const char *path, const char *end)
{
    size_t length = strlen(path), wanted = strlen(end);
    return length >= wanted && strcmp(path + length - wanted, end) == 0;
}

static int is_unfinished(const char *path)
{
    return ends_with(path, ".safetensors.tmp");
}

static int writes_checkpoint(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    return is_unfinished(path);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    int saved = errno;
    if (is_there("FAULT_FULL") && writes_checkpoint(fd)) {
        if (size > 1 && real(fd, bytes, size / 2) < 0)
            return -1;
        errno = ENOSPC;
        return -1;
    }
    errno = saved;
    return real(fd, bytes, size);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    if (is_unfinished(from) && is_there("FAULT_KILL")) {
        unlink(getenv("FAULT_KILL"));
        kill(getpid(), SIGKILL);
    }
    return real(from, to);
}

int unlink(const char *path)
{
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    char byte;
    if (ends_with(path, ".safetensors") && is_there("FAULT_HOLD")) {
        int fd = open(getenv("FAULT_HOLD"), O_RDONLY);
        (void)!read(fd, &byte, 1);
        close(fd);
    }
    return real(path);
}
