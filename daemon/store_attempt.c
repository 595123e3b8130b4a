/* What workers report: that they begin, and rows.
 *
 * A row is checked against the run before it is stored, so that a bad one is
 * refused alone: the first is step 0, steps increase, no epoch's end is left
 * out, numbers are finite.  Messages of an attempt that has ended are ignored.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/ledger_notes.h"
#include "daemon/operation.h"
#include "daemon/repeat.h"
#include "schema/diagnostic.h"

/* An attempt that has not ended, with its run; -1: no row yet. */
struct open_attempt {
    int64_t id, job, run, steps_per_epoch, step, epochs_done;
    bool has_valid_rows;
    int layer_count;                /* that its rows have diagnostics of */
    int64_t verifies, verified_run; /* a job and its run; 0: none */
    char key[33];                   /* of the run */
};

/* The run's layers, from its columns tower, nb_layers and widths. */
static int count_layers(struct statement *s, int first)
{
    struct settings settings;
    int widths[LAYERS_MAX];
    settings_init(&settings);
    settings.tower = column_integer(s, first);
    settings.nb_layers = column_integer(s, first + 1);
    column_copy(s, first + 2, settings.widths, sizeof settings.widths);
    return settings_widths(&settings, 0, widths);
}

static bool load_attempt(struct store *store, int64_t id,
                         struct open_attempt *attempt, bool *is_open,
                         struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT j.id, r.id, r.steps_per_epoch, r.step, r.epochs_done, "
        "r.valid_rows > 0, r.diagnostics, r.tower, r.nb_layers, r.widths, "
        "j.verifies, v.run_id, r.key FROM attempt a JOIN job j ON j.id = "
        "a.job_id "
        "JOIN run r ON r.id = j.run_id LEFT JOIN job v ON v.id = j.verifies "
        "WHERE a.id = ? AND a.ended_at IS NULL");
    bind_integer(s, id);
    *is_open = statement_next(s);
    if (*is_open) {
        attempt->id = id;
        attempt->job = column_integer(s, 0);
        attempt->run = column_integer(s, 1);
        attempt->steps_per_epoch = column_integer(s, 2);
        attempt->step = column_integer_or(s, 3, -1);
        attempt->epochs_done = column_integer_or(s, 4, -1);
        attempt->has_valid_rows = column_integer(s, 5);
        attempt->layer_count = column_integer(s, 6) ? count_layers(s, 7) : 0;
        attempt->verifies = column_integer_or(s, 10, 0);
        attempt->verified_run = column_integer_or(s, 11, 0);
        column_copy(s, 12, attempt->key, sizeof attempt->key);
    }
    return statement_finish(s, error);
}

/* An attempt begins. */

struct started_operation {
    struct operation operation;
    int64_t attempt, step;
    pid_t pid;
};

static bool run_started(struct store *store, struct operation *operation,
                        struct error *error)
{
    const struct started_operation *o = (struct started_operation *)operation;
    struct statement *s =
        db_sql(store->db, "UPDATE attempt SET pid = ?, from_step = ? "
                          "WHERE id = ? AND ended_at IS NULL");
    bind_integer(s, o->pid);
    bind_integer(s, o->step);
    bind_integer(s, o->attempt);
    return statement_run(s, error) &&
           store_attempt_resumed(store, o->attempt, o->step, error);
}

void store_attempt_started(struct store *store, int64_t attempt, pid_t pid,
                           int64_t step)
{
    struct started_operation *o = operation_new(sizeof *o, run_started);
    o->operation.is_kept = true;
    o->attempt = attempt;
    o->pid = pid;
    o->step = step;
    store_push(store, &o->operation);
}

/* Rows. */

struct row_operation {
    struct operation operation;
    int64_t attempt;
    struct history_row row;
    struct diagnostic layers[]; /* row.layers */
};

static bool is_finite_row(const struct history_row *row, bool has_valid_rows)
{
    bool has_valid = isfinite(row->valid_accuracy) && isfinite(row->valid_loss);
    bool no_valid = isnan(row->valid_accuracy) && isnan(row->valid_loss);
    return isfinite(row->train_accuracy) && isfinite(row->train_loss) &&
           isfinite(row->test_accuracy) && isfinite(row->test_loss) &&
           isfinite(row->seconds) && (has_valid_rows ? has_valid : no_valid);
}

