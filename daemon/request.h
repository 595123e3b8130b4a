/* request.h: what clients ask: methods, their parameters, their answers.
 *
 * The table in request.c lists every method with its parameters and their
 * types; parameters are checked against it before the method is called, and
 * what is not in the table is refused by name.  A request lives from its
 * message to its reply, and may outlive its connection.
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
    struct cJSON *message; /* owns what the next two borrow */
    const struct cJSON *id;
    struct cJSON *params; /* checked; never NULL */
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

/* request_submit.c */
void request_submit(struct request *request);

/* request_upkeep.c */
void request_fsck(struct request *request);
void request_backup(struct request *request);

#endif
