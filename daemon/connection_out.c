/* connection_out.c: what is said to a client: gathered within one turn of the
 * loop, written at its end, and never more than the client may leave unread.
 */
#include "daemon/connection.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "schema/memory.h"
#include "schema/message.h"

enum {
    QUEUE_BYTES_MAX = 8 << 20
}; /* unread when more is to be said: dropped */

struct write {
    uv_write_t request;
    char *text;
};

size_t connection_queued(const struct connection *connection)
{
    return connection->out_used + uv_stream_get_write_queue_size(
                                      (const uv_stream_t *)&connection->pipe);
}

/* Keeps the user's account of what is held for them. */
void connection_recount(struct connection *connection)
{
    size_t bytes = connection->inbox.capacity + connection->large_bytes +
                   connection_queued(connection);
    if (connection->user)
        connection->user->bytes += bytes - connection->counted;
    connection->counted = bytes;
}

bool connection_has_too_much(const struct connection *connection)
{
    return connection->user && connection->user->bytes > USER_BYTES_MAX;
}

/* Whether the peer leaves unread more than it may. */
static bool is_deaf(const struct connection *connection)
{
    size_t most = connection_has_too_much(connection) ? CONNECTION_BYTES_PAUSE
                                                      : QUEUE_BYTES_MAX;
    return connection_queued(connection) > most;
}

void connection_drop_deaf(struct connection *connection, const char *what)
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
    connection_recount(connection);
    connection_touch(connection);
}

/* However much there is already: an error is short, and mostly the last word.
 */
void connection_append_error(struct connection *connection,
                             const struct cJSON *id, const struct error *error)
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
    connection_append_error(
        connection, cJSON_GetObjectItemCaseSensitive(message, "id"), &error);
}

void connection_refuse(struct connection *connection, const struct error *error)
{
    connection_append_error(connection, NULL, error);
    connection->is_ended = true;
    connection_touch(connection);
}

static void on_written(uv_write_t *request, int status)
{
    struct write *written = (struct write *)request;
    struct connection *connection = request->handle->data;
    free(written->text);
    free(written);
    connection_recount(connection);
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

void connection_answer(struct connection *connection, struct cJSON *message)
{
    connection_end_request(connection);
    if (connection->is_closed) {
        cJSON_Delete(message);
        connection_free_if_done(connection);
        return;
    }
    if (is_deaf(connection))
        connection_drop_deaf(connection, "answers");
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
        connection_drop_deaf(connection, "events");
    else
        append(connection, memcpy(xmalloc(length), text, length), length);
}
