#include "daemon/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/db.h"
#include "daemon/ledger_file.h"
#include "daemon/ledger_notes.h"
#include "daemon/missing.h"
#include "schema/control.h"
#include "schema/memory.h"

struct ledger {
    struct ledger_file file;
    struct ledger_content found; /* at the beginning */
    int64_t number;              /* of the last commit */
    int64_t written;             /* db_written, then */
    struct ledger_notes notes;   /* of the transaction under way */
    char *line;                  /* of the commit under way; NULL: none */
    size_t length, room;
};

/* What somebody has chosen about a sweep; the last choice counts.  Of texts
 * only that it was. */
#define NOTED_VALUE(name, value)                                               \
    "CREATE TEMP TRIGGER noted_" #name " AFTER UPDATE OF \"" #name             \
    "\" ON main.sweep WHEN NEW.\"" #name "\" IS NOT OLD.\"" #name              \
    "\" BEGIN DELETE FROM noted WHERE kind = 'control' AND name = '" #name     \
    "' AND item = NEW.id; INSERT INTO noted VALUES ('control', '" #name        \
    "', NEW.id, " value ", 1); END;"
#define VALUE_INTEGER(name) "NEW.\"" #name "\""
#define VALUE_BOOLEAN(name) VALUE_INTEGER(name)
#define VALUE_TEXT(name) "0"
#define NOTED_CONTROL(name, type, ...) NOTED_VALUE(name, VALUE_##type(name))

/* What changes, but for rows and ends of jobs (ledger_notes.h), is noted by
 * triggers, each item once, so that what a savepoint takes back is taken back
 * here too. */
static const char triggers[] =
    "PRAGMA temp_store = MEMORY;"
    "CREATE TEMP TABLE noted (kind TEXT, name TEXT, item INTEGER, "
    "first INTEGER, count INTEGER);"
    "CREATE TEMP TRIGGER noted_complete AFTER UPDATE OF is_complete "
    "ON main.sweep WHEN NEW.is_complete AND NOT OLD.is_complete BEGIN "
    "INSERT INTO noted VALUES "
    "('sweep', NEW.name, NEW.id, (SELECT id FROM job WHERE "
    "sweep_id = NEW.id AND position = 0), NEW.job_count); END;"
    "CREATE TEMP TRIGGER noted_deletion AFTER INSERT ON main.deletion BEGIN "
    "INSERT INTO noted VALUES "
    "('deletion', NEW.name, NEW.sweep_id, 0, 1); END;"
    "CREATE TEMP TRIGGER noted_job_priority AFTER UPDATE OF priority "
    "ON main.job WHEN NEW.priority <> OLD.priority BEGIN "
    "DELETE FROM noted WHERE kind = 'control' AND name = 'priority' "
    "AND item = NEW.sweep_id; INSERT INTO noted VALUES "
    "('control', 'priority', NEW.sweep_id, NEW.priority, 1); END;" NOTED_VALUE(
        is_kept, "NEW.is_kept") CONTROLS(NOTED_CONTROL);

bool ledger_number(struct db *db, int64_t *number, struct error *error)
{
    bool has_table = false;
    struct statement *s =
        statement_new(db, "SELECT 1 FROM sqlite_schema WHERE name = 'ledger'");
    *number = -1;
    has_table = statement_next(s);
    bool is_fine = statement_finish(s, error);
    statement_free(s);
    if (!is_fine || !has_table)
        return is_fine;
    s = statement_new(db, "SELECT max(number) FROM ledger");
    while (statement_next(s))
        *number = column_integer(s, 0);
    is_fine = statement_finish(s, error);
    statement_free(s);
    return is_fine;
}

static bool look(const char *database, int64_t *number, struct error *error)
{
    *number = -1;
    if (access(database, F_OK) != 0)
        return true;
    struct db *db = db_open(database, DB_READ, error);
    bool is_fine = db && ledger_number(db, number, error);
    db_close(db);
    return is_fine;
}

/* Opening. */

static bool set_aside(const char *log, struct error *error)
{
    char *aside = xprintf("%s.damaged", log);
    bool is_done = rename(log, aside) == 0 || errno == ENOENT;
    if (!is_done)
        error_set(error, ERROR_IO, "cannot rename \"%s\" to \"%s\": %s", log,
                  aside, strerror(errno));
    free(aside);
    return is_done;
}

/* The log must not end before what may have been copied from it. */
static bool check_log(const struct ledger *ledger, const char *database,
                      struct error *error)
{
    const struct ledger_content *found = &ledger->found;
    int64_t number;
    if (found->base < 0)
        return true;
    if (!look(database, &number, error))
        return false;
    if (number < 0 || number >= found->copying)
        return true;
    char *log = xprintf("%s-wal", database);
    bool is_fine = true;
    if (found->copying == found->base)
        is_fine = set_aside(log, error);
    else if (access(log, F_OK) == 0)
        is_fine = error_set(
            error, ERROR_CORRUPT,
            "the write-ahead log \"%s\" is damaged where it was being copied "
            "into the database: it ends with transaction %lld, and pages of "
            "up to %lld may be in the database already; gaitd --fsck says what "
            "is missing, gaitctl backup had made a file to put in its place",
            log, (long long)number, (long long)found->copying);
    free(log);
    return is_fine;
}

