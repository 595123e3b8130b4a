/* ledger_notes.h: what the transaction under way has changed, of which there
 * may be much: rows of runs, and jobs that have ended.
 *
 * A note is an entry of the ledger.  They are kept in memory, so whatever takes
 * back what was stored takes back its notes too, by their count before.
 */
#ifndef DAEMON_LEDGER_NOTES_H
#define DAEMON_LEDGER_NOTES_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/ledger_file.h"

struct ledger_notes {
    size_t count, room;
    struct ledger_entry *entries; /* NULL at first; the notes' */
};

void ledger_notes_release(struct ledger_notes *notes);

/* A row of a run, which is called by the beginning of its key: a number is used
 * again where a run is lost or deleted. */
void ledger_notes_row(struct ledger_notes *notes, int64_t run, const char *key,
                      int64_t step);
void ledger_notes_job(struct ledger_notes *notes, int64_t job,
                      const char *state);

/* Sorts them and makes one of those that are alike: all rows of a run, and jobs
 * one after another that ended alike. */
void ledger_notes_join(struct ledger_notes *notes);

#endif
