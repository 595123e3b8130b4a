/* attempt.h: one execution of a job: train a run to an epoch, and tell.
 *
 * In order: the data set, the lock on the run's folder, a trainer, the newest
 * good checkpoint, `started`, rows that an earlier attempt measured and did
 * not see committed, training, a checkpoint, and `done`, `stopped` or
 * `failed` (protocol.md).  A message to stop, or the channel's end, is obeyed
 * after the batch under way.
 *
 * A checkpoint may be ahead of `to_epoch`, when another job took the run
 * further.  If it carries the row of that epoch, the rows up to there are
 * sent and the attempt is done, without training.  If not (the row is on disk
 * at gaitd, who would not have asked, or its database is older than the
 * folder), training begins at an older checkpoint or at nothing, and gives the
 * same rows again.
 *
 * A checkpoint that cannot be written is a warning: done and stopped stand,
 * and the next attempt has more to compute.
 */
#ifndef WORKER_ATTEMPT_H
#define WORKER_ATTEMPT_H

#include "worker/dataset.h"

struct cJSON;
struct channel;
struct device;

/* Runs what a `start` message asks for.  False: told to quit, meanwhile. */
bool attempt_run(struct channel *channel, struct shelf *shelf,
                 struct device *device, const struct cJSON *start);

#endif
