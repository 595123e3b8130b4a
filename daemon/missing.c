#include "daemon/missing.h"

#include <stdio.h>
#include <stdlib.h>

#include "schema/memory.h"

static bool add(struct db *db, const struct ledger_entry *entry, double now,
                struct error *error)
{
    struct statement *s = db_sql(
        db, "INSERT INTO missing (kind, name, item, first, last, count, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "first = iif(kind = 'rows', min(first, excluded.first), "
            "excluded.first), "
            "last = iif(kind = 'rows', max(last, excluded.last), "
            "excluded.last), "
            "count = iif(kind IN ('rows', 'commits'), count, 0) + "
            "excluded.count, at = excluded.at");
    bind_text(s, entry->kind);
    bind_text(s, entry->name);
    bind_integer(s, entry->item);
    bind_integer(s, entry->first);
    bind_integer(s, entry->last);
    bind_integer(s, entry->count);
    bind_real(s, now);
    return statement_run(s, error);
}

/* Commits that left no line: the ledger's disk was full, or the database file
 * is an old one. */
static bool add_unknown(struct db *db, const struct ledger_content *ledger,
                        int64_t number, double now, struct error *error)
{
    struct ledger_entry entry = {
        .kind = "commits", .first = number + 1, .last = ledger->last};
    entry.count = ledger->last - number;
    for (int64_t i = 0; i < ledger->commit_count; i++)
        entry.count -= ledger->commits[i] > number;
    return entry.count <= 0 || add(db, &entry, now, error);
}

bool missing_add(struct db *db, const struct ledger_content *ledger,
                 int64_t number, double now, struct error *error)
{
    if (ledger->last <= number)
        return true;
    for (int64_t i = 0; i < ledger->entry_count; i++)
        if (ledger->entries[i].commit > number &&
            !add(db, &ledger->entries[i], now, error))
            return false;
    return add_unknown(db, ledger, number, now, error);
}

static char *describe(struct db *db, int64_t commits, double now,
                      struct error *error)
{
    char *text = NULL;
    struct statement *s = db_sql(
        db, "SELECT iif(?1 = 1, 'the write-ahead log has lost its last "
            "transaction', format('the write-ahead log has lost its last %d "
            "transactions', ?1)) || "
            "ifnull(': ' || group_concat(text, '; '), '') FROM "
            "(SELECT " MISSING_TEXT " AS text FROM missing WHERE at = ?2 "
            "ORDER BY kind = 'sweep' DESC, kind, item)");
    bind_integer(s, commits);
    bind_real(s, now);
    if (statement_next(s))
        text = xstrdup(column_text(s, 0));
    if (statement_finish(s, error))
        return text;
    free(text);
    return NULL;
}

static bool note(struct db *db, const char *text, double now,
                 struct error *error)
{
    struct statement *s =
        db_sql(db, "INSERT INTO event (at, kind, text) VALUES (?, ?, ?)");
    bind_real(s, now);
    bind_text(s, "missing");
    bind_text(s, text);
    return statement_run(s, error);
}

bool missing_note(struct db *db, const struct ledger_content *ledger,
                  int64_t number, double now, char **lost, struct error *error)
{
    *lost = NULL;
    if (ledger->last <= number)
        return true;
    if (!missing_add(db, ledger, number, now, error))
        return false;
    char *text = describe(db, ledger->last - number, now, error);
    if (!text || !note(db, text, now, error)) {
        free(text);
        return false;
    }
    *lost = text;
    return true;
}
