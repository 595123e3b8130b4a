/* channel.h: the worker's two pipes, and all that can end its service.
 *
 * A thread of its own reads: it answers pings, collects the other messages,
 * and notices the end: end of file, a broken message, SIGTERM, or nothing
 * heard for the lease.  The worker's thread takes messages when it suits it;
 * after the end it gets no more and should save, say so, and leave.
 *
 * Messages are written whole, one at a time.  A peer that does not read holds
 * the writer up, but never past the end: then a message has END_WRITE_MS.
 * When the peer is gone (EPIPE) that is an end too.
 *
 * The answer to a ping carries the heart beat of the worker's thread
 * (channel_beat), so that one that hangs is seen though the reader answers.
 * A thread that has not come to channel_close within the grace after the end
 * hangs too: then the process is ended here, so that none is left behind when
 * there is no gaitd to kill it.
 */
#ifndef WORKER_CHANNEL_H
#define WORKER_CHANNEL_H

#include "schema/error.h"

struct cJSON;

enum channel_end {
    CHANNEL_OPEN,
    CHANNEL_CLOSED,     /* end of file, EPIPE, or not a message */
    CHANNEL_TERMINATED, /* SIGTERM or SIGHUP */
    CHANNEL_UNHEARD,    /* nothing heard for the lease */
};

enum {
    CHANNEL_LEASE_MS = 30000,
    CHANNEL_GRACE_MS = 30000,
    END_WRITE_MS = 1000
};

struct channel;

/* `in` and `out` are borrowed.  SIGPIPE and SIGINT (which a terminal sends to
 * the daemon too) are ignored from then on. */
struct channel *channel_open(int in, int out, int lease_ms, int grace_ms,
                             struct error *error);
void channel_close(struct channel *channel);

/* SIGTERM and SIGHUP (unless ignored) end this channel; one in a process. */
void channel_catch_signals(struct channel *channel);

/* Takes the message.  False when it could not be delivered. */
bool channel_send(struct channel *channel, struct cJSON *message);

/* The next message, the caller's: NULL when none has come, or at the end.
 * Costs one load while there is none. */
struct cJSON *channel_next(struct channel *channel);

/* Waits for the next message.  NULL: the end, or channel_wake. */
struct cJSON *channel_wait(struct channel *channel);

/* From any thread: the worker's thread, in channel_wait now or later, gets a
 * NULL. */
void channel_wake(struct channel *channel);

enum channel_end channel_end(struct channel *channel);

/* On the worker's thread: it lives, and will be here again in about so many
 * seconds; INFINITY: no telling, it waits for a disk or another worker.  Costs
 * two stores. */
void channel_beat(struct channel *channel, double expected_s);

#endif
