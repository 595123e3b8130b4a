/* request.h: what clients ask: methods, their parameters, their answers.
 *
 * The table in request.c lists every method with its parameters and their
 * types; parameters are checked against it before the method is called, and
 * what is not in the table is refused by name.  A request lives from its
 * message to its reply, and may outlive its connection.
 *
 * A message of more than MESSAGE_BYTES_LARGE is parsed and checked on another
 * thread, and a method's `prepare` runs there whatever the length: nothing
 * that a client sends holds the loop for longer than a small message takes.
 * Meanwhile the connection is held, so that its requests keep their order.
 */
#ifndef DAEMON_REQUEST_H
#define DAEMON_REQUEST_H

#include <stddef.h>

#include "daemon/gaitd.h"

struct connection;

struct request {
    struct gaitd *gaitd;
    struct connection *connection;
    const struct method *method;
    const char *text; /* borrowed until the message is parsed; then NULL */
    size_t length;
    struct cJSON *message; /* owns what the next two borrow */
    const struct cJSON *id;
    struct cJSON *params; /* checked; never NULL */
    bool is_refused;      /* for the error */
    struct error error;
    struct cJSON *error_data;
    void *prepared; /* by method->prepare, for method->run, which takes it */
};

/* Takes one message of a client. */
void request_take(struct gaitd *gaitd, struct connection *connection,
                  const char *text, size_t length);

/* Answers and frees the request (`user`): a store_reply.  `result` and `data`
 * are taken. */
void request_reply(void *user, struct cJSON *result, const struct error *error,
                   struct cJSON *data);

/* Answers with an error. */
void request_refuse(struct request *request, enum error_code code,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether `request_id` is one; else the request has been refused. */
bool request_check_id(struct request *request);

/* request_submit.c; `prepared` is what request_submit_prepare made. */
void request_submit_prepare(struct request *request);
void request_submit(struct request *request);
void request_submit_forget(void *prepared);

#endif
