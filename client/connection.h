/* connection.h: a conversation with gaitd over its Unix socket.
 *
 *     struct connection c;
 *     connection_open(&c, &error);
 *     struct cJSON *result = connection_request(&c, "status", params, &error);
 *     connection_close(&c);                   also after a failed open
 *
 * Blocking: nothing here returns before there is something to say, but for a
 * deadline, or a signal that the caller waits for as well.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "client/deadline.h"
#include "schema/error.h"
#include "schema/message.h"

struct cJSON;

struct connection {
    int fd;
    struct deadline deadline; /* of whatever is done with it */
    int64_t id;               /* of the last request */
    bool is_broken; /* it ended before an answer: whether the request was done
                       is not known */
    struct inbox inbox;
    struct cJSON *error_data; /* of the last error answer, or NULL */
};

/* ERROR_UNREACHABLE, with the command that starts the daemon, when nobody
 * answers at the socket's path. */
bool connection_open(struct connection *connection, struct error *error);

/* The same with a deadline, which connecting, sending and requests keep as
 * well: then ERROR_TIMEOUT. */
bool connection_open_until(struct connection *connection,
                           const struct deadline *deadline,
                           struct error *error);
void connection_close(struct connection *connection);

/* Sends one request; takes `params` (NULL: none). */
bool connection_send(struct connection *connection, const char *method,
                     struct cJSON *params, struct error *error);

/* Sends one request and waits for its answer: the `result`, the caller's.
 * NULL: the daemon's error; ERROR_UNREACHABLE when it went away. */
struct cJSON *connection_request(struct connection *connection,
                                 const char *method, struct cJSON *params,
                                 struct error *error);

/* The same over a connection of its own. */
struct cJSON *connection_ask(const char *method, struct cJSON *params,
                             struct error *error);

enum heard {
    HEARD_MESSAGE,
    HEARD_SIGNAL,  /* something can be read from signal_fd */
    HEARD_TIMEOUT, /* or the deadline */
    HEARD_END,     /* the daemon closed the connection, or it broke */
    HEARD_ERROR,   /* what came is no message */
};

/* The next message, the caller's; waits until `timeout_ms` (-1: for ever) or
 * the deadline are over.  signal_fd -1: none. */
enum heard connection_hear(struct connection *connection, int signal_fd,
                           int timeout_ms, struct cJSON **message,
                           struct error *error);

/* Whether a message is the answer to the last request; then takes its result
 * out of it, the caller's, or leaves NULL and the daemon's error. */
bool connection_answer(struct connection *connection, struct cJSON *message,
                       struct cJSON **result, struct error *error);

#endif