struct ledger *ledger_open(const char *database, struct error *error)
{
    struct ledger *ledger = xcalloc(1, sizeof *ledger);
    ledger->file.descriptor = -1;
    snprintf(ledger->file.path, sizeof ledger->file.path, "%s-ledger",
             database);
    if (ledger_content_read(&ledger->found, ledger->file.path, error) &&
        ledger_file_open(&ledger->file, &ledger->found, error) &&
        check_log(ledger, database, error))
        return ledger;
    ledger_close(ledger);
    return NULL;
}

void ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    ledger_file_close(&ledger->file);
    ledger_content_release(&ledger->found);
    ledger_notes_release(&ledger->notes);
    free(ledger->line);
    free(ledger);
}

/* Recovering. */

bool ledger_recover(struct ledger *ledger, struct db *db, double now,
                    char **lost, struct error *error)
{
    *lost = NULL;
    if (!ledger_number(db, &ledger->number, error) ||
        !missing_note(db, &ledger->found, ledger->number, now, lost, error) ||
        !db_script(db, triggers, error))
        return false;
    /* Numbers are not used again. */
    if (ledger->found.last > ledger->number)
        ledger->number = ledger->found.last;
    ledger_content_release(&ledger->found);
    return true;
}

/* Committing. */

__attribute__((format(printf, 2, 3))) static void put(struct ledger *ledger,
                                                      const char *format, ...)
{
    enum { MOST = 2 * sizeof(struct ledger_entry) }; /* of an entry */
    if (ledger->room - ledger->length < MOST) {
        ledger->room = 2 * ledger->room + MOST;
        ledger->line = xrealloc(ledger->line, ledger->room);
    }
    va_list arguments;
    va_start(arguments, format);
    ledger->length += (size_t)vsnprintf(ledger->line + ledger->length, MOST,
                                        format, arguments);
    va_end(arguments);
}

static void put_entry(struct ledger *ledger, const struct ledger_entry *e)
{
    put(ledger, " %s:%s:%" PRId64 ":%" PRId64 ":%" PRId64 ":%" PRId64, e->kind,
        e->name, e->item, e->first, e->last, e->count);
}

static void read_noted(struct statement *s, struct ledger_entry *entry)
{
    column_copy(s, 0, entry->kind, sizeof entry->kind);
    column_copy(s, 1, entry->name, sizeof entry->name);
    entry->item = column_integer(s, 2);
    entry->first = entry->last = column_integer(s, 3);
    entry->count = column_integer(s, 4);
    if (strcmp(entry->kind, "sweep") == 0)
        entry->last = entry->first + entry->count - 1;
}

static bool put_noted(struct ledger *ledger, struct db *db, struct error *error)
{
    bool has_any = false;
    struct statement *s =
        db_sql(db, "SELECT kind, name, item, first, count FROM noted");
    while (statement_next(s)) {
        struct ledger_entry entry;
        read_noted(s, &entry);
        put_entry(ledger, &entry);
        has_any = true;
    }
    if (!statement_finish(s, error))
        return false;
    return !has_any || statement_run(db_sql(db, "DELETE FROM noted"), error);
}

static void put_notes(struct ledger *ledger)
{
    ledger_notes_join(&ledger->notes);
    for (size_t i = 0; i < ledger->notes.count; i++)
        put_entry(ledger, &ledger->notes.entries[i]);
    ledger->notes.count = 0;
}

struct ledger_notes *ledger_notes(struct ledger *ledger)
{
    return &ledger->notes;
}

bool ledger_prepare(struct ledger *ledger, struct db *db, struct error *error)
{
    ledger->length = 0;
    if (db_written(db) == ledger->written)
        return true; /* nothing has changed */
    struct statement *s = db_sql(db, "UPDATE ledger SET number = ?");
    bind_integer(s, ledger->number + 1);
    if (!statement_run(s, error))
        return false;
    put(ledger, "commit %" PRId64, ledger->number + 1);
    if (!put_noted(ledger, db, error))
        return false;
    put_notes(ledger);
    ledger->written = db_written(db);
    return true;
}

/* A line that finds no room leaves a gap in the numbers, which tells. */
void ledger_write(struct ledger *ledger)
{
    if (!ledger->length)
        return;
    ledger->number++;
    ledger_file_add(&ledger->file, ledger->line);
    ledger->length = 0;
}

/* Copying. */

void ledger_copying(struct ledger *ledger)
{
    char line[64];
    snprintf(line, sizeof line, "copying %" PRId64, ledger->number);
    ledger_file_add(&ledger->file, line);
}

void ledger_copied(struct ledger *ledger)
{
    ledger_file_renew(&ledger->file, ledger->number);
}
