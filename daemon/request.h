/* request.h: a client's request, from its message to its reply.
 *
 * It is understood and checked (method.h) before its method is called, and may
 * outlive its connection.
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
    void *prepared; /* for method->run, which takes it */
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

/* "" when the method has none. */
const char *request_target(const struct request *request);

/* Whether `request_id` is one; else the request has been refused. */
bool request_check_id(struct request *request);

/* What methods run: each replies, sooner or later. */

/* request_ask.c */
void request_ask(struct request *request);
void request_explain(struct request *request);
void request_events(struct request *request);
void request_watch(struct request *request);
/* Asks a question that is not called as the method is. */
void request_ask_for(struct request *request, const char *question);

/* request_order.c */
void request_order(struct request *request);
void request_control(struct request *request);
void request_retry(struct request *request);
void request_drain(struct request *request);
void request_verify(struct request *request);
void request_keep(struct request *request);
void request_delete(struct request *request);

/* request_status.c */
void request_status(struct request *request);
void request_devices(struct request *request);
void request_shutdown(struct request *request);

/* request_submit.c; `prepared` is what request_submit_prepare made. */
void request_submit_prepare(struct request *request);
void request_submit(struct request *request);
void request_submit_forget(void *prepared);

/* request_upkeep.c */
void request_fsck(struct request *request);
void request_backup(struct request *request);

#endif
