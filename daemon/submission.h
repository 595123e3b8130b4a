/* submission.h: what can be said of a submission without looking at what is
 * stored: its faults, its notes, the labels of its jobs.
 */
#ifndef DAEMON_SUBMISSION_H
#define DAEMON_SUBMISSION_H

#include "daemon/store.h"
#include "schema/faults.h"

struct cJSON;

/* The shape of the job's data set; NULL when the submission lacks it. */
const struct dataset_shape *submission_shape(const struct submission *s,
                                             const struct settings *settings);

/* Whether `spec`, stored earlier, stands for the same jobs in the same order:
 * the same trainings, lengths and placements, however they were written. */
bool submission_is_same(const struct submission *submission,
                        const struct cJSON *spec);

/* Checks every job against its data and this machine.  A fault that many jobs
 * have is told of the first.  `notes` (an array) gets sentences worth reading
 * about a sweep that is not wrong. */
void submission_review(const struct submission *submission,
                       struct faults *faults, struct cJSON *notes);

/* The settings in which the job differs from others of the sweep, as they take
 * effect: "seed=101 learning_rate=0.001", with `between` between them, cut to
 * `bytes`; empty when there is one job. */
void submission_label(const struct submission *submission,
                      const struct settings *settings, const char *between,
                      char *text, size_t bytes);

/* Where a job can run. */
void submission_demand(const struct settings *settings,
                       const struct dataset_shape *shape,
                       struct demand *demand);

#endif
