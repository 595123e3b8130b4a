/* db.h: SQLite, as far as gaitd needs it; db.c alone sees sqlite3.h.
 *
 *     struct statement *s = db_sql(db, "SELECT step FROM run WHERE id = ?");
 *     bind_integer(s, run);
 *     while (statement_next(s))
 *         step = column_integer(s, 0);
 *     if (!statement_finish(s, error))
 *         return false;
 *
 * Statements are prepared once and kept.  Binding and stepping remember the
 * first failure until statement_finish, so that only the end is checked.
 * A connection is used by one thread at a time.
 */
#ifndef DAEMON_DB_H
#define DAEMON_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"

struct db;
struct statement;

enum db_mode { DB_WRITE, DB_READ };

/* DB_WRITE creates the file when it is not there, in WAL mode with a sync at
 * each commit; one connection of a database writes.  NULL on failure. */
struct db *db_open(const char *path, enum db_mode mode, struct error *error);
void db_close(struct db *db); /* NULL is allowed */

/* What the last failure of this transaction means for the work under way. */
enum db_trouble {
    DB_FINE,   /* the statement was wrong, or a constraint refused it */
    DB_LATER,  /* disk full or file locked: nothing stored, try again */
    DB_BROKEN, /* an input/output error: what is on disk is unknown */
};
enum db_trouble db_trouble(const struct db *db);

/* A connection for reading failed because the file's first transaction, the one
 * before there is a WAL, was cut off: a writing one undoes it. */
bool db_is_halfway(const struct db *db);

/* Several statements, separated by semicolons, without parameters. */
bool db_script(struct db *db, const char *sql, struct error *error);

/* A statement ready to be bound and stepped; owned by the connection and
 * reset when asked for again.  `sql` is told apart by its address and must
 * live as long as the connection.  Never NULL: a failure shows on finish. */
struct statement *db_sql(struct db *db, const char *sql);

/* The same for text made for the occasion; statement_free when done. */
struct statement *statement_new(struct db *db, const char *sql);
void statement_free(struct statement *statement);

/* Parameters are bound in their order; NaN and NULL text become NULL.  Text
 * is borrowed until the statement is finished or asked for again. */
void bind_integer(struct statement *statement, int64_t value);
void bind_real(struct statement *statement, double value);
void bind_text(struct statement *statement, const char *text);

bool statement_next(struct statement *statement); /* there is a row */
bool statement_finish(struct statement *statement, struct error *error);
/* Steps to the end, for statements that give no rows. */
bool statement_run(struct statement *statement, struct error *error);

/* Statements with one parameter: the number one yields (0: no row, or NULL),
 * and what changes something. */
bool db_read_number(struct db *db, const char *sql, int64_t parameter,
                    int64_t *value, struct error *error);
bool db_change(struct db *db, const char *sql, int64_t parameter,
               struct error *error);

/* Columns of the present row, from 0.  NULL reads as `otherwise`, NaN, and
 * NULL; text is valid until the next step. */
int64_t column_integer(struct statement *statement, int column);
int64_t column_integer_or(struct statement *statement, int column,
                          int64_t otherwise);
double column_real(struct statement *statement, int column);
const char *column_text(struct statement *statement, int column);
bool column_is_null(struct statement *statement, int column);
/* Copies, cut to `bytes`; NULL gives "". */
void column_copy(struct statement *statement, int column, char *text,
                 int bytes);

/* Transactions.  A read transaction sees one state of the database. */
bool db_begin(struct db *db, struct error *error);
bool db_commit(struct db *db, struct error *error);
void db_rollback(struct db *db); /* nothing when none is open */
bool db_in_transaction(const struct db *db);

/* One savepoint at a time within a transaction. */
bool db_savepoint(struct db *db, struct error *error);
bool db_release(struct db *db, struct error *error);
void db_undo(struct db *db); /* back to the savepoint, and release it */

int64_t db_written(const struct db *db); /* rows, since it was opened, also
                                          * those that triggers wrote */
int64_t db_changed(const struct db *db); /* rows, by the last statement that
                                          * changes any, without triggers' */
int64_t db_last_id(const struct db *db); /* of the last INSERT */

/* Pages in the WAL, and those of them that no checkpoint has copied yet, as of
 * the last commit; and the copying: as much as readers allow, waiting for none.
 * db_restart also has the WAL begin anew, if nobody is reading. */
int db_wal_length(const struct db *db);
int db_wal_pages(const struct db *db);
bool db_checkpoint(struct db *db, struct error *error);
bool db_restart(struct db *db, struct error *error);
bool db_is_copied(const struct db *db); /* the last copying left nothing out */

const char *db_path(const struct db *db);

/* From any thread: every statement fails with ERROR_BUSY from now on. */
void db_stop(struct db *db);
bool db_is_stopped(const struct db *db);

/* Statements fail with ERROR_BUSY `seconds` from now; 0: never. */
void db_deadline(struct db *db, double seconds);

#endif
