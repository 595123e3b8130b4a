/* tables.h: the database file, brought up to what this gaitd knows.
 *
 * A new file gets the tables of schema/schema.sql; an older one is brought up
 * to them by schema/migration_<version>.sql, one after another.  Then come the
 * columns of settings that the file does not have yet, and the views; all in
 * one transaction.
 */
#ifndef DAEMON_TABLES_H
#define DAEMON_TABLES_H

#include "daemon/db.h"

enum { TABLES_VERSION = 2, TABLES_APPLICATION = 0x67616974 /* "gait" */ };

/* Opens or creates `path` for writing; an older one is first copied to
 * `<path>.version-<n>.backup`, which stays.  NULL when it is of a newer
 * version, or not gaitd's: such a file is left as it is. */
struct db *tables_open(const char *path, struct error *error);

/* Whether it is one of the version that this gaitd works with. */
bool tables_check(const char *path, struct error *error);

#endif
