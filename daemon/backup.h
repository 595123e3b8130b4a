/* backup.h: a copy of the database, whole and of one moment, while it is in
 * use.
 *
 * It is written beside its name, synced, and renamed, so that whatever happens
 * there is no half of it.  What is committed meanwhile stays in the write-ahead
 * log until it is done: the log grows by so much.
 */
#ifndef DAEMON_BACKUP_H
#define DAEMON_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"

struct db;

/* `db`: a reading connection outside of a transaction.  `file`: absolute.
 * ERROR_CONFLICT when there is one: `replaces` allows it if that is a database
 * of gaitd too, and not the one that is copied.  *bytes: its size. */
bool backup_write(struct db *db, const char *file, bool replaces,
                  int64_t *bytes, struct error *error);

#endif
