/* connection.h: the inside of the server: one client's connection.
 *
 * For server.c and connection.c only; others see server.h.  A connection is
 * the server's from connection_new until it is dropped; its memory stays until
 * its handles are closed and its last request is answered.
 */
#ifndef DAEMON_CONNECTION_H
#define DAEMON_CONNECTION_H

#include <uv.h>

#include "daemon/server.h"
#include "daemon/user.h"
#include "schema/inbox.h"

enum {
    READ_BYTES = 65536,
    CONNECTION_BYTES_PAUSE = 1
                             << 20, /* unread: no further requests are taken */
};

struct connection {
    struct server *server;
    struct connection *previous, *next; /* of the server's list */
    struct connection *next_dirty;
    uv_pipe_t pipe;
    struct inbox inbox;
    struct user *user; /* NULL until known */
    struct caller caller;
    int under_way;  /* requests without an answer yet */
    bool has_large; /* a large one among them */
    bool is_held;   /* the last message's text is still read */
    bool is_dirty;  /* in the server's list of things to look at */
    bool is_closed; /* nothing goes in or out any more */
    int handles;    /* not yet closed */
    bool is_reading;
    bool is_ended; /* no more is taken: end of file, or a fault */
    /* The rest of an oversized message is read and thrown away: closed before
     * that, the peer's write would fail before it has read the answer. */
    bool is_lingering;
    size_t thrown_away;
    uv_timer_t patience; /* with a lingering or a stalled peer */
    bool is_waiting;     /* for the peer to go on; `patience` runs */
    int64_t messages, messages_then; /* taken; when `patience` began */
    int64_t said, read_then;         /* bytes; those the peer had read */
    size_t large_bytes; /* of the large message under way, once parsed */
    size_t counted;     /* in user->bytes */
    char *out;          /* what this turn of the loop has to say */
    size_t out_used, out_capacity;
};

struct server {
    uv_pipe_t pipe;
    uv_prepare_t prepare; /* before the loop sleeps: write, read on */
    int handles;          /* and names that are looked up */
    const struct log *log;
    struct rights rights;
    struct server_limits limits;
    struct server_hooks hooks;
    struct connection *connections, *dirty;
    int connection_count;
    bool is_full; /* and was said to be */
    struct user *users;
    bool is_stopping;
    char waste[READ_BYTES]; /* what lingering connections read */
};

/* Linked into the server's list, and not accepted yet. */
struct connection *connection_new(struct server *server);
void connection_drop(struct connection *connection);

/* Who it is.  Counts it among the user's. */
void connection_belongs(struct connection *connection, struct user *user,
                        bool is_operator);
/* Has it looked at before the loop sleeps. */
void connection_touch(struct connection *connection);
/* Says why and takes nothing more. */
void connection_refuse(struct connection *connection,
                       const struct error *error);
/* Writes what there is to say. */
void connection_flush(struct connection *connection);
/* Takes requests while there is room for them; reads on when all are taken.
 * A connection that has ended closes with its last answer. */
void connection_pump(struct connection *connection);

/* Frees what was dropped when nothing needs it any more. */
void connection_free_if_done(struct connection *connection);
/* A request less is under way. */
void connection_end_request(struct connection *connection);

/* connection_out.c */
/* Bytes that the peer has not read, as far as is known here. */
size_t connection_queued(const struct connection *connection);
/* Keeps the user's account of what is held for them. */
void connection_recount(struct connection *connection);
bool connection_has_too_much(const struct connection *connection);
void connection_drop_deaf(struct connection *connection, const char *what);
/* However much is queued already; `id` may be NULL. */
void connection_append_error(struct connection *connection,
                             const struct cJSON *id, const struct error *error);

/* One thing less that keeps a stopping server's memory. */
void server_let_go(struct server *server);

#endif
