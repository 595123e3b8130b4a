#include "client/connection.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "schema/memory.h"
#include "schema/paths.h"

enum { READ_BYTES = 64 << 10 };

/* A daemon that is stuck accepts nobody, and connecting waits once its queue
 * is full: the one place where poll is of no use. */
static void limit_connecting(int fd, const struct deadline *deadline)
{
    int left = deadline_patience(deadline, -1);
    if (left < 0)
        return;
    left += left == 0; /* 0 would be for ever */
    struct timeval time = {.tv_sec = left / 1000,
                           .tv_usec = left % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

static int connect_to(const char *path, const struct deadline *deadline)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    limit_connecting(fd, deadline);
    while (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (errno == EINTR)
            continue;
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

static bool refuse_late(const struct connection *connection,
                        struct error *error)
{
    return error_set(error, ERROR_TIMEOUT, "gaitd has not answered after %g s",
                     connection->deadline.timeout_s);
}

bool connection_open(struct connection *connection, struct error *error)
{
    struct deadline never = deadline_after(INFINITY);
    return connection_open_until(connection, &never, error);
}

bool connection_open_until(struct connection *connection,
                           const struct deadline *deadline, struct error *error)
{
    char path[PATH_BYTES];
    *connection = (struct connection){.fd = -1, .deadline = *deadline};
    inbox_init(&connection->inbox);
    if (!path_socket(NULL, path, error)) {
        error->code = ERROR_UNREACHABLE;
        return false;
    }
    connection->fd = connect_to(path, deadline);
    if (connection->fd >= 0)
        return true;
    if (errno == EAGAIN)
        return refuse_late(connection, error);
    if (errno == ENOENT || errno == ECONNREFUSED)
        return error_set(error, ERROR_UNREACHABLE,
                         "gaitd is not running on \"%s\"; start it with: gaitd",
                         path);
    return error_set(error, ERROR_UNREACHABLE,
                     "cannot connect to gaitd on \"%s\": %s", path,
                     strerror(errno));
}

void connection_close(struct connection *connection)
{
    if (connection->fd >= 0)
        close(connection->fd);
    inbox_release(&connection->inbox);
    cJSON_Delete(connection->error_data);
    *connection = (struct connection){.fd = -1};
}

/* False: the deadline came first. */
static bool wait_for_room(const struct connection *connection)
{
    struct pollfd file = {.fd = connection->fd, .events = POLLOUT};
    return poll(&file, 1, deadline_patience(&connection->deadline, -1)) != 0;
}

/* A daemon that closes early may have said why: its words are still to be
 * read, so a write that finds nobody is no error yet. */
static bool write_all(const struct connection *connection, const char *text,
                      size_t length, struct error *error)
{
    while (length > 0) {
        ssize_t count =
            send(connection->fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN) {
            if (!wait_for_room(connection))
                return refuse_late(connection, error);
            continue;
        }
        if (count < 0 && (errno == EPIPE || errno == ECONNRESET))
            return true;
        if (count < 0)
            return error_set(error, ERROR_UNREACHABLE, "cannot ask gaitd: %s",
                             strerror(errno));
        text += count;
        length -= (size_t)count;
    }
    return true;
}

bool connection_send(struct connection *connection, const char *method,
                     struct cJSON *params, struct error *error)
{
    if (params == NULL)
        params = cJSON_CreateObject();
    struct cJSON *request = rpc_request(++connection->id, method, params);
    size_t length;
    char *text = message_print(request, &length);
    cJSON_Delete(request);
    bool good =
        length <= MESSAGE_BYTES_MAX
            ? write_all(connection, text, length, error)
            : error_set(error, ERROR_TOO_LARGE,
                        "a request of %zu bytes is over the limit of %d",
                        length, MESSAGE_BYTES_MAX);
    free(text);
    return good;
}

/* The next message that has come in whole, if there is one. */
static enum heard take(struct connection *connection, struct cJSON **message,
                       struct error *error)
{
    size_t length;
    const char *line = inbox_next(&connection->inbox, &length);
    if (line == NULL)
        return HEARD_TIMEOUT;
    *message = message_parse(line, length, error);
    if (*message != NULL)
        return HEARD_MESSAGE;
    error_prefix(error, "gaitd's answer");
    return HEARD_ERROR;
}

/* Reads once.  HEARD_TIMEOUT: go on waiting. */
static enum heard fill(struct connection *connection, struct error *error)
{
    size_t available;
    char *room = inbox_room(&connection->inbox, READ_BYTES, &available, error);
    if (room == NULL)
        return HEARD_ERROR;
    ssize_t count = read(connection->fd, room, available);
    if (count > 0) {
        inbox_filled(&connection->inbox, (size_t)count);
        return HEARD_MESSAGE;
    }
    return count < 0 && errno == EINTR ? HEARD_TIMEOUT : HEARD_END;
}

/* HEARD_MESSAGE: the socket can be read. */
static enum heard wait_for(struct connection *connection, int signal_fd,
                           const struct deadline *quiet)
{
    struct pollfd files[] = {{.fd = connection->fd, .events = POLLIN},
                             {.fd = signal_fd, .events = POLLIN}};
    for (;;) {
        int count = poll(files, 2,
                         deadline_patience(&connection->deadline,
                                           deadline_patience(quiet, -1)));
        if (count < 0 && errno != EINTR)
            return HEARD_END;
        if (count > 0 && files[1].revents != 0)
            return HEARD_SIGNAL;
        if (count > 0)
            return HEARD_MESSAGE;
        if (count == 0)
            return HEARD_TIMEOUT;
    }
}

enum heard connection_hear(struct connection *connection, int signal_fd,
                           int timeout_ms, struct cJSON **message,
                           struct error *error)
{
    struct deadline quiet =
        deadline_after(timeout_ms < 0 ? INFINITY : timeout_ms / 1e3);
    *message = NULL;
    for (;;) {
        enum heard heard = take(connection, message, error);
        if (heard != HEARD_TIMEOUT)
            return heard;
        heard = wait_for(connection, signal_fd, &quiet);
        if (heard != HEARD_MESSAGE)
            return heard;
        heard = fill(connection, error);
        if (heard == HEARD_END || heard == HEARD_ERROR)
            return heard;
    }
}

static void read_error(struct connection *connection,
                       const struct cJSON *object, struct error *error)
{
    struct cJSON *copy = cJSON_Duplicate(object, true);
    enum error_code code =
        (enum error_code)json_integer_or(object, "code", ERROR_INTERNAL);
    error_set(error, code, "%s",
              json_text_or(object, "message", "gaitd gave no reason"));
    connection->error_data = cJSON_DetachItemFromObject(copy, "data");
    cJSON_Delete(copy);
}

bool connection_answer(struct connection *connection, struct cJSON *message,
                       struct cJSON **result, struct error *error)
{
    const struct cJSON *failure =
        cJSON_GetObjectItemCaseSensitive(message, "error");
    const struct cJSON *id = cJSON_GetObjectItemCaseSensitive(message, "id");
    bool is_ours = cJSON_IsNumber(id) &&
                   json_integer_or(message, "id", 0) == connection->id;
    *result = NULL;
    if (!is_ours && !(failure != NULL && cJSON_IsNull(id)))
        return false;
    cJSON_Delete(connection->error_data);
    connection->error_data = NULL;
    if (failure != NULL)
        read_error(connection, failure, error);
    else
        *result = cJSON_DetachItemFromObject(message, "result");
    if (failure == NULL && *result == NULL)
        error_set(error, ERROR_PROTOCOL, "gaitd's answer has no result");
    return true;
}

struct cJSON *connection_request(struct connection *connection,
                                 const char *method, struct cJSON *params,
                                 struct error *error)
{
    struct cJSON *message, *result = NULL;
    if (!connection_send(connection, method, params, error))
        return NULL;
    for (;;) {
        enum heard heard = connection_hear(connection, -1, -1, &message, error);
        if (heard == HEARD_TIMEOUT)
            refuse_late(connection, error);
        if (heard == HEARD_ERROR || heard == HEARD_TIMEOUT)
            return NULL;
        if (heard != HEARD_MESSAGE) {
            connection->is_broken = true;
            error_set(error, ERROR_UNREACHABLE,
                      "gaitd went away before it answered");
            return NULL;
        }
        bool is_answer = connection_answer(connection, message, &result, error);
        cJSON_Delete(message);
        if (is_answer)
            return result;
    }
}

struct cJSON *connection_ask(const char *method, struct cJSON *params,
                             struct error *error)
{
    struct connection connection;
    struct cJSON *result = NULL;
    if (connection_open(&connection, error))
        result = connection_request(&connection, method, params, error);
    else
        cJSON_Delete(params);
    connection_close(&connection);
    return result;
}
