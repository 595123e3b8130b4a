/* missing.h: what a damaged write-ahead log has lost, as the database keeps it
 * in the table `missing` (schema.sql).
 *
 * It stays there; fsck tells of what has not come back since.
 */
#ifndef DAEMON_MISSING_H
#define DAEMON_MISSING_H

#include "daemon/db.h"
#include "daemon/ledger_file.h"

/* SQL: the sentence for a row of `missing`. */
#define MISSING_TEXT                                                           \
    "CASE kind WHEN 'sweep' THEN format('sweep \"%s\" (sweep-%d, %d job%s "    \
    "from %d on)', name, item, count, iif(count = 1, '', 's'), first) "        \
    "WHEN 'rows' THEN format('%d row%s of run %d (steps %d to %d)', count, "   \
    "iif(count = 1, '', 's'), item, first, last) "                             \
    "WHEN 'jobs' THEN iif(first = last, format('that job %d is %s', first, "   \
    "name), format('that jobs %d to %d are %s', first, last, name)) "          \
    "WHEN 'deletion' THEN format('the deletion of sweep \"%s\" (sweep-%d)', "  \
    "name, item) "                                                             \
    "WHEN 'control' THEN format('%s of sweep-%d as it was chosen last', "      \
    "name, "                                                                   \
    "item) "                                                                   \
    "ELSE format('%d transaction%s of which nothing is known', count, "        \
    "iif(count = 1, '', 's')) END"

/* Adds what the ledger lists after commit `number`. */
bool missing_add(struct db *db, const struct ledger_content *ledger,
                 int64_t number, double now, struct error *error);

/* With an event, whose text is `*lost`, as in ledger.h. */
bool missing_note(struct db *db, const struct ledger_content *ledger,
                  int64_t number, double now, char **lost, struct error *error);

#endif
