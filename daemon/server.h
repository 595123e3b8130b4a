/* server.h: clients' connections: bytes in, whole messages up, replies down.
 *
 * The server knows nothing of methods.  It frames messages, keeps every
 * connection and every user within their limits, and writes; what a message
 * means is the owner's affair:
 *
 *     on_message        text of one message; for each, the owner calls
 *     connection_begin  when it will answer, and exactly once, later or at
 *     connection_answer once, even if the connection has gone meanwhile
 *     connection_hold   while it still reads the text (another thread parses)
 *     connection_push   for what nobody asked (events)
 *
 * Only those are let in whom rights.h knows.  Limits:
 *
 *   - a connection: 64 requests under way and 1 MiB unread, else nothing more
 *     is read from it, nor while a message of more than 64 KiB is under way
 *     (a parsed one takes several times its length); 8 MiB unread when more
 *     is to be said: it is dropped;
 *   - a user (user.h): connections, requests and bytes of all connections;
 *   - time: a client that neither goes on with the message that it began, nor
 *     reads what is there for it, is dropped after message_timeout_s, at the
 *     latest after twice that.  Silent clients are welcome: they watch.
 *
 * After an oversized message a connection closes, once the rest of that has
 * been read and thrown away (64 MiB or 10 s of it).  All that is written within
 * one turn of the loop leaves in one write.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/rights.h"
#include "daemon/store.h"
#include "schema/error.h"

struct cJSON;
struct connection;
struct log;
struct server;
struct uv_loop_s;

enum { MESSAGE_BYTES_LARGE = 64 << 10 };

struct server_hooks {
    void *user;
    /* `text` is borrowed until the return, or connection_release. */
    void (*on_message)(void *user, struct connection *connection,
                       const char *text, size_t length);
    /* It has gone: nothing more is pushed to it. */
    void (*on_close)(void *user, struct connection *connection);
    /* After server_stop, when every handle is closed; frees the server. */
    void (*on_stopped)(void *user);
};

struct server_limits {
    int connections, connections_per_user;
    double message_timeout_s;
};

/* Listens on `descriptor` (bound; the server's from now on). */
struct server *server_open(struct uv_loop_s *loop, const struct log *log,
                           int descriptor, const struct rights *rights,
                           const struct server_limits *limits,
                           const struct server_hooks *hooks,
                           struct error *error);
/* Writes what is queued as far as the clients take it at once, closes. */
void server_stop(struct server *server);

const struct caller *connection_caller(const struct connection *connection);

void connection_begin(struct connection *connection);
/* `message` is taken.  Over 8 MiB it is replaced by an error. */
void connection_answer(struct connection *connection, struct cJSON *message);
void connection_push(struct connection *connection, const char *text,
                     size_t length);

/* Between these no message is taken from the connection and the last one's
 * text stays; released before it is answered. */
void connection_hold(struct connection *connection);
void connection_release(struct connection *connection);

#endif
