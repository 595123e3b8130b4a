/* ledger.h: notices what a damaged write-ahead log has lost.
 *
 * SQLite recovers the longest prefix of its log that is whole, and does not
 * say that there was more.  So every commit has a number, kept in the database,
 * and the ledger, a small file beside it (<database>-ledger), lists what each
 * one changed: sweeps, rows, ends of jobs, deletions.  It is written after the
 * commit and before the answers, not synced: what kill -9 leaves is complete.
 * After a power cut it may be shorter than the database, never longer, so it
 * cannot tell of losses that are none.
 *
 * The ledger begins anew whenever all of the log has been copied into the
 * database file and synced there; so it is always shorter than the log.  Before
 * anything is copied it says so: a log that ends before pages that may have
 * been copied must not be read, since older pages would stand in front of newer
 * ones.  If all of them had been copied the log is set aside (.damaged); if
 * some, the database is a mixture and is refused.
 *
 * Used on the store's thread.  Costs a page more in each commit, and some
 * 15 us.
 */
#ifndef DAEMON_LEDGER_H
#define DAEMON_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"

struct db;
struct ledger;
struct ledger_notes;

/* Before the database is opened for writing: reads the ledger and looks
 * whether the log may be read.  Both may be missing. */
struct ledger *ledger_open(const char *database, struct error *error);
void ledger_close(struct ledger *ledger); /* NULL is allowed */

/* In the first transaction of a connection: what is missing goes into the table
 * `missing`, and `*lost` receives a sentence about it, the caller's, NULL for
 * nothing. */
bool ledger_recover(struct ledger *ledger, struct db *db, double now,
                    char **lost, struct error *error);

/* Of the transaction under way, to be added to by who stores rows and ends
 * jobs; empty when it has failed, or is prepared.  All else is noticed. */
struct ledger_notes *ledger_notes(struct ledger *ledger);

/* The last thing in a transaction, and the first after its commit. */
bool ledger_prepare(struct ledger *ledger, struct db *db, struct error *error);
void ledger_write(struct ledger *ledger);

/* Of the database's last commit; -1: there is none yet, or no such table. */
bool ledger_number(struct db *db, int64_t *number, struct error *error);

/* Before pages are copied from the log; and after all have been. */
void ledger_copying(struct ledger *ledger);
void ledger_copied(struct ledger *ledger);

#endif
