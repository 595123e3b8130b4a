#include "worker/channel.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "schema/memory.h"
#include "schema/message.h"

enum { READ_BYTES = 64 << 10 };

struct channel {
    int in, out;
    int lease_ms, grace_ms;
    int leave_fd; /* an eventfd: readable when the reader is to leave */
    int end_fd;   /* an eventfd: readable from the end on */
    pthread_t reader;
    atomic_int end;
    atomic_int waiting; /* messages in the queue */
    bool is_stuck;      /* the peer left a message unread past the end */
    _Atomic int64_t beats;
    _Atomic int64_t expected_ms; /* until the next; -1: no telling */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    cJSON *queue; /* an array */
    bool is_woken;
    bool is_closing;

    pthread_mutex_t write_lock; /* never held while waiting for the peer */
};

/* Where the signal handler, which gets no argument of ours, says so.
 * A handler, not a signalfd: libraries start threads before main that do not
 * block the signals, and would be killed by them. */
static volatile sig_atomic_t signal_fd = -1;

/* Cannot fail: a counter would have to be near 2^64. */
static void tell(int fd)
{
    const uint64_t one = 1;
    if (write(fd, &one, sizeof one) != sizeof one)
        abort();
}

static void on_signal(int number)
{
    int kept = errno;
    (void)number;
    if (signal_fd >= 0)
        tell(signal_fd);
    errno = kept;
}

static int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* --- the end ---------------------------------------------------------------
 */

enum channel_end channel_end(struct channel *channel)
{
    return (enum channel_end)atomic_load_explicit(&channel->end,
                                                  memory_order_acquire);
}

/* The first reason stands. */
static void finish(struct channel *channel, enum channel_end end)
{
    int open = CHANNEL_OPEN;
    if (!atomic_compare_exchange_strong(&channel->end, &open, (int)end))
        return;
    tell(channel->end_fd);
    pthread_mutex_lock(&channel->lock);
    pthread_cond_broadcast(&channel->changed);
    pthread_mutex_unlock(&channel->lock);
}

/* --- writing ---------------------------------------------------------------
 */

/* On the worker's thread: waits until a message can be written without waiting.
 * A pipe is writable when PIPE_BUF bytes are free, and ours are shorter. */
static bool await_writable(struct channel *channel)
{
    for (;;) {
        bool is_open = channel_end(channel) == CHANNEL_OPEN;
        struct pollfd fds[2] = {{.fd = channel->out, .events = POLLOUT},
                                {.fd = channel->end_fd, .events = POLLIN}};
        int wait_ms = is_open ? -1 : channel->is_stuck ? 0 : END_WRITE_MS;
        int count = poll(fds, is_open ? 2 : 1, wait_ms);
        if (count < 0 && errno != EINTR)
            return false;
        if (count > 0 && fds[0].revents)
            return true;
        if (count == 0) {
            channel->is_stuck = true;
            return false;
        }
    }
}

static bool is_writable(const struct channel *channel, int wait_ms)
{
    struct pollfd fd = {.fd = channel->out, .events = POLLOUT};
    return poll(&fd, 1, wait_ms) > 0;
}

static bool write_all(struct channel *channel, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t count = write(channel->out, text, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN && is_writable(channel, END_WRITE_MS))
            continue;
        if (count < 0) {
            finish(channel, CHANNEL_CLOSED);
            return false;
        }
        text += count;
        length -= (size_t)count;
    }
    return true;
}

/* Writes if that can be done at once. */
static bool try_write(struct channel *channel, const char *text, size_t length,
                      bool *is_written)
{
    pthread_mutex_lock(&channel->write_lock);
    bool is_tried = is_writable(channel, 0);
    *is_written = is_tried && write_all(channel, text, length);
    pthread_mutex_unlock(&channel->write_lock);
    return is_tried;
}

bool channel_send(struct channel *channel, struct cJSON *message)
{
    size_t length;
    char *text = message_print(message, &length);
    cJSON_Delete(message);
    bool is_written = false;
    while (await_writable(channel) &&
           !try_write(channel, text, length, &is_written))
        continue;
    free(text);
    return is_written;
}

/* --- reading ---------------------------------------------------------------
 */

