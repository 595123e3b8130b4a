/* server.h: clients' connections: bytes in, whole messages up, replies down.
 *
 * The server knows nothing of methods.  It frames messages, keeps every
 * connection within its limits, and writes; what a message means is the
 * owner's affair:
 *
 *     on_message        text of one message; for each, the owner calls
 *     connection_begin  when it will answer, and exactly once, later or at
 *     connection_answer once, even if the connection has gone meanwhile
 *     connection_push   for what nobody asked (events)
 *
 * Only root and the daemon's owner are let in.  Limits: 64 requests under way
 * and 1 MiB unread on a connection: nothing more is read from it; 8 MiB
 * unread at a push, or 64 MiB at any time: it is dropped.  After an oversized
 * message it closes, once the rest of that has been read and thrown away (64
 * MiB or 10 s of it).  All that is written within one turn of the loop leaves
 * in one write.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/store.h"
#include "schema/error.h"

struct cJSON;
struct connection;
struct log;
struct server;
struct uv_loop_s;

struct server_hooks {
    void *user;
    /* `text` is borrowed until the return. */
    void (*on_message)(void *user, struct connection *connection,
                       const char *text, size_t length);
    /* It has gone: nothing more is pushed to it. */
    void (*on_close)(void *user, struct connection *connection);
    /* After server_stop, when every handle is closed; frees the server. */
    void (*on_stopped)(void *user);
};

/* Listens on `descriptor` (bound; the server's from now on). */
struct server *server_open(struct uv_loop_s *loop, const struct log *log,
                           int descriptor, int connections_max,
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

#endif
