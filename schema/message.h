/* message.h: one JSON object per line, read and written within limits.
 *
 * Both protocols of protocol.md (clients and gaitd over the socket, gaitd and
 * workers over pipes) are newline-delimited JSON.  A `struct inbox` (inbox.h)
 * collects bytes and gives back whole messages; the functions below read and
 * build them.  No I/O here: callers read and write.
 */
#ifndef SCHEMA_MESSAGE_H
#define SCHEMA_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "schema/error.h"
#include "schema/inbox.h" /* MESSAGE_BYTES_MAX, and lines out of bytes */
#include "schema/json.h"  /* members and numbers */

struct cJSON;

enum {
    PROTOCOL = 1,        /* of clients; raised when broken */
    WORKER_PROTOCOL = 1, /* of workers */
};

/* Parses one message strictly: at most MESSAGE_BYTES_MAX with its newline,
 * JSON within the limits of syntax.h, an object, nothing after it, no member
 * twice anywhere, finite numbers.  NULL with a sentence on failure (bytes are
 * counted from 1): ERROR_PARSE, ERROR_REQUEST for JSON that is no object,
 * ERROR_TOO_LARGE, ERROR_MEMORY.  The result is the caller's (cJSON_Delete). */
struct cJSON *message_parse(const char *text, size_t length,
                            struct error *error);

/* Prints on one line (see json_print) and ends it with a newline, then a NUL.
 * The text is the caller's (free); `*length` counts the newline. */
char *message_print(const struct cJSON *message, size_t *length);

/* JSON-RPC 2.0.  `id` is borrowed and copied (NULL: null); `params`, `result`
 * and `data` are taken, and may be NULL: {}, null, none.  Requests carry
 * params.protocol, added here unless it is there. */
struct cJSON *rpc_request(int64_t id, const char *method, struct cJSON *params);
struct cJSON *rpc_result(const struct cJSON *id, struct cJSON *result);
struct cJSON *rpc_error(const struct cJSON *id, const struct error *error,
                        struct cJSON *data);
struct cJSON *rpc_notification(const char *method, struct cJSON *params);

#endif
