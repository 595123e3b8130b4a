#include "daemon/connection.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/log.h"
#include "schema/memory.h"
#include "schema/message.h"

enum {
    REQUESTS_MAX = 64,           /* under way on one connection */
    QUEUE_BYTES_PAUSE = 1 << 20, /* unread: no further requests are taken */
    QUEUE_BYTES_MAX = 8 << 20,   /* unread when more is to be said: dropped */
    LINGER_BYTES = 64 << 20,     /* of an oversized message, thrown away */
    LINGER_MS = 10000,
    TREE_FACTOR = 8, /* a parsed message's bytes for each of its text's */
};

struct write {
    uv_write_t request;
    char *text;
};

static void free_if_done(struct connection *connection)
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
    free_if_done(connection);
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

static size_t queued(const struct connection *connection)
{
    return connection->out_used + uv_stream_get_write_queue_size(
                                      (const uv_stream_t *)&connection->pipe);
}

/* Keeps the user's account of what is held for them. */
static void recount(struct connection *connection)
{
    size_t bytes = connection->inbox.capacity + connection->large_bytes +
                   queued(connection);
    if (connection->user)
        connection->user->bytes += bytes - connection->counted;
    connection->counted = bytes;
}

static bool has_too_much(const struct connection *connection)
{
    return connection->user && connection->user->bytes > USER_BYTES_MAX;
}

/* Whether the peer leaves unread more than it may. */
static bool is_deaf(const struct connection *connection)
{
    size_t most =
        has_too_much(connection) ? QUEUE_BYTES_PAUSE : QUEUE_BYTES_MAX;
    return queued(connection) > most;
}

static void drop_deaf(struct connection *connection, const char *what)
{
    log_write(connection->server->log, LOG_warning,
              "dropped a client of %s that does not read its %s",
              connection->caller.name, what);
    connection_drop(connection);
}

/* Takes `text`, which is the caller's otherwise. */
static void append(struct connection *connection, char *text, size_t length)
{
    size_t wanted = connection->out_used + length;
    connection->said += (int64_t)length;
    if (!connection->out) {
        connection->out = text;
        connection->out_capacity = wanted;
    } else {
        if (wanted > connection->out_capacity) {
            connection->out_capacity = wanted * 2;
            connection->out =
                xrealloc(connection->out, connection->out_capacity);
        }
        memcpy(connection->out + connection->out_used, text, length);
        free(text);
    }
    connection->out_used = wanted;
    recount(connection);
    connection_touch(connection);
}

/* However much there is already: an error is short, and mostly the last word.
 */
static void append_error(struct connection *connection, const struct cJSON *id,
                         const struct error *error)
{
    size_t length;
    struct cJSON *message = rpc_error(id, error, NULL);
    char *text = message_print(message, &length);
    cJSON_Delete(message);
    append(connection, text, length);
}

static void append_answer(struct connection *connection,
                          const struct cJSON *message)
{
    size_t length;
    struct error error;
    char *text = message_print(message, &length);
    if (length <= MESSAGE_BYTES_MAX) {
        append(connection, text, length);
        return;
    }
    free(text);
    error_set(&error, ERROR_TOO_LARGE,
              "the answer is larger than %d MiB, ask for fewer rows at a "
              "time (limit)",
              MESSAGE_BYTES_MAX >> 20);
    append_error(connection, cJSON_GetObjectItemCaseSensitive(message, "id"),
                 &error);
}

void connection_refuse(struct connection *connection, const struct error *error)
{
    append_error(connection, NULL, error);
    connection->is_ended = true;
    connection_touch(connection);
}

static void on_written(uv_write_t *request, int status)
{
    struct write *written = (struct write *)request;
    struct connection *connection = request->handle->data;
    free(written->text);
    free(written);
    recount(connection);
    if (status < 0)
        connection_drop(connection);
    else
        connection_touch(connection);
}

/* Hands everything said in this turn to the kernel, or queues it. */
void connection_flush(struct connection *connection)
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
    connection_drop(connection);
}

static bool takes_requests(const struct connection *connection)
{
    const struct user *user = connection->user;
    return !connection->is_closed && !connection->is_held &&
           !connection->has_large && connection->under_way < REQUESTS_MAX &&
           user->is_named && user->under_way < USER_REQUESTS_MAX &&
           queued(connection) <= QUEUE_BYTES_PAUSE;
}

/* Patience. */

static int64_t read_by_peer(const struct connection *connection)
{
    return connection->said - (int64_t)queued(connection);
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
    bool is_due = is_half_sent(connection) || queued(connection) > 0;
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
    if (queued(connection) > 0 && !is_listening) {
        drop_deaf(connection, "answers or events");
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
    append_error(connection, NULL, error);
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
    recount(connection);
    if (room && has_too_much(connection)) {
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
    recount(connection);
    bool is_hungry = takes_requests(connection);
    set_reading(connection, connection->is_lingering ||
                                (is_hungry && !connection->is_ended));
    watch_peer(connection);
    if (connection->is_ended && is_hungry && !line &&
        connection->under_way == 0 && queued(connection) == 0)
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

static void end_request(struct connection *connection)
{
    struct user *user = connection->user;
    if (--connection->under_way == 0) {
        connection->has_large = false;
        connection->large_bytes = 0;
    }
    if (user && user->under_way-- == USER_REQUESTS_MAX)
        touch_all_of(connection->server, user);
}

void connection_answer(struct connection *connection, struct cJSON *message)
{
    end_request(connection);
    if (connection->is_closed) {
        cJSON_Delete(message);
        free_if_done(connection);
        return;
    }
    if (is_deaf(connection))
        drop_deaf(connection, "answers");
    else
        append_answer(connection, message);
    cJSON_Delete(message);
    connection_touch(connection);
}

void connection_push(struct connection *connection, const char *text,
                     size_t length)
{
    if (connection->is_closed)
        return;
    if (is_deaf(connection))
        drop_deaf(connection, "events");
    else
        append(connection, memcpy(xmalloc(length), text, length), length);
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
