/* submission.h: the spec that a file and setting flags make together.
 *
 * Flags win: one value replaces what the file's base or axes say, several
 * become an axis.  A setting that the file's points choose cannot be replaced
 * by a flag, because each point means something by it.
 */
#ifndef CLIENT_SUBMISSION_H
#define CLIENT_SUBMISSION_H

#include "client/options.h"
#include "schema/error.h"

struct cJSON;

enum { REQUEST_ID_BYTES = 37 };

/* The JSON object in `path` ("-": stdin), up to the limit of a message.  The
 * caller's; NULL: ERROR_NOT_FOUND, ERROR_IO, ERROR_TOO_LARGE or ERROR_PARSE. */
struct cJSON *submission_read(const char *path, struct error *error);

/* Puts the setting flags into `spec` (as read, or an empty object), and the
 * name unless it is NULL. */
bool submission_apply(struct cJSON *spec, const struct option_setting *settings,
                      int setting_count, const char *name, struct error *error);

/* A random UUID (RFC 9562, version 4). */
bool submission_request_id(char id[REQUEST_ID_BYTES], struct error *error);

#endif
