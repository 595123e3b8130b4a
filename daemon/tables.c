#include "daemon/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/backup.h"
#include "daemon/columns.h"
#include "daemon/metrics.h"
#include "schema/memory.h"

/* A new file's tables. */
static const char newest[] = {
#include "schema_sql.h"
};

/* migrations[n] takes a file of version n to n + 1. */
static const char *const migrations[TABLES_VERSION] = {
    [1] =
        (const char[]){
#include "migration_1_sql.h"
        },
};

static const struct {
    const char *name, *sql;
} views[] = {
    {"result",
     "CREATE VIEW result AS SELECT j.id AS job, s.name AS sweep, j.position, "
     "s.owner, j.state, j.run_id AS run" SETTING_COLUMNS ", "
     "min(r.epochs_done, j.nb_epochs) AS epoch" METRIC_COLUMNS
     ", " DIVERGED_EPOCH
     " AS diverged_epoch FROM job j JOIN run r ON r.id = j.run_id "
     "JOIN sweep s ON s.id = j.sweep_id WHERE r.replica >= 0 "
     "AND s.is_complete"},
    {"curve",
     "CREATE VIEW curve AS SELECT j.id AS job, s.name AS sweep, j.position, "
     "j.run_id AS run" SETTING_COLUMNS ", "
     "h.step, h.epoch, h.train_accuracy, h.train_loss, h.valid_accuracy, "
     "h.valid_loss, h.test_accuracy, h.test_loss, h.state_hash, h.seconds "
     "FROM job j JOIN run r ON r.id = j.run_id "
     "JOIN sweep s ON s.id = j.sweep_id JOIN history h ON " JOB_ROWS
     " WHERE r.replica >= 0 AND s.is_complete"},
};

static bool read_integer(struct db *db, const char *sql, int64_t *value,
                         struct error *error)
{
    struct statement *s = statement_new(db, sql);
    while (statement_next(s))
        *value = column_integer(s, 0);
    bool is_fine = statement_finish(s, error);
    statement_free(s);
    return is_fine;
}

static bool run_text(struct db *db, char *sql, struct error *error)
{
    bool is_fine = db_script(db, sql, error);
    free(sql);
    return is_fine;
}

/* Whether the file may be touched at all. */
static bool check(struct db *db, const char *path, int64_t *version,
                  struct error *error)
{
    int64_t application = 0, tables = 0;
    if (!read_integer(db, "PRAGMA application_id", &application, error) ||
        !read_integer(db, "PRAGMA user_version", version, error) ||
        !read_integer(db, "SELECT count(*) FROM sqlite_schema", &tables, error))
        return false;
    bool is_empty = !application && !*version && !tables;
    if (!is_empty && application != TABLES_APPLICATION)
        return error_set(error, ERROR_CORRUPT,
                         "\"%s\" is not a database of gaitd", path);
    if (*version > TABLES_VERSION)
        return error_set(error, ERROR_CORRUPT,
                         "database \"%s\" is of version %lld; this gaitd "
                         "knows up to %d",
                         path, (long long)*version, TABLES_VERSION);
    return true;
}

/* What a migration begins with; one that was cut short has left a copy of the
 * same. */
static bool back_up(struct db *db, const char *path, int64_t version,
                    struct error *error)
{
    int64_t bytes;
    char *file = xprintf("%s.version-%lld.backup", path, (long long)version);
    bool is_done = backup_write(db, file, true, &bytes, error) ||
                   error_prefix(error,
                                "database \"%s\" is of version %lld and is "
                                "brought up to %d only once it is backed up",
                                path, (long long)version, TABLES_VERSION);
    free(file);
    return is_done;
}

/* A first look without writing, so that a refused file stays as it was: but
 * for one whose creation was cut off, and which nobody can read. */
static bool look(const char *path, struct error *error)
{
    if (access(path, F_OK) != 0)
        return true;
    struct db *db = db_open(path, DB_READ, error);
    int64_t version = 0;
    bool is_fine = db &&
                   (check(db, path, &version, error) || db_is_halfway(db)) &&
                   (version == 0 || version == TABLES_VERSION ||
                    back_up(db, path, version, error));
    db_close(db);
    return is_fine;
}

