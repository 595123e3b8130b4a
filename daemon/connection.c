#include "daemon/connection.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/log.h"
#include "schema/memory.h"
#include "schema/message.h"

enum {
    REQUESTS_MAX = 64,       /* under way on one connection */
    SMALL_BYTES = 256 << 10, /* half sent: never too much for a user */
    LINGER_BYTES = 64 << 20, /* of an oversized message, thrown away */
    LINGER_MS = 10000,
    TREE_FACTOR = 8, /* a parsed message's bytes for each of its text's */
};

void connection_free_if_done(struct connection *connection)
{
    if (connection->handles > 0 || connection->under_way > 0)
        return;
    inbox_release(&connection->inbox);
    free(connection->out);
    free(connection);
}

static void forget_dirty(struct connection *connection)
{
    struct connection **at = &connection->server->dirty;
    while (*at && *at != connection)
        at = &(*at)->next_dirty;
    if (*at)
        *at = connection->next_dirty;
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct server *server = connection->server;
    connection->handles--;
    connection_free_if_done(connection);
    server_let_go(server);
}

struct connection *connection_new(struct server *server)
{
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->server = server;
    inbox_init(&connection->inbox);
    uv_pipe_init(server->pipe.loop, &connection->pipe, 0);
    uv_timer_init(server->pipe.loop, &connection->patience);
    connection->pipe.data = connection->patience.data = connection;
    connection->handles = 2;
    server->handles += 2;
    connection->next = server->connections;
    if (connection->next)
        connection->next->previous = connection;
    server->connections = connection;
    server->connection_count++;
    return connection;
}

/* Whom its requests wait for may have room again. */
static void touch_all_of(struct server *server, const struct user *user)
{
    for (struct connection *c = server->connections; c; c = c->next)
        if (c->user == user)
            connection_touch(c);
}

static void leave_user(struct connection *connection)
{
    struct user *user = connection->user;
    if (!user)
        return;
    bool was_full = user->under_way >= USER_REQUESTS_MAX;
    user->connection_count--;
    user->under_way -= connection->under_way;
    user->bytes -= connection->counted;
    connection->user = NULL;
    if (was_full)
        touch_all_of(connection->server, user);
}

void connection_drop(struct connection *connection)
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
    leave_user(connection);
    server->hooks.on_close(server->hooks.user, connection);
    uv_close((uv_handle_t *)&connection->pipe, on_closed);
    uv_close((uv_handle_t *)&connection->patience, on_closed);
}

void connection_belongs(struct connection *connection, struct user *user,
                        bool is_operator)
{
    connection->user = user;
    connection->caller.uid = user->uid;
    memcpy(connection->caller.name, user->name, sizeof user->name);
    connection->caller.is_operator = is_operator;
    user->connection_count++;
}

void connection_touch(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->is_dirty || connection->is_closed)
        return;
    connection->is_dirty = true;
    connection->next_dirty = server->dirty;
    server->dirty = connection;
}

static bool takes_requests(const struct connection *connection)
{
    const struct user *user = connection->user;
    return !connection->is_closed && !connection->is_held &&
           !connection->has_large && connection->under_way < REQUESTS_MAX &&
           user->is_named && user->under_way < USER_REQUESTS_MAX &&
           connection_queued(connection) <= CONNECTION_BYTES_PAUSE;
}

/* Patience. */

static int64_t read_by_peer(const struct connection *connection)
{
    return connection->said - (int64_t)connection_queued(connection);
}

static bool is_half_sent(const struct connection *connection)
{
    return connection->is_reading && inbox_pending(&connection->inbox) > 0;
}

static void on_stalled(uv_timer_t *patience);

static void begin_waiting(struct connection *connection)
{
    const struct server *server = connection->server;
    connection->is_waiting = true;
    connection->messages_then = connection->messages;
    connection->read_then = read_by_peer(connection);
    uv_timer_start(&connection->patience, on_stalled,
                   (uint64_t)(server->limits.message_timeout_s * 1000), 0);
}

/* The peer's turn lasts while it has something unread or half sent. */
static void watch_peer(struct connection *connection)
{
    bool is_due = is_half_sent(connection) || connection_queued(connection) > 0;
    if (connection->is_lingering || connection->is_waiting == is_due)
        return;
    if (is_due) {
        begin_waiting(connection);
    } else {
        connection->is_waiting = false;
        uv_timer_stop(&connection->patience);
    }
}

