#include "daemon/fsck_rule.h"

#include "daemon/missing.h"
#include "schema/control.h"

#define FINAL "('done', 'failed', 'cancelled')"
#define LIVE_RUN "r.key NOT LIKE 'deleted-%'"
#define OPEN "a.ended_at IS NULL"

/* The step behind which a row stands, and that of the next evaluation: after
 * eval_offset + k eval_every batches of the epoch, and at its end. */
#define STEPS                                                                  \
    "SELECT h.run_id, h.step, r.steps_per_epoch AS epoch, "                    \
    "r.eval_every AS every, r.eval_offset AS offset, "                         \
    "lag(h.step) OVER (PARTITION BY h.run_id ORDER BY h.step) AS before "      \
    "FROM history h JOIN run r ON r.id = h.run_id WHERE " LIVE_RUN
#define NEXT                                                                   \
    "before - before % epoch + iif(every = 0, epoch, min(epoch, "              \
    "offset + every * (max(before % epoch - offset, 0) / every + 1)))"

/* What was chosen for a sweep's jobs is of no use when they have ended; of a
 * text only that it was chosen is known. */
#define DIFFERS_INTEGER(name) "s.\"" #name "\" <> m.first AND "
#define DIFFERS_BOOLEAN(name) DIFFERS_INTEGER(name)
#define DIFFERS_TEXT(name) ""
#define DIFFERS(name, type, ...)                                               \
    " WHEN '" #name "' THEN " DIFFERS_##type(                                  \
        name) "EXISTS (SELECT 1 FROM job j WHERE j.sweep_id = s.id "           \
              "AND j.state NOT IN " FINAL ")"

#define BACKUP "put back a backup, if there is one, or delete the sweep"

/* Of what a damaged log has lost, that which has not come back. */
#define MISSING(kind, condition)                                               \
    "SELECT " MISSING_TEXT " FROM missing m WHERE kind = '" kind               \
    "' AND " condition

