/* repeat.h: rows that must come out again, bit for bit but for their seconds.
 *
 * A run's own, when an attempt begins behind what is stored, and those of the
 * run that a verification repeats.  For the store's thread.
 */
#ifndef DAEMON_REPEAT_H
#define DAEMON_REPEAT_H

#include "daemon/operation.h"

/* Both are false only when the database fails; *is_refused with an error that
 * names step, column and both values, or the row that is missing. */

/* The row of that step is stored, and equal.  `last`: the run's last step. */
bool repeat_own(struct store *store, int64_t run, int64_t last,
                const struct history_row *row, bool *is_refused,
                struct error *error);

/* The row is the one that `run` has next after step `after` (-1: its first). */
bool repeat_other(struct store *store, int64_t run, int64_t after,
                  const struct history_row *row, bool *is_refused,
                  struct error *error);

#endif
