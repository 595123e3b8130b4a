/* keeper.h: keeps run_dir within its budget, and in step with the database.
 *
 * A thread of its own with a reading connection: it looks at run_dir when
 * gaitd starts, when checkpoints may have grown over the budget, and when some
 * are of no use any more.  Folders that a worker has locked are left alone.
 *
 * Always removed: folders of runs that are not in the database (a deleted
 * sweep's), checkpoints of verifications that are over, what a killed writer
 * left.  Files without a row are adopted, rows without a file dropped.
 *
 * Above the budget the least useful go first, since all can be computed again:
 *
 *   1. damaged ones, set aside for inspection
 *   2. of a run, all but its newest: they only serve when that is damaged
 *   3. of runs that nobody waits for and that are superseded by a fresh
 *      replica, diverged, or without any job that is done
 *   4. of runs whose jobs are done: a job with more epochs would go on there
 *   5. of runs with a job that is held, queued or running
 *
 * and among equals those that took the least computing for their bytes.  What
 * belongs to a sweep that is kept is never removed, but counts.
 */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"

struct config;
struct keeper;
struct log;
struct store;

/* Begins with a look.  `database` is its file; the rest is borrowed. */
struct keeper *keeper_open(const char *database, struct store *store,
                           const struct config *config, const struct log *log,
                           struct error *error);
/* Ends the thread: it asks nothing of the store any more, and may still be
 * told.  keeper_free is for when the store is closed.  Both NULL-safe. */
void keeper_stop(struct keeper *keeper);
void keeper_free(struct keeper *keeper);

/* From any thread.  A checkpoint was written (store.h, on_saved); an attempt
 * is over, so that its run's folder is free; something has become useless. */
void keeper_saved(struct keeper *keeper, int64_t bytes, bool is_hidden);
void keeper_freed(struct keeper *keeper);
void keeper_look(struct keeper *keeper);

#endif
