#include "daemon/server.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/log.h"
#include "daemon/peer.h"
#include "schema/memory.h"
#include "schema/message.h"

enum {
    BACKLOG = 1024,
    READ_BYTES = 65536,
    REQUESTS_MAX = 64,           /* under way on one connection */
    QUEUE_BYTES_PAUSE = 1 << 20, /* unread: no further requests are taken */
    QUEUE_BYTES_PUSH = 8 << 20,  /* unread at a push: dropped */
    QUEUE_BYTES_MAX = 64 << 20,  /* unread: dropped */
    LINGER_BYTES = 64 << 20,     /* of an oversized message, thrown away */
    LINGER_MS = 10000,
};

struct connection {
    struct server *server;
    struct connection *previous, *next; /* of the server's list */
    struct connection *next_dirty;
    uv_pipe_t pipe;
    struct inbox inbox;
    struct caller caller;
    int under_way;  /* requests without an answer yet */
    bool is_dirty;  /* in the server's list of things to look at */
    bool is_closed; /* nothing goes in or out any more */
    int handles;    /* not yet closed */
    bool is_reading;
    bool is_ended; /* no more is taken: end of file, or a fault */
    /* The rest of an oversized message is read and thrown away: closed before
     * that, the peer's write would fail before it has read the answer. */
    bool is_lingering;
    size_t thrown_away;
    uv_timer_t patience;
    char *out; /* what this turn of the loop has to say */
    size_t out_used, out_capacity;
};

struct server {
    uv_pipe_t pipe;
    uv_prepare_t prepare; /* before the loop sleeps: write, read on */
    int handles;
    const struct log *log;
    struct server_hooks hooks;
    struct connection *connections, *dirty;
    int connection_count, connections_max;
    struct caller owner, root;
    bool is_stopping;
    char waste[READ_BYTES]; /* what lingering connections read */
};

struct write {
    uv_write_t request;
    char *text;
};

static void pump(struct connection *connection);

static void free_if_done(struct connection *connection)
{
    if (connection->handles > 0 || connection->under_way > 0)
        return;
    inbox_release(&connection->inbox);
    free(connection->out);
    free(connection);
}

static void free_server(struct server *server)
{
    struct server_hooks hooks = server->hooks;
    free(server);
    hooks.on_stopped(hooks.user);
}

static void forget_dirty(struct connection *connection)
{
    struct connection **at = &connection->server->dirty;
    while (*at && *at != connection)
        at = &(*at)->next_dirty;
    if (*at)
        *at = connection->next_dirty;
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct server *server = connection->server;
    connection->handles--;
    free_if_done(connection);
    if (--server->handles == 0)
        free_server(server);
}

static void drop(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->is_closed)
        return;
    connection->is_closed = true;
    if (connection->is_dirty)
        forget_dirty(connection);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    server->connection_count--;
    server->hooks.on_close(server->hooks.user, connection);
    uv_close((uv_handle_t *)&connection->pipe, on_connection_closed);
    uv_close((uv_handle_t *)&connection->patience, on_connection_closed);
}

static void touch(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->is_dirty || connection->is_closed)
        return;
    connection->is_dirty = true;
    connection->next_dirty = server->dirty;
    server->dirty = connection;
}

static size_t queued(const struct connection *connection)
{
    return connection->out_used + uv_stream_get_write_queue_size(
                                      (const uv_stream_t *)&connection->pipe);
}

static void append(struct connection *connection, const char *text,
                   size_t length)
{
    if (connection->is_closed)
        return;
    if (queued(connection) > QUEUE_BYTES_MAX) {
        log_write(connection->server->log, LOG_warning,
                  "dropped a client of %s that does not read its answers",
                  connection->caller.name);
        drop(connection);
        return;
    }
    size_t wanted = connection->out_used + length;
    if (wanted > connection->out_capacity) {
        connection->out_capacity = wanted * 2;
        connection->out = xrealloc(connection->out, connection->out_capacity);
    }
    memcpy(connection->out + connection->out_used, text, length);
    connection->out_used = wanted;
    touch(connection);
}

static void append_error(struct connection *connection, const struct cJSON *id,
                         const struct error *error)
{
    size_t length;
    struct cJSON *message = rpc_error(id, error, NULL);
    char *text = message_print(message, &length);
    cJSON_Delete(message);
    append(connection, text, length);
    free(text);
}

