/* The only file that knows SQLite. */
#include "daemon/db.h"
#include "daemon/clock.h"

#include <assert.h>
#include <math.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"

enum {
    STATEMENTS_MAX = 256,       /* texts of one connection; a power of two */
    DEADLINE_OPERATIONS = 2000, /* virtual machine steps between looks */
    BUSY_MS = 5000,
};

struct statement {
    struct db *db;
    const char *sql;
    sqlite3_stmt *handle; /* NULL when it could not be prepared */
    int bound;            /* parameters so far */
    int result;           /* the first failure, or SQLITE_OK */
};

struct db {
    sqlite3 *handle;
    char *path;
    int result; /* of the last failure */
    struct statement statements[STATEMENTS_MAX];
    int statement_count;
    int wal_pages, copied_pages; /* in the WAL; of them copied */
    bool is_copied;              /* db_is_copied */
    double deadline_s, deadline; /* as asked; monotonic, 0 for none */
    atomic_bool is_stopped;
};

/* Failures. */

static bool fail(struct db *db, int result, struct error *error)
{
    db->result = result;
    if ((result & 0xff) == SQLITE_INTERRUPT && db_is_stopped(db))
        return error_set(error, ERROR_BUSY, "gaitd is shutting down");
    if ((result & 0xff) == SQLITE_INTERRUPT)
        return error_set(error, ERROR_BUSY, "took longer than %g s",
                         db->deadline_s);
    const char *text = sqlite3_errcode(db->handle) == result
                           ? sqlite3_errmsg(db->handle)
                           : sqlite3_errstr(result);
    return error_set(error, ERROR_IO, "database \"%s\": %s", db->path, text);
}

enum db_trouble db_trouble(const struct db *db)
{
    switch (db->result & 0xff) {
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return DB_LATER;
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return DB_BROKEN;
    default:
        return DB_FINE;
    }
}

/* Opening. */

static int on_wal(void *user, sqlite3 *handle, const char *name, int pages)
{
    struct db *db = user;
    (void)handle;
    (void)name;
    if (pages < db->wal_pages)
        db->copied_pages = 0; /* the WAL began anew */
    db->wal_pages = pages;
    return SQLITE_OK;
}

static int on_progress(void *user)
{
    const struct db *db = user;
    return db_is_stopped(db) ||
           (db->deadline > 0 && clock_monotonic() > db->deadline);
}

static bool prepare_writing(struct db *db, struct error *error)
{
    bool is_wal = false;
    struct statement *s = statement_new(db, "PRAGMA journal_mode = WAL");
    while (statement_next(s))
        is_wal = strcmp(column_text(s, 0), "wal") == 0;
    bool is_fine = statement_finish(s, error);
    statement_free(s);
    if (!is_fine)
        return false;
    if (!is_wal)
        return error_set(error, ERROR_IO,
                         "database \"%s\": no write-ahead log is possible "
                         "here (is the folder on a local disk?)",
                         db->path);
    sqlite3_wal_hook(db->handle, on_wal, db);
    /* What CHECK allows (the names of states, which come from one table of the
     * source) is for other writers, and for fsck: SQLite makes a table of the
     * names for every row that it changes. */
    return db_script(db,
                     "PRAGMA synchronous = FULL;"
                     "PRAGMA cache_size = -16384;"
                     "PRAGMA foreign_keys = ON;"
                     "PRAGMA cell_size_check = ON;"
                     "PRAGMA ignore_check_constraints = ON;"
                     "PRAGMA journal_size_limit = 67108864;",
                     error);
}

static bool prepare_all(struct db *db, enum db_mode mode, struct error *error)
{
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    sqlite3_progress_handler(db->handle, DEADLINE_OPERATIONS, on_progress, db);
    return mode == DB_READ || prepare_writing(db, error);
}

