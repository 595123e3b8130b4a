#include "daemon/server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/connection.h"
#include "daemon/log.h"
#include "daemon/loop_errand.h"
#include "daemon/peer.h"
#include "schema/memory.h"

enum { BACKLOG = 1024 };

/* Names. */

struct naming {
    struct server *server;
    uid_t uid;
    char name[sizeof((struct user *)0)->name];
};

static void set_name(struct server *server, uid_t uid, const char *name)
{
    struct user *user = user_find(&server->users, uid);
    memcpy(user->name, name, sizeof user->name);
    user->is_named = true;
}

static void look_up(void *argument)
{
    struct naming *naming = argument;
    user_find_name(naming->uid, naming->name, sizeof naming->name);
}

/* Connections of the user have waited for this. */
static void on_name(void *argument)
{
    struct naming *naming = argument;
    struct server *server = naming->server;
    set_name(server, naming->uid, naming->name);
    for (struct connection *c = server->connections; c; c = c->next)
        if (c->caller.uid == naming->uid) {
            memcpy(c->caller.name, naming->name, sizeof c->caller.name);
            connection_touch(c);
        }
    free(naming);
    server_let_go(server);
}

static void ask_name(struct server *server, uid_t uid)
{
    struct naming *naming = xcalloc(1, sizeof *naming);
    naming->server = server;
    naming->uid = uid;
    server->handles++;
    loop_errand(server->pipe.loop, look_up, on_name, naming);
}

/* Those who come most are known before they do. */
static void know(struct server *server, uid_t uid)
{
    struct naming naming = {.uid = uid};
    look_up(&naming);
    set_name(server, uid, naming.name);
}

/* Connections. */

/* False when the peer is nobody who may come in. */
static bool admit(struct connection *connection)
{
    struct server *server = connection->server;
    struct peer peer;
    int descriptor;
    if (uv_fileno((uv_handle_t *)&connection->pipe, &descriptor) != 0 ||
        !peer_init(&peer, descriptor))
        return false;
    enum right right = rights_of(&server->rights, &peer);
    if (right == RIGHT_NONE) {
        log_write(server->log, LOG_warning,
                  "turned away a client of user %ld (pid %ld)", (long)peer.uid,
                  (long)peer.pid);
    } else {
        struct user *user = user_find(&server->users, peer.uid);
        connection_belongs(connection, user, right == RIGHT_OPERATOR);
        if (!user->is_named && user->connection_count == 1)
            ask_name(server, peer.uid);
    }
    peer_release(&peer);
    return right != RIGHT_NONE;
}

/* Says it once each time that clients begin to be too many. */
static void note_full(struct server *server, bool is_full)
{
    if (is_full && !server->is_full)
        log_write(server->log, LOG_warning,
                  "%d clients are connected: others are refused",
                  server->limits.connections);
    server->is_full = is_full;
}

/* At once: many may come in one turn of the loop, and each has a descriptor. */
static void refuse(struct connection *connection, const struct error *error)
{
    connection_refuse(connection, error);
    connection_flush(connection);
    connection_drop(connection);
}

static void check_limits(struct connection *connection)
{
    const struct server *server = connection->server;
    const struct server_limits *limits = &server->limits;
    struct error error;
    if (server->is_full) {
        error_set(&error, ERROR_BUSY, "%d clients are connected already",
                  limits->connections);
        refuse(connection, &error);
    } else if (connection->user->connection_count >
               limits->connections_per_user) {
        error_set(&error, ERROR_BUSY,
                  "%d of your clients are connected already",
                  limits->connections_per_user);
        refuse(connection, &error);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    if (status < 0) {
        log_write(server->log, LOG_warning, "cannot accept a client: %s",
                  uv_strerror(status));
        return;
    }
    struct connection *connection = connection_new(server);
    if (uv_accept(listener, (uv_stream_t *)&connection->pipe) != 0 ||
        !admit(connection)) {
        connection_drop(connection);
        return;
    }
    note_full(server, server->connection_count > server->limits.connections);
    check_limits(connection);
    connection_touch(connection);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct server *server = prepare->data;
    while (server->dirty) {
        struct connection *connection = server->dirty;
        server->dirty = connection->next_dirty;
        connection->is_dirty = false;
        connection_flush(connection);
        if (!connection->is_closed)
            connection_pump(connection);
    }
}

/* The server. */

void server_let_go(struct server *server)
{
    if (--server->handles > 0)
        return;
    struct server_hooks hooks = server->hooks;
    users_free(&server->users);
    free(server);
    hooks.on_stopped(hooks.user);
}

static void on_closed(uv_handle_t *handle)
{
    server_let_go(handle->data);
}

static void open_handles(struct server *server, struct uv_loop_s *loop)
{
    server->handles = 2;
    server->pipe.data = server->prepare.data = server;
    uv_pipe_init(loop, &server->pipe, 0);
    uv_prepare_init(loop, &server->prepare);
    uv_prepare_start(&server->prepare, on_prepare);
    uv_unref((uv_handle_t *)&server->prepare);
}

struct server *server_open(struct uv_loop_s *loop, const struct log *log,
                           int descriptor, const struct rights *rights,
                           const struct server_limits *limits,
                           const struct server_hooks *hooks,
                           struct error *error)
{
    struct server *server = xcalloc(1, sizeof *server);
    server->log = log;
    server->rights = *rights;
    server->limits = *limits;
    server->hooks = *hooks;
    know(server, rights->owner);
    know(server, 0);
    open_handles(server, loop);
    int result = uv_pipe_open(&server->pipe, descriptor);
    if (result < 0)
        close(descriptor);
    else
        result =
            uv_listen((uv_stream_t *)&server->pipe, BACKLOG, on_connection);
    if (result == 0)
        return server;
    error_set(error, ERROR_IO, "cannot listen: %s", uv_strerror(result));
    server_stop(server);
    return NULL;
}

void server_stop(struct server *server)
{
    if (server->is_stopping)
        return;
    server->is_stopping = true;
    while (server->connections) {
        struct connection *connection = server->connections;
        connection_flush(connection);
        connection_drop(connection);
    }
    uv_close((uv_handle_t *)&server->pipe, on_closed);
    uv_close((uv_handle_t *)&server->prepare, on_closed);
}
