/* lock.h: the lock on a run's folder, held for as long as it is touched.
 *
 * flock on the file `lock`, which stays.  Another worker may hold it, one that
 * is told to leave but has not left: waiting for it is left to a thread, so
 * that the worker's own can hear messages meanwhile.
 */
#ifndef WORKER_LOCK_H
#define WORKER_LOCK_H

#include "schema/error.h"

struct channel;
struct lock;

/* Asks for the lock of a folder, which is made if need be.  Usually it is had
 * at once; else `channel` is woken when it is.  It must outlive the lock. */
struct lock *lock_new(const char *folder, struct channel *channel,
                      struct error *error);

/* LOCK_GONE: the folder was removed meanwhile; ask again. */
enum lock_state { LOCK_WAITING, LOCK_HELD, LOCK_GONE, LOCK_FAILED };
enum lock_state lock_state(struct lock *lock);

/* Gives it back, or gives up waiting; NULL-safe. */
void lock_free(struct lock *lock);

#endif
