/* datasets.h: the data sets that specs name: where they are, and what is in
 * them.
 *
 * `gait-worker --prepare` reads a data set and tells its digest and shape;
 * gaitd remembers that for as long as the files it came from do not change
 * (size and time, looked at on every submission).  Submissions that name the
 * same data set meanwhile share one preparation.
 */
#ifndef DAEMON_DATASETS_H
#define DAEMON_DATASETS_H

#include "daemon/store.h"

struct cJSON;
struct config;
struct datasets;
struct log;
struct uv_loop_s;

/* Where a data set is looked for: an array of absolute paths (the caller's),
 * empty when the name is not configured. */
struct cJSON *datasets_folders(const struct config *config, const char *name);

/* Everything is borrowed.  `worker` is the worker program. */
struct datasets *datasets_new(struct uv_loop_s *loop, const struct log *log,
                              const struct config *config, const char *worker);

/* Calls `found` once, maybe before it returns, with the data set (borrowed)
 * or NULL and an error: ERROR_SPEC when the name is not configured, what the
 * worker said when its files are missing or damaged, ERROR_IO when there was
 * no answer. */
typedef void datasets_found(void *user, const struct dataset *dataset,
                            const struct error *error);
void datasets_find(struct datasets *datasets, const char *name,
                   datasets_found *found, void *user);

/* Ends preparations under way; their callbacks get ERROR_BUSY at once.
 * Once the loop has run out, datasets_free. */
void datasets_stop(struct datasets *datasets);
void datasets_free(struct datasets *datasets);

#endif
