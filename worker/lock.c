#include "worker/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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
    struct channel *channel;
    pthread_mutex_t mutex; /* of what follows */
    enum lock_state state;
    bool is_shared;
    bool is_given_up;
};

static void release(struct lock *lock)
{
    close(lock->fd);
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

static void *wait_for(void *user)
{
    struct lock *lock = user;
    int code;
    while ((code = flock(lock->fd, LOCK_EX)) != 0 && errno == EINTR)
        continue;
    pthread_mutex_lock(&lock->mutex);
    bool is_given_up = lock->is_given_up;
    lock->is_shared = false;
    lock->state = code == 0 ? LOCK_HELD : LOCK_FAILED;
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
        lock->state = LOCK_HELD;
        return true;
    }
    return errno == EWOULDBLOCK && start_waiting(lock);
}

struct lock *lock_new(const char *folder, struct channel *channel,
                      struct error *error)
{
    char path[PATH_BYTES];
    if (!path_join(path, folder, "lock", error) ||
        !file_make_folder(folder, error))
        return NULL;
    struct lock *lock = xcalloc(1, sizeof *lock);
    lock->channel = channel;
    pthread_mutex_init(&lock->mutex, NULL);
    lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock->fd >= 0 && ask(lock))
        return lock;
    error_set(error, ERROR_IO, "cannot lock \"%s\": %s", path, strerror(errno));
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
