#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/memory.h"

/* Fills in pid, host and boot id, one a line. */
static bool sign(int descriptor)
{
    char host[256] = "", boot[64] = "", text[400];
    gethostname(host, sizeof host - 1);
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file) {
        if (!fgets(boot, sizeof boot, file))
            boot[0] = '\0';
        fclose(file);
    }
    boot[strcspn(boot, "\n")] = '\0';
    int length = snprintf(text, sizeof text, "%ld\n%s\n%s\n", (long)getpid(),
                          host, boot);
    if (ftruncate(descriptor, 0) != 0)
        return false;
    /* On a full disk it is a lock all the same, of which no pid can be told. */
    return pwrite(descriptor, text, (size_t)length, 0) == length ||
           errno == ENOSPC;
}

static bool refuse(int descriptor, const char *what, struct error *error)
{
    char text[400];
    ssize_t length = pread(descriptor, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    long pid = strtol(text, NULL, 10);
    if (pid <= 0) /* it has the lock, and has not signed yet */
        return error_set(error, ERROR_CONFLICT,
                         "%s is in use by a running gaitd", what);
    return error_set(error, ERROR_CONFLICT,
                     "%s is in use by a running gaitd (pid %ld)", what, pid);
}

/* Whether `path` still names the file that was opened. */
static bool is_current(int descriptor, const char *path)
{
    struct stat opened, named;
    return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static bool fail(struct lock *lock, const char *verb, struct error *error)
{
    error_set(error, ERROR_IO, "cannot %s lock file \"%s\": %s", verb,
              lock->path, strerror(errno));
    if (lock->descriptor >= 0)
        close(lock->descriptor);
    lock->descriptor = -1;
    return false;
}

/* In a folder like /tmp, a file that is somebody else's may be opened, but not
 * with O_CREAT. */
static int open_for_all(const char *path)
{
    enum { FLAGS = O_RDWR | O_CLOEXEC | O_NOFOLLOW, ALL = 0666 };
    int descriptor = open(path, FLAGS);
    if (descriptor >= 0 || errno != ENOENT)
        return descriptor;
    descriptor = open(path, FLAGS | O_CREAT | O_EXCL, ALL);
    if (descriptor < 0)
        return errno == EEXIST ? open(path, FLAGS) : -1;
    if (fchmod(descriptor, ALL) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

bool lock_take(struct lock *lock, const char *path, const char *what,
               struct error *error)
{
    lock->descriptor = -1;
    if ((size_t)snprintf(lock->path, sizeof lock->path, "%s", path) >=
        sizeof lock->path)
        return error_set(error, ERROR_IO, "path \"%.100s...\" is too long",
                         path);
    for (;;) {
        lock->descriptor =
            lock->is_for_all
                ? open_for_all(path)
                : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock->descriptor < 0)
            return fail(lock, "open", error);
        if (flock(lock->descriptor, LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK)
                return fail(lock, "lock", error);
            refuse(lock->descriptor, what, error);
            close(lock->descriptor);
            lock->descriptor = -1;
            return false;
        }
        if (is_current(lock->descriptor, path))
            break;
        close(lock->descriptor); /* released between our open and flock */
    }
    return sign(lock->descriptor) || fail(lock, "write", error);
}

void lock_release(struct lock *lock)
{
    if (lock->descriptor < 0)
        return;
    unlink(lock->path);
    close(lock->descriptor);
    lock->descriptor = -1;
}
