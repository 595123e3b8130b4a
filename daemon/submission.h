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

/* Checks every job against its data and this machine, so many in a call.  A
 * fault that many jobs have is told of the first.  `notes` (an array) gets
 * sentences worth reading about a sweep that is not wrong.  All three are
 * borrowed until the review is freed. */
struct review;
struct review *review_new(const struct submission *submission,
                          struct faults *faults, struct cJSON *notes);
void review_free(struct review *review);                /* NULL is allowed */
bool review_go_on(struct review *review, int64_t jobs); /* true: all is said */

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