static void on_written(uv_write_t *request, int status)
{
    struct write *written = (struct write *)request;
    struct connection *connection = request->handle->data;
    free(written->text);
    free(written);
    if (status < 0)
        drop(connection);
    else
        touch(connection);
}

/* Hands everything said in this turn to the kernel, or queues it. */
static void flush(struct connection *connection)
{
    if (connection->out_used == 0)
        return;
    struct write *written = xmalloc(sizeof *written);
    written->text = connection->out;
    uv_buf_t buffer =
        uv_buf_init(connection->out, (unsigned)connection->out_used);
    connection->out = NULL;
    connection->out_used = connection->out_capacity = 0;
    int result = uv_write(&written->request, (uv_stream_t *)&connection->pipe,
                          &buffer, 1, on_written);
    if (result == 0)
        return;
    free(written->text);
    free(written);
    drop(connection);
}

static bool takes_requests(const struct connection *connection)
{
    return !connection->is_closed && connection->under_way < REQUESTS_MAX &&
           queued(connection) <= QUEUE_BYTES_PAUSE;
}

static void on_impatience(uv_timer_t *patience)
{
    struct connection *connection = patience->data;
    connection->is_lingering = false;
    pump(connection);
}

/* NULL when the message under way is too large: nobody knows where the next
 * one would begin, so the connection ends with the reason. */
static char *make_room(struct connection *connection, size_t *available)
{
    struct error error;
    char *room = inbox_room(&connection->inbox, READ_BYTES, available, &error);
    if (!room) {
        append_error(connection, NULL, &error);
        connection->is_ended = connection->is_lingering = true;
        uv_timer_start(&connection->patience, on_impatience, LINGER_MS, 0);
    }
    return room;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct connection *connection = handle->data;
    size_t available = 0;
    char *room = NULL;
    if (!connection->is_ended)
        room = make_room(connection, &available);
    if (!room) {
        room = connection->server->waste;
        available = READ_BYTES;
    }
    *buffer = uv_buf_init(room, (unsigned)available);
}

/* Up to its newline, within reason. */
static void throw_away(struct connection *connection, const char *bytes,
                       size_t count)
{
    connection->thrown_away += count;
    if (memchr(bytes, '\n', count) || connection->thrown_away > LINGER_BYTES)
        connection->is_lingering = false;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    if (count > 0 && connection->is_lingering)
        throw_away(connection, buffer->base, (size_t)count);
    else if (count > 0)
        inbox_filled(&connection->inbox, (size_t)count);
    else if (count == UV_EOF) {
        connection->is_ended = true;
        connection->is_lingering = false;
    } else if (count < 0)
        drop(connection);
    if (!connection->is_closed)
        pump(connection);
}

static void set_reading(struct connection *connection, bool is_wanted)
{
    if (is_wanted == connection->is_reading)
        return;
    connection->is_reading = is_wanted;
    uv_stream_t *stream = (uv_stream_t *)&connection->pipe;
    if (is_wanted)
        uv_read_start(stream, on_room, on_read);
    else
        uv_read_stop(stream);
}

/* A connection that has ended and answered all: it closes, or first says so
 * and goes on to throw away. */
static void take_leave(struct connection *connection)
{
    int descriptor;
    if (!connection->is_lingering)
        drop(connection);
    else if (uv_fileno((uv_handle_t *)&connection->pipe, &descriptor) == 0)
        (void)shutdown(descriptor, SHUT_WR); /* a second time does nothing */
}

/* Takes requests while there is room for them; reads on when all are taken.
 * A connection that has ended closes with its last answer. */
static void pump(struct connection *connection)
{
    struct server_hooks *hooks = &connection->server->hooks;
    const char *line = NULL;
    size_t length;
    while (takes_requests(connection) &&
           (line = inbox_next(&connection->inbox, &length)))
        hooks->on_message(hooks->user, connection, line, length);
    if (connection->is_closed)
        return;
    size_t available;
    if (!line && !connection->is_ended)
        make_room(connection, &available); /* the peer may send no more */
    bool is_hungry = takes_requests(connection);
    set_reading(connection, connection->is_lingering ||
                                (is_hungry && !connection->is_ended));
    if (connection->is_ended && is_hungry && !line &&
        connection->under_way == 0 && queued(connection) == 0)
        take_leave(connection);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct server *server = prepare->data;
    while (server->dirty) {
        struct connection *connection = server->dirty;
        server->dirty = connection->next_dirty;
        connection->is_dirty = false;
        flush(connection);
        if (!connection->is_closed)
            pump(connection);
    }
}