void channel_beat(struct channel *channel, double expected_s)
{
    bool is_known = expected_s < 1e9; /* seconds: some thirty years */
    atomic_store_explicit(&channel->expected_ms,
                          is_known ? (int64_t)(expected_s * 1000) : -1,
                          memory_order_relaxed);
    atomic_fetch_add_explicit(&channel->beats, 1, memory_order_relaxed);
}

static double expected_s(struct channel *channel)
{
    int64_t ms =
        atomic_load_explicit(&channel->expected_ms, memory_order_relaxed);
    return ms < 0 ? INFINITY : (double)ms / 1000;
}

/* On the reader's thread, which must not wait: a peer that leaves our output
 * unread gets the answer to a later ping. */
static void answer_ping(struct channel *channel)
{
    size_t length;
    bool is_written;
    cJSON *pong = cJSON_CreateObject();
    cJSON_AddStringToObject(pong, "type", "pong");
    cJSON_AddItemToObject(pong, "beats",
                          json_integer(atomic_load_explicit(
                              &channel->beats, memory_order_relaxed)));
    cJSON_AddItemToObject(pong, "expected_s", json_number(expected_s(channel)));
    char *text = message_print(pong, &length);
    cJSON_Delete(pong);
    try_write(channel, text, length, &is_written);
    free(text);
}

static void enqueue(struct channel *channel, cJSON *message)
{
    pthread_mutex_lock(&channel->lock);
    cJSON_AddItemToArray(channel->queue, message);
    atomic_fetch_add(&channel->waiting, 1);
    pthread_cond_broadcast(&channel->changed);
    pthread_mutex_unlock(&channel->lock);
}

static bool receive(struct channel *channel, const char *line, size_t length)
{
    struct error error;
    cJSON *message = message_parse(line, length, &error);
    if (!message) {
        fprintf(stderr, "gait-worker: not a message on stdin: %s\n",
                error.text);
        return false;
    }
    if (strcmp(json_text_or(message, "type", ""), "ping") == 0) {
        answer_ping(channel);
        cJSON_Delete(message);
    } else {
        enqueue(channel, message);
    }
    return true;
}

/* Reads what is there; false at the end. */
static bool read_some(struct channel *channel, struct inbox *inbox)
{
    struct error error;
    size_t room, length;
    char *to = inbox_room(inbox, READ_BYTES, &room, &error);
    if (!to) {
        fprintf(stderr, "gait-worker: %s\n", error.text);
        return false;
    }
    ssize_t count = read(channel->in, to, room);
    if (count < 0)
        return errno == EINTR || errno == EAGAIN;
    if (count == 0)
        return false;
    inbox_filled(inbox, (size_t)count);
    const char *line;
    while ((line = inbox_next(inbox, &length)))
        if (!receive(channel, line, length))
            return false;
    return true;
}

/* Waits for input or a signal; CHANNEL_OPEN while there is more to come.  What
 * has come when the lease was over already (the process was stopped) is too
 * late: gaitd may have given this worker up. */
static enum channel_end turn(struct channel *channel, struct inbox *inbox,
                             int64_t *heard_ms)
{
    int64_t left = *heard_ms + channel->lease_ms - now_ms();
    struct pollfd fds[2] = {{.fd = channel->in, .events = POLLIN},
                            {.fd = channel->leave_fd, .events = POLLIN}};
    int count = poll(fds, 2, left > 0 ? (int)left : 0);
    if (count < 0)
        return errno == EINTR ? CHANNEL_OPEN : CHANNEL_CLOSED;
    if (fds[1].revents)
        return CHANNEL_TERMINATED; /* or closed by our own side */
    if (count == 0 || now_ms() - *heard_ms > channel->lease_ms)
        return CHANNEL_UNHEARD;
    *heard_ms = now_ms();
    return read_some(channel, inbox) ? CHANNEL_OPEN : CHANNEL_CLOSED;
}

/* After the end: until the worker's thread closes the channel; one that does
 * not come to it hangs. */
static void await_close(struct channel *channel)
{
    struct timespec until;
    int code = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += channel->grace_ms / 1000;
    until.tv_nsec += channel->grace_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L)
        until.tv_sec++, until.tv_nsec -= 1000000000L;
    pthread_mutex_lock(&channel->lock);
    while (!channel->is_closing && code == 0)
        code =
            pthread_cond_timedwait(&channel->changed, &channel->lock, &until);
    bool is_closing = channel->is_closing;
    pthread_mutex_unlock(&channel->lock);
    if (is_closing)
        return;
    fprintf(stderr, "gait-worker: did not come to an end in %g s, leaving\n",
            channel->grace_ms / 1000.0);
    _exit(EXIT_FAILURE);
}