bool tables_check(const char *path, struct error *error)
{
    struct db *db = db_open(path, DB_READ, error);
    int64_t version = 0;
    bool is_fine = db && check(db, path, &version, error);
    db_close(db);
    return is_fine && (version == TABLES_VERSION ||
                       error_set(error, ERROR_CORRUPT,
                                 "database \"%s\" is of version %lld, "
                                 "expected %d: gaitd brings it up when it "
                                 "starts",
                                 path, (long long)version, TABLES_VERSION));
}

static bool migrate(struct db *db, const char *path, struct error *error)
{
    int64_t version = 0;
    if (!check(db, path, &version, error))
        return false;
    if (version == TABLES_VERSION)
        return true;
    if (version == 0 && !db_script(db, newest, error))
        return false;
    for (int64_t v = version; v > 0 && v < TABLES_VERSION; v++)
        if (!db_script(db, migrations[v], error))
            return false;
    return run_text(db,
                    xprintf("PRAGMA application_id = %d; "
                            "PRAGMA user_version = %d",
                            TABLES_APPLICATION, TABLES_VERSION),
                    error);
}

static bool has_column(struct db *db, const struct setting *setting, bool *has,
                       struct error *error)
{
    struct statement *s =
        db_sql(db, "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?");
    bind_text(s, column_table(setting));
    bind_text(s, setting->name);
    while (statement_next(s))
        *has = column_integer(s, 0) > 0;
    return statement_finish(s, error);
}

/* `defaults`: the struct that the setting is a field of. */
static char *column_default(const struct setting *setting, const void *defaults)
{
    const void *field = (const char *)defaults + setting->offset;
    switch (setting->type) {
    case SETTING_TEXT:
        return xprintf("TEXT NOT NULL DEFAULT '%s'", (const char *)field);
    case SETTING_REAL:
        return xprintf("REAL NOT NULL DEFAULT %.17g", *(const double *)field);
    case SETTING_INTEGER:
        return xprintf("INTEGER NOT NULL DEFAULT %lld",
                       (long long)*(const int64_t *)field);
    case SETTING_BOOLEAN:
        return xprintf("INTEGER NOT NULL DEFAULT %d", *(const bool *)field);
    }
    return NULL;
}

static bool add_column(struct db *db, const struct setting *setting,
                       const void *defaults, struct error *error)
{
    bool has = false;
    if (!has_column(db, setting, &has, error))
        return false;
    if (has)
        return true;
    char *type = column_default(setting, defaults);
    char *sql = xprintf("ALTER TABLE %s ADD COLUMN %s %s",
                        column_table(setting), setting->name, type);
    free(type);
    return run_text(db, sql, error);
}

static bool add_columns(struct db *db, struct error *error)
{
    struct settings settings;
    struct controls controls;
    settings_init(&settings);
    controls_init(&controls);
    for (int i = 0; i < setting_count; i++)
        if (!add_column(db, &setting_table[i], &settings, error))
            return false;
    for (int i = 0; i < CONTROL_COUNT; i++)
        if (!add_column(db, &control_table[i], &controls, error))
            return false;
    return true;
}

static bool make_views(struct db *db, struct error *error)
{
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        struct statement *s =
            db_sql(db, "SELECT 1 FROM sqlite_schema "
                       "WHERE type = 'view' AND name = ? AND sql = ?");
        bind_text(s, views[i].name);
        bind_text(s, views[i].sql);
        bool is_there = statement_next(s);
        if (!statement_finish(s, error))
            return false;
        if (is_there)
            continue;
        if (!run_text(db, xprintf("DROP VIEW IF EXISTS %s", views[i].name),
                      error) ||
            !db_script(db, views[i].sql, error))
            return false;
    }
    return true;
}

struct db *tables_open(const char *path, struct error *error)
{
    if (!look(path, error))
        return NULL;
    struct db *db = db_open(path, DB_WRITE, error);
    if (!db)
        return NULL;
    if (db_begin(db, error) && migrate(db, path, error) &&
        add_columns(db, error) && make_views(db, error) && db_commit(db, error))
        return db;
    db_close(db);
    return NULL;
}