/* NULL when the peer is nobody who may come in. */
static const struct caller *peer_of(const struct server *server,
                                    const uv_pipe_t *pipe)
{
    uid_t uid;
    pid_t pid;
    int descriptor;
    if (uv_fileno((const uv_handle_t *)pipe, &descriptor) != 0 ||
        !peer_find(descriptor, &uid, &pid))
        return NULL;
    if (uid == server->owner.uid)
        return &server->owner;
    if (uid == 0)
        return &server->root;
    log_write(server->log, LOG_warning,
              "turned away a client of user %ld (pid %ld)", (long)uid,
              (long)pid);
    return NULL;
}

static void link_in(struct server *server, struct connection *connection)
{
    connection->next = server->connections;
    if (connection->next)
        connection->next->previous = connection;
    server->connections = connection;
    server->connection_count++;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    if (status < 0) {
        log_write(server->log, LOG_warning, "cannot accept a client: %s",
                  uv_strerror(status));
        return;
    }
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->server = server;
    inbox_init(&connection->inbox);
    uv_pipe_init(listener->loop, &connection->pipe, 0);
    uv_timer_init(listener->loop, &connection->patience);
    connection->pipe.data = connection->patience.data = connection;
    connection->handles = 2;
    server->handles += 2;
    link_in(server, connection);
    if (uv_accept(listener, (uv_stream_t *)&connection->pipe) != 0) {
        drop(connection);
        return;
    }
    const struct caller *caller = peer_of(server, &connection->pipe);
    if (!caller) {
        drop(connection);
        return;
    }
    connection->caller = *caller;
    if (server->connection_count > server->connections_max) {
        struct error error;
        error_set(&error, ERROR_BUSY, "%d clients are connected already",
                  server->connections_max);
        append_error(connection, NULL, &error);
        connection->is_ended = true;
    }
    touch(connection);
}

static void on_server_handle_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;
    if (--server->handles == 0)
        free_server(server);
}

struct server *server_open(struct uv_loop_s *loop, const struct log *log,
                           int descriptor, int connections_max,
                           const struct server_hooks *hooks,
                           struct error *error)
{
    struct server *server = xcalloc(1, sizeof *server);
    server->log = log;
    server->hooks = *hooks;
    server->connections_max = connections_max;
    peer_name(&server->owner, geteuid());
    peer_name(&server->root, 0);
    server->handles = 2;
    server->pipe.data = server->prepare.data = server;
    uv_pipe_init(loop, &server->pipe, 0);
    uv_prepare_init(loop, &server->prepare);
    uv_prepare_start(&server->prepare, on_prepare);
    uv_unref((uv_handle_t *)&server->prepare);
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
        flush(connection);
        drop(connection);
    }
    uv_close((uv_handle_t *)&server->pipe, on_server_handle_closed);
    uv_close((uv_handle_t *)&server->prepare, on_server_handle_closed);
}

const struct caller *connection_caller(const struct connection *connection)
{
    return &connection->caller;
}

void connection_begin(struct connection *connection)
{
    connection->under_way++;
}

void connection_answer(struct connection *connection, struct cJSON *message)
{
    size_t length;
    connection->under_way--;
    if (connection->is_closed) {
        cJSON_Delete(message);
        free_if_done(connection);
        return;
    }
    char *text = message_print(message, &length);
    if (length > MESSAGE_BYTES_MAX) {
        struct error error;
        error_set(&error, ERROR_TOO_LARGE,
                  "the answer is larger than %d MiB, ask for fewer rows at a "
                  "time (limit)",
                  MESSAGE_BYTES_MAX >> 20);
        append_error(connection,
                     cJSON_GetObjectItemCaseSensitive(message, "id"), &error);
    } else {
        append(connection, text, length);
    }
    free(text);
    cJSON_Delete(message);
    touch(connection);
}

void connection_push(struct connection *connection, const char *text,
                     size_t length)
{
    if (connection->is_closed)
        return;
    if (queued(connection) <= QUEUE_BYTES_PUSH) {
        append(connection, text, length);
        return;
    }
    log_write(connection->server->log, LOG_warning,
              "dropped a client of %s that does not read its events",
              connection->caller.name);
    drop(connection);
}
