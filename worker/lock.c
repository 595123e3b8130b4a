#include "worker/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/memory.h"
#include "schema/paths.h"
#include "worker/channel.h"
#include "worker/file.h"

/* Shared by the worker and, while it waits, a thread: the last of them frees.
 * The thread cannot be called back from flock; given up, it gives the lock
 * back as soon as it gets it. */
struct lock {
    int fd;
    char path[PATH_BYTES];
    struct channel *channel;
    pthread_mutex_t mutex; /* of what follows */
    enum lock_state state;
    bool is_shared;
    bool is_given_up;
};

static void release(struct lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

/* gaitd removes folders that are of no use, with their lock while it holds it:
 * then what has been locked is not what others will find. */
static bool is_there(const struct lock *lock)
{
    struct stat ours, found;
    return fstat(lock->fd, &ours) == 0 && stat(lock->path, &found) == 0 &&
           ours.st_dev == found.st_dev && ours.st_ino == found.st_ino;
}

static bool open_file(struct lock *lock, const char *folder,
                      struct error *error)
{
    do {
        if (!file_make_folder(folder, error))
            return false;
        lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    } while (lock->fd < 0 && errno == ENOENT);
    return lock->fd >= 0 || error_set(error, ERROR_IO, "cannot lock \"%s\": %s",
                                      lock->path, strerror(errno));
}

static int wait_in_line(int fd)
{
    int code;
    while ((code = flock(fd, LOCK_EX)) != 0 && errno == EINTR)
        continue;
    return code;
}

static void *wait_for(void *user)
{
    struct lock *lock = user;
    int code = wait_in_line(lock->fd);
    pthread_mutex_lock(&lock->mutex);
    bool is_given_up = lock->is_given_up;
    lock->is_shared = false;
    lock->state = code != 0        ? LOCK_FAILED
                  : is_there(lock) ? LOCK_HELD
                                   : LOCK_GONE;
    if (!is_given_up)
        channel_wake(lock->channel);
    pthread_mutex_unlock(&lock->mutex);
    if (is_given_up)
        release(lock);
    return NULL;
}

static bool start_waiting(struct lock *lock)
{
    pthread_t thread;
    sigset_t all, kept;
    sigfillset(&all);
    lock->is_shared = true;
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    int code = pthread_create(&thread, NULL, wait_for, lock);
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    if (code == 0)
        pthread_detach(thread);
    else
        lock->is_shared = false;
    errno = code;
    return code == 0;
}

static bool ask(struct lock *lock)
{
    if (flock(lock->fd, LOCK_EX | LOCK_NB) == 0) {
        lock->state = is_there(lock) ? LOCK_HELD : LOCK_GONE;
        return true;
    }
    return errno == EWOULDBLOCK && start_waiting(lock);
}

struct lock *lock_new(const char *folder, struct channel *channel,
                      struct error *error)
{
    struct lock *lock = xcalloc(1, sizeof *lock);
    lock->fd = -1;
    lock->channel = channel;
    pthread_mutex_init(&lock->mutex, NULL);
    if (path_join(lock->path, folder, "lock", error) &&
        open_file(lock, folder, error)) {
        if (ask(lock))
            return lock;
        error_set(error, ERROR_IO, "cannot lock \"%s\": %s", lock->path,
                  strerror(errno));
    }
    release(lock);
    return NULL;
}

enum lock_state lock_state(struct lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    enum lock_state state = lock->state;
    pthread_mutex_unlock(&lock->mutex);
    return state;
}

void lock_free(struct lock *lock)
{
    if (!lock)
        return;
    pthread_mutex_lock(&lock->mutex);
    bool is_shared = lock->is_shared;
    lock->is_given_up = true;
    pthread_mutex_unlock(&lock->mutex);
    if (!is_shared)
        release(lock);
}
