/* metrics.h: what a job's rows come to, as SQL over a job j and its run r.
 *
 * final: at the job's last epoch.  peak: the maximum of a column over the
 * job's rows.  Both are kept in `job` when it is done; peaks of other jobs are
 * looked up, so that they can be seen growing.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

/* Rows of `history` h that are the job's. */
#define JOB_ROWS                                                               \
    "h.run_id = j.run_id AND h.step <= j.nb_epochs * r.steps_per_epoch"

/* What happened to the run behind the job's last epoch is not its. */
#define DIVERGED_EPOCH                                                         \
    "CASE WHEN r.diverged_epoch <= j.nb_epochs THEN r.diverged_epoch END"

#define METRIC_final(column)                                                   \
    "CASE j.state WHEN 'done' THEN j.final_" column " END"
#define METRIC_peak(column)                                                    \
    "CASE j.state WHEN 'done' THEN j.peak_" column                             \
    " ELSE (SELECT max(h." column ") FROM history h WHERE " JOB_ROWS ") END"

/* X(kind, column of history), in the order of answers. */
#define METRICS(X)                                                             \
    X(final, train_accuracy)                                                   \
    X(final, valid_accuracy)                                                   \
    X(final, test_accuracy)                                                    \
    X(peak, train_accuracy)                                                    \
    X(peak, valid_accuracy)                                                    \
    X(peak, test_accuracy)                                                     \
    X(final, test_loss)

/* ", <expression> AS final_train_accuracy, ..." */
#define METRIC_COLUMN(kind, column)                                            \
    ", " METRIC_##kind(#column) " AS " #kind "_" #column
#define METRIC_COLUMNS METRICS(METRIC_COLUMN)

#endif
