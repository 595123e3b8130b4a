/* reader.h: questions, answered from read-only connections off the loop.
 *
 * A few threads, each with a connection of its own, so that a long question
 * delays neither a commit nor another question; one user gets at most half of
 * the threads.  Every question has a deadline, because a reader left open would
 * pin the WAL.
 */
#ifndef DAEMON_READER_H
#define DAEMON_READER_H

#include "daemon/store.h"

struct reader;

/* `gate` is borrowed; each question passes through it.  `wake` as in store.h;
 * the loop then calls reader_deliver.  deadline_s 0: none; such questions are
 * stopped when the reader closes. */
struct reader *reader_open(const char *path, struct gate *gate, int threads,
                           double deadline_s, void (*wake)(void *user),
                           void *user, struct error *error);
void reader_close(struct reader *reader);
void reader_deliver(struct reader *reader);

/* `method` is a question: list, sweeps, show, history, results, explain,
 * verification, counts (the daemon's own part of status: {"counts",
 * "sweeps"}).  Takes `params`.  Replied on the loop's thread. */
void reader_ask(struct reader *reader, const char *method, struct cJSON *params,
                const struct caller *caller, store_reply *reply, void *user);

#endif
