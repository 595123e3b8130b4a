/* notice.h: what the store has to tell the loop, in commit order.
 *
 * Notices are made on the store's thread while a transaction runs, handed over
 * after its commit, and turned into callbacks on the loop's thread.  Those of
 * an operation that failed are taken back.
 */
#ifndef DAEMON_NOTICE_H
#define DAEMON_NOTICE_H

#include "daemon/store.h"

struct notice;

struct notices {
    struct notice *first;
    struct notice **end; /* where the next one goes */
};

void notices_init(struct notices *notices);
void notices_release(struct notices *notices);
/* Moves all of `from` behind those of `to`. */
void notices_move(struct notices *to, struct notices *from);
/* Drops what was added after `mark`, an earlier value of `end`. */
void notices_undo(struct notices *notices, struct notice **mark);
/* Runs the callbacks, in order, and empties the list. */
void notices_deliver(struct notices *notices, const struct store_hooks *hooks);

/* Texts are copied.  `result` and `data` are taken. */
void notice_reply(struct notices *notices, store_reply *reply, void *user,
                  struct cJSON *result, const struct error *error,
                  struct cJSON *data);
void notice_dispatch(struct notices *notices, const struct dispatch *dispatch);
void notice_change(struct notices *notices, const struct job_change *change);
void notice_closed(struct notices *notices, int64_t attempt);
void notice_stop(struct notices *notices, int64_t attempt);
void notice_limited(struct notices *notices, int64_t attempt);
void notice_refused(struct notices *notices, int64_t attempt,
                    const struct error *error);
void notice_hook(struct notices *notices, const struct hook_order *order);
/* `kind` is borrowed for ever. */
void notice_event(struct notices *notices, int64_t event, const char *kind);
void notice_wait(struct notices *notices, int64_t job, double seconds);
void notice_wanted(struct notices *notices, int device);
void notice_stuck(struct notices *notices,
                  const struct error *error); /* NULL: no longer */
void notice_left(struct notices *notices, const struct error *error);
void notice_fatal(struct notices *notices, const struct error *error);

/* One per attempt and transaction: the notice is remembered by the caller in
 * `*kept` (NULL at first) and raised to the highest step. */
void notice_committed(struct notices *notices, struct notice **kept,
                      int64_t attempt, int64_t step);

#endif