const struct fsck_rule fsck_rules[] = {
    {"integrity",
     "SELECT integrity_check FROM pragma_integrity_check(20) "
     "WHERE integrity_check <> 'ok'",
     "stop gaitd and put back a backup"},
    {"references",
     "SELECT format('a row of the table %s (%s) has no %s', f.\"table\", "
     "ifnull(f.rowid, 'without number'), f.parent) "
     "FROM pragma_foreign_key_check f",
     "stop gaitd and put back a backup"},
    {"ledger",
     "SELECT format('the table ledger has %d rows, expected 1', count(*)) "
     "FROM ledger HAVING count(*) <> 1",
     "stop gaitd and put back a backup"},
    {"missing sweep",
     MISSING("sweep", "NOT EXISTS (SELECT 1 FROM sweep s WHERE s.name = m.name "
                      "AND s.is_complete) AND NOT EXISTS (SELECT 1 FROM "
                      "deletion d WHERE d.name = m.name)"),
     "submit it again"},
    {"missing rows",
     MISSING("rows", "EXISTS (SELECT 1 FROM run r WHERE r.id = m.item AND "
                     "r.key LIKE m.name || '%') AND NOT "
                     "EXISTS (SELECT 1 FROM history h WHERE "
                     "h.run_id = m.item AND h.step = m.last)"),
     "they are computed again when a job goes on there"},
    {"missing ends",
     MISSING("jobs", "EXISTS (SELECT 1 FROM job j WHERE j.id BETWEEN m.first "
                     "AND m.last AND j.state NOT IN " FINAL ")"),
     "done and failed ones end again by themselves, others are to be "
     "cancelled"},
    {"missing deletion",
     MISSING("deletion", "EXISTS (SELECT 1 FROM sweep s WHERE s.name = m.name "
                         "AND s.id = m.item)"),
     "delete it again"},
    {"missing controls",
     MISSING("control",
             "EXISTS (SELECT 1 FROM sweep s WHERE s.id = m.item AND "
             "s.is_complete AND CASE m.name WHEN 'is_kept' THEN "
             "s.is_kept <> m.first WHEN 'priority' THEN EXISTS (SELECT 1 "
             "FROM job j WHERE j.sweep_id = s.id AND j.priority <> m.first "
             "AND j.state NOT IN " FINAL ") " CONTROLS(DIFFERS) " END)"),
     "choose it again: gaitctl keep, control"},
    {"missing transactions", MISSING("commits", "true"),
     "look whether sweeps or answers that you know of are missing"},
    {"steps",
     "SELECT format('run %d: %s comes the row of step %d, expected %d', "
     "run_id, ifnull('after step ' || before, 'first'), step, expected) FROM "
     "(SELECT run_id, before, step, ifnull(" NEXT ", 0) AS expected "
     "FROM (" STEPS ")) WHERE step <> expected",
     BACKUP},
    {"epochs",
     "SELECT format('run %d: the row of step %d says epoch %d, expected %d', "
     "h.run_id, h.step, h.epoch, h.step / r.steps_per_epoch) "
     "FROM history h JOIN run r ON r.id = h.run_id "
     "WHERE h.epoch <> h.step / r.steps_per_epoch",
     BACKUP},
    {"last row",
     "SELECT format('run %d: its last row is said to be of step %s, epoch %s, "
     "hash %s, and is of step %s, epoch %s, hash %s', r.id, "
     "ifnull(r.step, 'none'), ifnull(r.epochs_done, 'none'), "
     "ifnull(r.state_hash, 'none'), ifnull(h.step, 'none'), "
     "ifnull(h.epoch, 'none'), ifnull(h.state_hash, 'none')) "
     "FROM run r LEFT JOIN history h ON h.run_id = r.id AND h.step = "
     "(SELECT max(step) FROM history WHERE run_id = r.id) WHERE " LIVE_RUN
     " AND (r.step, r.epochs_done, r.state_hash) IS NOT "
     "(h.step, h.step / r.steps_per_epoch, h.state_hash)",
     "it is set right when a job goes on there"},
    {"done jobs",
     "SELECT format('job %d is done, but its run %d has no row of step %d', "
     "j.id, r.id, j.nb_epochs * r.steps_per_epoch) FROM job j "
     "JOIN run r ON r.id = j.run_id WHERE j.state = 'done' AND NOT EXISTS "
     "(SELECT 1 FROM history h WHERE h.run_id = r.id "
     "AND h.step = j.nb_epochs * r.steps_per_epoch)",
     "submit its training again under another name, with --fresh"},
    {"metrics",
     "SELECT format('job %d: the metrics kept with it are not those of its "
     "rows', j.id) FROM job j JOIN run r ON r.id = j.run_id "
     "WHERE j.state = 'done' AND ((j.final_train_accuracy, "
     "j.final_valid_accuracy, j.final_test_accuracy, j.final_test_loss) IS NOT "
     "(SELECT train_accuracy, valid_accuracy, test_accuracy, test_loss "
     "FROM history WHERE run_id = r.id "
     "AND step = j.nb_epochs * r.steps_per_epoch) OR "
     "(j.peak_train_accuracy, j.peak_valid_accuracy, j.peak_test_accuracy) "
     "IS NOT (SELECT max(train_accuracy), max(valid_accuracy), "
     "max(test_accuracy) FROM history WHERE run_id = r.id "
     "AND step <= j.nb_epochs * r.steps_per_epoch))",
     "its history is right, results are not: put back a backup"},
    {"attempts",
     "SELECT format('run %d: %d attempts are under way at once, of jobs %s', "
     "j.run_id, count(*), group_concat(j.id)) FROM attempt a "
     "JOIN job j ON j.id = a.job_id WHERE " OPEN
     " GROUP BY j.run_id HAVING count(*) > 1",
     "restart gaitd"},
    {"running jobs",
     "SELECT format('job %d is running without an attempt', j.id) FROM job j "
     "WHERE j.state = 'running' AND NOT EXISTS (SELECT 1 FROM attempt a "
     "WHERE a.job_id = j.id AND " OPEN ")",
     "cancel it and submit it again"},
    {"ready jobs",
     "SELECT format('job %d may be started, although it is %s%s', j.id, "
     "j.state, CASE WHEN j.reason IS NOT NULL THEN ' and ' || j.reason "
     "WHEN j.state = 'queued' THEN ' while its run is trained' ELSE '' "
     "END) FROM job j WHERE j.is_ready AND (j.state <> 'queued' "
     "OR j.reason IS NOT NULL OR EXISTS (SELECT 1 FROM job t WHERE "
     "t.run_id = j.run_id AND t.id <> j.id AND t.state = 'running'))",
     "cancel it and submit it again"},
    {"queued jobs",
     "SELECT format('job %d is queued with nothing in its way, and would never "
     "be started', min(j.id)) FROM job j JOIN sweep s ON s.id = j.sweep_id "
     "WHERE j.state = 'queued' AND j.reason IS NULL AND s.is_complete "
     "AND ifnull(j.position < s.entered, true) AND NOT EXISTS (SELECT 1 "
     "FROM job t WHERE t.run_id = j.run_id AND (t.is_ready "
     "OR t.state = 'running' OR EXISTS (SELECT 1 FROM attempt a "
     "WHERE a.job_id = t.id AND " OPEN "))) GROUP BY j.run_id",
     "cancel it and submit it again"},
    {"states",
     "SELECT format('job %d is in the unknown state \"%s\"', id, state) "
     "FROM job WHERE state NOT IN ('held', 'queued', 'running', 'done', "
     "'failed', 'cancelled')",
     BACKUP},
    {"ends",
     "SELECT format('job %d is %s, and its end is %s', id, state, "
     "ifnull(datetime(finished_at, 'unixepoch'), 'not known')) FROM job "
     "WHERE (state IN " FINAL ") <> (finished_at IS NOT NULL)",
     "nothing: lists show it"},
    {"sweeps",
     "SELECT format('sweep \"%s\" (sweep-%d) has %d jobs, expected %d', "
     "s.name, s.id, count(j.id), s.job_count) FROM sweep s "
     "LEFT JOIN job j ON j.sweep_id = s.id WHERE s.is_complete "
     "GROUP BY s.id HAVING count(j.id) <> s.job_count",
     BACKUP},
    {"counts",
     "SELECT format('sweep-%d: %d jobs are counted as %s, and %d are', "
     "c.sweep_id, c.count, c.state, (SELECT count(*) FROM job j "
     "WHERE j.sweep_id = c.sweep_id AND j.state = c.state)) "
     "FROM job_count c JOIN sweep s ON s.id = c.sweep_id WHERE s.is_complete "
     "AND c.count <> (SELECT count(*) FROM job j "
     "WHERE j.sweep_id = c.sweep_id AND j.state = c.state)",
     "lists of sweeps are wrong: put back a backup"},
    {"diagnostics",
     "SELECT format('run %d: the row of step %d has diagnostics of %d layers, "
     "expected %d', h.run_id, h.step, (SELECT count(*) FROM diagnostic d "
     "WHERE d.run_id = h.run_id AND d.step = h.step), layers) FROM (SELECT "
     "r.id, (SELECT ifnull(max(layer), 0) + 1 FROM diagnostic "
     "WHERE run_id = r.id) AS layers FROM run r WHERE r.diagnostics "
     "AND " LIVE_RUN ") r JOIN history h ON h.run_id = r.id WHERE "
     "layers <> (SELECT count(*) FROM diagnostic d WHERE d.run_id = h.run_id "
     "AND d.step = h.step)",
     BACKUP},
};
const int fsck_rule_count = sizeof fsck_rules / sizeof *fsck_rules;