static void on_stalled(uv_timer_t *patience)
{
    struct connection *connection = patience->data;
    struct error error;
    bool is_sending = connection->messages > connection->messages_then;
    bool is_listening = read_by_peer(connection) > connection->read_then;
    connection->is_waiting = false;
    if (connection_queued(connection) > 0 && !is_listening) {
        connection_drop_deaf(connection, "answers or events");
    } else if (is_half_sent(connection) && !is_sending) {
        error_set(&error, ERROR_BUSY,
                  "the message that began %.15g s ago is not complete",
                  connection->server->limits.message_timeout_s);
        connection_refuse(connection, &error);
    } else {
        watch_peer(connection);
    }
}

static void on_impatience(uv_timer_t *patience)
{
    struct connection *connection = patience->data;
    connection->is_lingering = false;
    connection_pump(connection);
}

/* Coming in. */

/* Nobody knows where the next message would begin. */
static void end_with(struct connection *connection, const struct error *error)
{
    connection_append_error(connection, NULL, error);
    connection->is_ended = connection->is_lingering = true;
    connection->is_waiting = false;
    uv_timer_start(&connection->patience, on_impatience, LINGER_MS, 0);
}

/* NULL when the connection ends with the reason: the message under way is too
 * large, or the user holds too much. */
static char *make_room(struct connection *connection, size_t *available)
{
    struct error error;
    char *room = inbox_room(&connection->inbox, READ_BYTES, available, &error);
    connection_recount(connection);
    if (room && connection->inbox.capacity > SMALL_BYTES &&
        connection_has_too_much(connection)) {
        error_set(&error, ERROR_BUSY,
                  "clients of %s have over %d MiB under way already",
                  connection->caller.name, USER_BYTES_MAX >> 20);
        room = NULL;
    }
    if (!room)
        end_with(connection, &error);
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
    else if (count > 0 && !connection->is_ended)
        inbox_filled(&connection->inbox, (size_t)count);
    else if (count == UV_EOF) {
        connection->is_ended = true;
        connection->is_lingering = false;
    } else if (count < 0)
        connection_drop(connection);
    if (!connection->is_closed)
        connection_pump(connection);
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
        connection_drop(connection);
    else if (uv_fileno((uv_handle_t *)&connection->pipe, &descriptor) == 0)
        (void)shutdown(descriptor, SHUT_WR); /* a second time does nothing */
}

static const char *take_message(struct connection *connection)
{
    size_t length;
    struct server_hooks *hooks = &connection->server->hooks;
    const char *line = inbox_next(&connection->inbox, &length);
    if (!line)
        return NULL;
    connection->messages++;
    if (length > MESSAGE_BYTES_LARGE) {
        connection->has_large = true;
        connection->large_bytes = length * TREE_FACTOR;
    }
    hooks->on_message(hooks->user, connection, line, length);
    return line;
}

void connection_pump(struct connection *connection)
{
    const char *line = NULL;
    while (takes_requests(connection) && (line = take_message(connection)))
        continue;
    if (connection->is_closed)
        return;
    size_t available;
    if (!line && takes_requests(connection) && !connection->is_ended &&
        inbox_pending(&connection->inbox) >= MESSAGE_BYTES_MAX)
        make_room(connection, &available); /* the peer may send no more */
    connection_recount(connection);
    bool is_hungry = takes_requests(connection);
    set_reading(connection, connection->is_lingering ||
                                (is_hungry && !connection->is_ended));
    watch_peer(connection);
    if (connection->is_ended && is_hungry && !line &&
        connection->under_way == 0 && connection_queued(connection) == 0)
        take_leave(connection);
}

/* What the owner does with it. */

const struct caller *connection_caller(const struct connection *connection)
{
    return &connection->caller;
}

void connection_begin(struct connection *connection)
{
    connection->under_way++;
    if (connection->user)
        connection->user->under_way++;
}

void connection_end_request(struct connection *connection)
{
    struct user *user = connection->user;
    if (--connection->under_way == 0) {
        connection->has_large = false;
        connection->large_bytes = 0;
    }
    if (user && user->under_way-- == USER_REQUESTS_MAX)
        touch_all_of(connection->server, user);
}

void connection_hold(struct connection *connection)
{
    connection->is_held = true;
}

void connection_release(struct connection *connection)
{
    connection->is_held = false;
    connection_touch(connection);
}
