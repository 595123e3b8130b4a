/* Preloaded into gaitd: the power fails at its nth write or flush.
 *
 * Calls that change what is on disk are counted; before the one with number
 * $CRASH_AT the process is killed, half of that write done where $CRASH_TORN is
 * set.  Without $CRASH_AT nothing happens, and their number is written to the
 * file $CRASH_COUNT at the end.  The daemon's workers are left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static long crash_at(void)
{
    const char *text = getenv("CRASH_AT");
    return text ? strtol(text, NULL, 10) : 0;
}

static int is_daemon(void)
{
    return strcmp(program_invocation_short_name, "gaitd") == 0;
}

/* Whether this is the call. */
static int is_last(void)
{
    return is_daemon() && atomic_fetch_add(&calls, 1) + 1 == crash_at();
}

static void die(void)
{
    kill(getpid(), SIGKILL);
}

__attribute__((destructor)) static void count(void)
{
    const char *path = getenv("CRASH_COUNT");
    FILE *file = is_daemon() && path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        dlsym(RTLD_NEXT, "pwrite64");
    if (is_last()) {
        if (getenv("CRASH_TORN"))
            real(fd, bytes, size / 2, at);
        die();
    }
    return real(fd, bytes, size, at);
}

int fdatasync(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    if (is_last())
        die();
    return real(fd);
}

int fsync(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    if (is_last())
        die();
    return real(fd);
}

int ftruncate64(int fd, off64_t size)
{
    int (*real)(int, off64_t) = dlsym(RTLD_NEXT, "ftruncate64");
    if (is_last())
        die();
    return real(fd, size);
}
