/* Preloaded into gaitd or its workers: something happens at the nth call that
 * changes what is on disk, or tells somebody else.
 *
 * Of the program named $CRASH_PROGRAM calls are counted, and the one with
 * number $CRASH_AT comes out as $CRASH_HOW says: "kill", the process is killed
 * before it; "torn", after half of a write; "short", half of a write is done;
 * "EIO" and "ENOSPC", it fails with that.  Where $CRASH_ONCE is set, only
 * while that file is there, and it is removed.  Without $CRASH_AT nothing
 * happens, and the number of calls is written to the file $CRASH_COUNT at the
 * end.  A worker's messages are among them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(function) ((__typeof__(&function))dlsym(RTLD_NEXT, #function))

enum how { NOTHING, KILL, TORN, SHORT, FAIL_EIO, FAIL_ENOSPC };
static const char *const hows[] = {
    [KILL] = "kill",    [TORN] = "torn",          [SHORT] = "short",
    [FAIL_EIO] = "EIO", [FAIL_ENOSPC] = "ENOSPC",
};

static atomic_long calls;

/* What the other threads say too early has been heard by then. */
static void die(void)
{
    usleep(20000);
    kill(getpid(), SIGKILL);
}

static int is_ours(void)
{
    const char *program = getenv("CRASH_PROGRAM");
    return program && strcmp(program_invocation_short_name, program) == 0;
}

static enum how chosen(void)
{
    const char *text = getenv("CRASH_HOW"), *once = getenv("CRASH_ONCE");
    int (*really_unlink)(const char *) = REAL(unlink);
    if (once && really_unlink(once) != 0)
        return NOTHING;
    for (int how = KILL; how <= FAIL_ENOSPC; how++)
        if (text && strcmp(text, hows[how]) == 0)
            return (enum how)how;
    return KILL;
}

/* What happens at this call. */
static enum how fate(void)
{
    const char *text = getenv("CRASH_AT");
    int saved = errno;
    enum how how = NOTHING;
    if (is_ours() &&
        atomic_fetch_add(&calls, 1) + 1 == (text ? strtol(text, NULL, 10) : 0))
        how = chosen();
    errno = saved;
    if (how == KILL)
        die();
    return how;
}

/* Calls that are whole or not at all: 0, or what they return failing. */
static int fails(void)
{
    enum how how = fate();
    if (how == TORN)
        die();
    if (how == FAIL_EIO)
        errno = EIO;
    if (how == FAIL_ENOSPC)
        errno = ENOSPC;
    return how == FAIL_EIO || how == FAIL_ENOSPC ? -1 : 0;
}

__attribute__((destructor)) static void count(void)
{
    const char *path = getenv("CRASH_COUNT");
    FILE *file = is_ours() && path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}

/* `half` writes half, `whole` all. */
#define WRITE(half, whole)                                                     \
    switch (fate()) {                                                          \
    case TORN:                                                                 \
        (void)!half;                                                           \
        die();                                                                 \
        return -1;                                                             \
    case SHORT:                                                                \
        return size > 1 ? half : whole;                                        \
    case FAIL_EIO:                                                             \
        errno = EIO;                                                           \
        return -1;                                                             \
    case FAIL_ENOSPC:                                                          \
        errno = ENOSPC;                                                        \
        return -1;                                                             \
    default:                                                                   \
        return whole;                                                          \
    }

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    __typeof__(&pwrite64) real = REAL(pwrite64);
    WRITE(real(fd, bytes, size / 2, at), real(fd, bytes, size, at))
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return pwrite64(fd, bytes, size, at);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    __typeof__(&write) real = REAL(write);
    if (strcmp(program_invocation_short_name, "gaitd") == 0)
        return real(fd, bytes, size); /* its log, and its loop's wake-ups */
    WRITE(real(fd, bytes, size / 2), real(fd, bytes, size))
}

int fdatasync(int fd)
{
    return fails() ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
    return fails() ? -1 : REAL(fsync)(fd);
}

int ftruncate64(int fd, off64_t size)
{
    return fails() ? -1 : REAL(ftruncate64)(fd, size);
}

int rename(const char *from, const char *to)
{
    return fails() ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path)
{
    return fails() ? -1 : REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode)
{
    return fails() ? -1 : REAL(mkdir)(path, mode);
}