/* The row itself, and its place behind the run's last one. */
static bool check_row(const struct open_attempt *a,
                      const struct history_row *row, struct error *error)
{
    if (!is_finite_row(row, a->has_valid_rows))
        return error_set(error, ERROR_CORRUPT,
                         "row of step %lld: a metric is missing or not a "
                         "finite number",
                         (long long)row->step);
    if (row->step < 0 || row->epoch != row->step / a->steps_per_epoch)
        return error_set(error, ERROR_CORRUPT,
                         "row of step %lld: not of epoch %lld at %lld steps "
                         "per epoch",
                         (long long)row->step, (long long)row->epoch,
                         (long long)a->steps_per_epoch);
    int64_t most = (a->epochs_done + 1) * a->steps_per_epoch;
    if (row->step > most)
        return error_set(error, ERROR_CORRUPT,
                         "row of step %lld: the row of step %lld is missing",
                         (long long)row->step, (long long)most);
    if (row->layer_count != a->layer_count)
        return error_set(error, ERROR_CORRUPT,
                         "row of step %lld: diagnostics of %d layers, expected "
                         "%d",
                         (long long)row->step, row->layer_count,
                         a->layer_count);
    return true;
}

static bool insert_row(struct store *store, int64_t run,
                       const struct history_row *row, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "INSERT INTO history (run_id, step, epoch, train_accuracy, train_loss, "
        "valid_accuracy, valid_loss, test_accuracy, test_loss, state_hash, "
        "seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_integer(s, run);
    bind_integer(s, row->step);
    bind_integer(s, row->epoch);
    bind_real(s, row->train_accuracy);
    bind_real(s, row->train_loss);
    bind_real(s, row->valid_accuracy);
    bind_real(s, row->valid_loss);
    bind_real(s, row->test_accuracy);
    bind_real(s, row->test_loss);
    bind_text(s, row->state_hash);
    bind_real(s, row->seconds);
    return statement_run(s, error);
}

static bool advance_run(struct store *store, const struct open_attempt *a,
                        const struct history_row *row, struct error *error)
{
    bool is_epoch_end = row->step == row->epoch * a->steps_per_epoch;
    struct statement *s =
        db_sql(store->db, "UPDATE run SET step = ?, state_hash = ?, "
                          "epochs_done = ? WHERE id = ?");
    bind_integer(s, row->step);
    bind_text(s, row->state_hash);
    bind_integer(s, is_epoch_end ? row->epoch : a->epochs_done);
    bind_integer(s, a->run);
    if (!statement_run(s, error))
        return false;
    return !is_epoch_end || store_run_wake(store, a->run, error);
}

/* What the job it verifies has must come again. */
static bool check_verified(struct store *store, const struct open_attempt *a,
                           const struct history_row *row, bool *is_refused,
                           struct error *error)
{
    if (a->verified_run)
        return repeat_other(store, a->verified_run, a->step, row, is_refused,
                            error);
    *is_refused = true;
    error_set(error, ERROR_NOT_FOUND, "job %lld, which it verifies, is gone",
              (long long)a->verifies);
    return true;
}

/* False only when the database fails. */
static bool take_row(struct store *store, const struct open_attempt *a,
                     const struct history_row *row, bool *is_refused,
                     struct error *error)
{
    *is_refused = !check_row(a, row, error);
    if (*is_refused)
        return true;
    if (row->step <= a->step)
        return repeat_own(store, a->run, a->step, row, is_refused, error);
    if (a->verifies && !check_verified(store, a, row, is_refused, error))
        return false;
    if (*is_refused)
        return true;
    ledger_notes_row(ledger_notes(store->ledger), a->run, a->key, row->step);
    return insert_row(store, a->run, row, error) &&
           store_diagnostics_add(store, a->run, row, error) &&
           advance_run(store, a, row, error);
}

static bool run_row(struct store *store, struct operation *operation,
                    struct error *error)
{
    const struct row_operation *o = (struct row_operation *)operation;
    struct open_attempt attempt;
    bool is_open, is_refused;
    if (!load_attempt(store, o->attempt, &attempt, &is_open, error))
        return false;
    struct slot *slot = store_slot_of(store, o->attempt);
    if (!is_open || !slot || slot->refused == o->attempt)
        return true;
    if (!take_row(store, &attempt, &o->row, &is_refused, error))
        return false;
    if (is_refused) {
        slot->refused = o->attempt;
        slot->refusal = *error;
        notice_refused(&store->said, o->attempt, error);
    } else
        notice_committed(&store->said, &slot->committed, o->attempt,
                         o->row.step);
    return true;
}

void store_row(struct store *store, int64_t attempt,
               const struct history_row *row)
{
    size_t layers_bytes = (size_t)row->layer_count * sizeof *row->layers;
    struct row_operation *o = operation_new(sizeof *o + layers_bytes, run_row);
    o->operation.is_kept = true;
    o->attempt = attempt;
    o->row = *row;
    o->row.layers = o->layers;
    if (layers_bytes > 0)
        memcpy(o->layers, row->layers, layers_bytes);
    store_push(store, &o->operation);
}