struct db *db_open(const char *path, enum db_mode mode, struct error *error)
{
    struct db *db = xcalloc(1, sizeof *db);
    /* What savepoints set back is kept in memory, not in a temporary file: it
     * is no more than a transaction's pages.  Refused, as it should be, when
     * SQLite is in use already: then it was said before. */
    sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
    /* Nobody asks how much memory it has: each allocation took a mutex. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    db->path = xstrdup(path);
    int flags = mode == DB_READ ? SQLITE_OPEN_READONLY
                                : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int result = sqlite3_open_v2(
        path, &db->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        NULL);
    bool is_fine = result == SQLITE_OK ? prepare_all(db, mode, error)
                                       : fail(db, result, error);
    if (is_fine)
        return db;
    db_close(db);
    return NULL;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (int i = 0; i < STATEMENTS_MAX; i++)
        sqlite3_finalize(db->statements[i].handle);
    int result = sqlite3_close(db->handle);
    assert(result == SQLITE_OK);
    (void)result;
    free(db->path);
    free(db);
}

bool db_script(struct db *db, const char *sql, struct error *error)
{
    int result = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return result == SQLITE_OK || fail(db, result, error);
}

/* Statements. */

static void prepare(struct statement *s, struct db *db, const char *sql,
                    unsigned flags)
{
    s->db = db;
    s->sql = sql;
    s->bound = 0;
    s->result =
        sqlite3_prepare_v3(db->handle, sql, -1, flags, &s->handle, NULL);
}

struct statement *db_sql(struct db *db, const char *sql)
{
    uint64_t place = (uintptr_t)sql * 0x9e3779b97f4a7c15u >> 32;
    struct statement *s;
    for (;; place++) {
        s = &db->statements[place % STATEMENTS_MAX];
        if (!s->sql || s->sql == sql)
            break;
    }
    if (s->handle) {
        sqlite3_reset(s->handle);
        s->bound = 0;
        s->result = SQLITE_OK;
    } else {
        assert(db->statement_count < STATEMENTS_MAX - 1);
        db->statement_count += !s->sql;
        prepare(s, db, sql, SQLITE_PREPARE_PERSISTENT);
    }
    return s;
}

struct statement *statement_new(struct db *db, const char *sql)
{
    struct statement *s = xcalloc(1, sizeof *s);
    prepare(s, db, sql, 0);
    return s;
}

void statement_free(struct statement *statement)
{
    if (statement)
        sqlite3_finalize(statement->handle);
    free(statement);
}

static void note(struct statement *s, int result)
{
    assert(result != SQLITE_RANGE);
    if (s->result == SQLITE_OK)
        s->result = result;
}

void bind_integer(struct statement *s, int64_t value)
{
    if (s->handle)
        note(s, sqlite3_bind_int64(s->handle, ++s->bound, value));
}

void bind_real(struct statement *s, double value)
{
    if (s->handle)
        note(s, sqlite3_bind_double(s->handle, ++s->bound, value));
}

void bind_text(struct statement *s, const char *text)
{
    if (s->handle)
        note(s,
             sqlite3_bind_text(s->handle, ++s->bound, text, -1, SQLITE_STATIC));
}

bool statement_next(struct statement *s)
{
    if (s->result != SQLITE_OK)
        return false;
    assert(s->bound == sqlite3_bind_parameter_count(s->handle));
    int result = sqlite3_step(s->handle);
    if (result == SQLITE_ROW)
        return true;
    if (result != SQLITE_DONE)
        s->result = result;
    return false;
}

bool statement_finish(struct statement *s, struct error *error)
{
    int result = s->result;
    bool is_fine = result == SQLITE_OK || fail(s->db, result, error);
    if (s->handle)
        sqlite3_reset(s->handle);
    s->bound = 0;
    s->result = SQLITE_OK;
    return is_fine;
}

bool statement_run(struct statement *s, struct error *error)
{
    while (statement_next(s))
        ;
    return statement_finish(s, error);
}

bool db_read_number(struct db *db, const char *sql, int64_t parameter,
                    int64_t *value, struct error *error)
{
    struct statement *s = db_sql(db, sql);
    bind_integer(s, parameter);
    *value = 0;
    while (statement_next(s))
        *value = column_integer_or(s, 0, 0);
    return statement_finish(s, error);
}

bool db_change(struct db *db, const char *sql, int64_t parameter,
               struct error *error)
{
    struct statement *s = db_sql(db, sql);
    bind_integer(s, parameter);
    return statement_run(s, error);
}

int64_t column_integer(struct statement *s, int column)
{
    return sqlite3_column_int64(s->handle, column);
}

int64_t column_integer_or(struct statement *s, int column, int64_t otherwise)
{
    return column_is_null(s, column) ? otherwise : column_integer(s, column);
}

double column_real(struct statement *s, int column)
{
    return column_is_null(s, column) ? NAN
                                     : sqlite3_column_double(s->handle, column);
}

const char *column_text(struct statement *s, int column)
{
    return (const char *)sqlite3_column_text(s->handle, column);
}

bool column_is_null(struct statement *s, int column)
{
    return sqlite3_column_type(s->handle, column) == SQLITE_NULL;
}

void column_copy(struct statement *s, int column, char *text, int bytes)
{
    const char *value = column_text(s, column);
    size_t length = value ? (size_t)sqlite3_column_bytes(s->handle, column) : 0;
    if (length > (size_t)bytes - 1)
        length = (size_t)bytes - 1;
    if (length > 0)
        memcpy(text, value, length);
    text[length] = '\0';
}

/* Transactions. */

static bool run(struct db *db, const char *sql, struct error *error)
{
    return statement_run(db_sql(db, sql), error);
}

static const char begin_write[] = "BEGIN IMMEDIATE";
static const char begin_read[] = "BEGIN";
static const char commit[] = "COMMIT";
static const char rollback[] = "ROLLBACK";
static const char savepoint[] = "SAVEPOINT operation";
static const char release[] = "RELEASE operation";
static const char rollback_to[] = "ROLLBACK TO operation";

bool db_begin(struct db *db, struct error *error)
{
    bool is_reader = sqlite3_db_readonly(db->handle, "main") == 1;
    db->result = SQLITE_OK;
    return run(db, is_reader ? begin_read : begin_write, error);
}

bool db_commit(struct db *db, struct error *error)
{
    return run(db, commit, error);
}

bool db_in_transaction(const struct db *db)
{
    return !sqlite3_get_autocommit(db->handle);
}

void db_rollback(struct db *db)
{
    struct error ignored; /* a failed statement may have rolled back already */
    int result = db->result;
    if (db_in_transaction(db))
        run(db, rollback, &ignored);
    db->result = result;
}

bool db_savepoint(struct db *db, struct error *error)
{
    return run(db, savepoint, error);
}

bool db_release(struct db *db, struct error *error)
{
    return run(db, release, error);
}

void db_undo(struct db *db)
{
    struct error ignored; /* COMMIT tells when the transaction is gone */
    int result = db->result;
    if (db_in_transaction(db) && run(db, rollback_to, &ignored))
        run(db, release, &ignored);
    db->result = result;
}

bool db_is_halfway(const struct db *db)
{
    return db->result == SQLITE_READONLY_ROLLBACK;
}

int64_t db_written(const struct db *db)
{
    return sqlite3_total_changes64(db->handle);
}

int64_t db_changed(const struct db *db)
{
    return sqlite3_changes64(db->handle);
}

int64_t db_last_id(const struct db *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

int db_wal_length(const struct db *db)
{
    return db->wal_pages;
}

int db_wal_pages(const struct db *db)
{
    return db->wal_pages - db->copied_pages;
}

static bool copy(struct db *db, int mode, struct error *error)
{
    int result = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode,
                                           &db->wal_pages, &db->copied_pages);
    db->is_copied = result == SQLITE_OK && db->copied_pages == db->wal_pages;
    /* A reader in the way: what it allows has been copied; ask again only
     * when the WAL has grown. */
    db->copied_pages = db->wal_pages;
    return result == SQLITE_OK || (result & 0xff) == SQLITE_BUSY ||
           fail(db, result, error);
}

bool db_checkpoint(struct db *db, struct error *error)
{
    return copy(db, SQLITE_CHECKPOINT_PASSIVE, error);
}

bool db_restart(struct db *db, struct error *error)
{
    sqlite3_busy_timeout(db->handle, 0);
    bool is_fine = copy(db, SQLITE_CHECKPOINT_RESTART, error);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    return is_fine;
}

bool db_is_copied(const struct db *db)
{
    return db->is_copied;
}

const char *db_path(const struct db *db)
{
    return db->path;
}

void db_stop(struct db *db)
{
    atomic_store(&db->is_stopped, true);
}

bool db_is_stopped(const struct db *db)
{
    return atomic_load(&db->is_stopped);
}

void db_deadline(struct db *db, double seconds)
{
    db->deadline_s = seconds;
    db->deadline = seconds > 0 ? clock_monotonic() + seconds : 0;
}