static void *run_reader(void *user)
{
    struct channel *channel = user;
    struct inbox inbox;
    int64_t heard_ms = now_ms();
    enum channel_end end;
    inbox_init(&inbox);
    while ((end = turn(channel, &inbox, &heard_ms)) == CHANNEL_OPEN)
        continue;
    finish(channel, end);
    inbox_release(&inbox);
    await_close(channel);
    return NULL;
}

static cJSON *take(struct channel *channel)
{
    cJSON *message = cJSON_DetachItemFromArray(channel->queue, 0);
    if (message)
        atomic_fetch_sub(&channel->waiting, 1);
    return message;
}

struct cJSON *channel_next(struct channel *channel)
{
    if (atomic_load_explicit(&channel->waiting, memory_order_acquire) == 0 ||
        channel_end(channel) != CHANNEL_OPEN)
        return NULL;
    pthread_mutex_lock(&channel->lock);
    cJSON *message = take(channel);
    pthread_mutex_unlock(&channel->lock);
    return message;
}

struct cJSON *channel_wait(struct channel *channel)
{
    cJSON *message = NULL;
    pthread_mutex_lock(&channel->lock);
    while (channel_end(channel) == CHANNEL_OPEN && !channel->is_woken &&
           !(message = take(channel)))
        pthread_cond_wait(&channel->changed, &channel->lock);
    channel->is_woken = false;
    pthread_mutex_unlock(&channel->lock);
    return message;
}

void channel_wake(struct channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    channel->is_woken = true;
    pthread_cond_broadcast(&channel->changed);
    pthread_mutex_unlock(&channel->lock);
}

/* --- life ------------------------------------------------------------------
 */

static bool start_reader(struct channel *channel)
{
    sigset_t all, kept;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    int code = pthread_create(&channel->reader, NULL, run_reader, channel);
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    errno = code;
    return code == 0;
}

static void release(struct channel *channel)
{
    if (channel->leave_fd >= 0)
        close(channel->leave_fd);
    if (channel->end_fd >= 0)
        close(channel->end_fd);
    cJSON_Delete(channel->queue);
    pthread_mutex_destroy(&channel->lock);
    pthread_mutex_destroy(&channel->write_lock);
    pthread_cond_destroy(&channel->changed);
    free(channel);
}

static void init_changed(pthread_cond_t *changed)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct channel *channel_open(int in, int out, int lease_ms, int grace_ms,
                             struct error *error)
{
    struct channel *channel = xcalloc(1, sizeof *channel);
    channel->in = in;
    channel->out = out;
    channel->lease_ms = lease_ms;
    channel->grace_ms = grace_ms;
    channel->queue = cJSON_CreateArray();
    pthread_mutex_init(&channel->lock, NULL);
    pthread_mutex_init(&channel->write_lock, NULL);
    init_changed(&channel->changed);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    channel->leave_fd = eventfd(0, EFD_CLOEXEC);
    channel->end_fd = eventfd(0, EFD_CLOEXEC);
    if (channel->end_fd >= 0 && channel->leave_fd >= 0 && start_reader(channel))
        return channel;
    error_set(error, ERROR_IO, "cannot start to read: %s", strerror(errno));
    release(channel);
    return NULL;
}

static void catch (int number)
{
    struct sigaction before,
        action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, NULL, &before);
    if (before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void channel_catch_signals(struct channel *channel)
{
    sigset_t caught;
    signal_fd = channel->leave_fd;
    signal(SIGTERM, SIG_DFL); /* whoever started us may have ignored it */
    catch (SIGTERM);
    catch (SIGHUP);
    sigemptyset(&caught);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &caught, NULL);
}

void channel_close(struct channel *channel)
{
    if (signal_fd == channel->leave_fd)
        signal_fd = -1; /* a signal from here on is too late to matter */
    pthread_mutex_lock(&channel->lock);
    channel->is_closing = true;
    pthread_cond_broadcast(&channel->changed);
    pthread_mutex_unlock(&channel->lock);
    tell(channel->leave_fd);
    pthread_join(channel->reader, NULL);
    release(channel);
}
