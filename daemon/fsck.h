/* fsck.h: whether the database and the checkpoints are what they ought to be.
 *
 * The rules of fsck_rule.h, then every checkpoint's hash.  It takes as long as
 * reading everything takes; nothing is changed.
 */
#ifndef DAEMON_FSCK_H
#define DAEMON_FSCK_H

#include "daemon/db.h"

struct cJSON;
struct config;

/* {"findings": [{check, text, advice}], "count", "rules", "checkpoints"}: of
 * each check at most 100, `count` of all.  For a reading connection outside of
 * a transaction.  NULL: it was stopped. */
struct cJSON *fsck_run(struct db *db, const char *run_dir, struct error *error);

/* gaitd --fsck: of a database that no gaitd has in use.  Prints what it finds;
 * the exit status: 0 nothing, 1 something. */
int fsck_main(const struct config *config);

#endif
