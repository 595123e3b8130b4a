#include "daemon/repeat.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} metrics[] = {
#define METRIC(name)                                                           \
    {                                                                          \
#name, offsetof(struct history_row, name)                              \
    }
    METRIC(train_accuracy), METRIC(train_loss),    METRIC(valid_accuracy),
    METRIC(valid_loss),     METRIC(test_accuracy), METRIC(test_loss),
#undef METRIC
};
enum {
    METRIC_COUNT = sizeof metrics / sizeof *metrics,
    DIFFERENCE_BYTES = 256,
};

static double *metric_of(struct history_row *row, int index)
{
    return (double *)((char *)row + metrics[index].offset);
}

static double metric(const struct history_row *row, int index)
{
    return *(const double *)((const char *)row + metrics[index].offset);
}

/* The run's first row at `step` or behind it. */
static bool find_row(struct store *store, int64_t run, int64_t step,
                     struct history_row *row, bool *is_there,
                     struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT step, epoch, state_hash, train_accuracy, "
                   "train_loss, valid_accuracy, valid_loss, test_accuracy, "
                   "test_loss FROM history WHERE run_id = ? AND step >= ? "
                   "ORDER BY step LIMIT 1");
    bind_integer(s, run);
    bind_integer(s, step);
    *is_there = statement_next(s);
    if (*is_there) {
        row->step = column_integer(s, 0);
        row->epoch = column_integer(s, 1);
        column_copy(s, 2, row->state_hash, sizeof row->state_hash);
        for (int i = 0; i < METRIC_COUNT; i++)
            *metric_of(row, i) = column_real(s, 3 + i);
    }
    return statement_finish(s, error);
}

static bool is_same(double a, double b)
{
    return a == b ? signbit(a) == signbit(b) : isnan(a) && isnan(b);
}

/* The first column in which the rows differ, in words; false: in none. */
static bool differ(const struct history_row *row, const struct history_row *was,
                   char text[DIFFERENCE_BYTES])
{
    for (int i = 0; i < METRIC_COUNT; i++) {
        if (is_same(metric(row, i), metric(was, i)))
            continue;
        snprintf(text, DIFFERENCE_BYTES, "%s is %.17g, was %.17g",
                 metrics[i].name, metric(row, i), metric(was, i));
        return true;
    }
    if (row->epoch != was->epoch)
        snprintf(text, DIFFERENCE_BYTES, "epoch is %lld, was %lld",
                 (long long)row->epoch, (long long)was->epoch);
    else if (strcmp(row->state_hash, was->state_hash))
        snprintf(text, DIFFERENCE_BYTES, "state_hash is %s, was %s",
                 row->state_hash, was->state_hash);
    else
        return false;
    return true;
}

/* As above, of rows and of what was measured in their layers. */
static bool compare(struct store *store, int64_t run,
                    const struct history_row *row,
                    const struct history_row *was, char text[DIFFERENCE_BYTES],
                    bool *differs, struct error *error)
{
    bool is_equal = true;
    *differs = differ(row, was, text);
    if (*differs)
        return true;
    if (!store_diagnostics_compare(store, run, row, &is_equal, error))
        return false;
    snprintf(text, DIFFERENCE_BYTES, "its diagnostics are others");
    *differs = !is_equal;
    return true;
}

bool repeat_own(struct store *store, int64_t run, int64_t last,
                const struct history_row *row, bool *is_refused,
                struct error *error)
{
    struct history_row was;
    bool is_there = false;
    char text[DIFFERENCE_BYTES];
    if (!find_row(store, run, row->step, &was, &is_there, error))
        return false;
    *is_refused = true;
    bool differs = false, is_it = is_there && was.step == row->step;
    if (is_it && !compare(store, run, row, &was, text, &differs, error))
        return false;
    if (!is_it)
        error_set(error, ERROR_CORRUPT,
                  "row of step %lld: behind step %lld and not stored",
                  (long long)row->step, (long long)last);
    else if (differs)
        error_set(error, ERROR_CORRUPT,
                  "nondeterministic: the row of step %lld differs from the "
                  "one stored: %s",
                  (long long)row->step, text);
    else
        *is_refused = false;
    return true;
}

bool repeat_other(struct store *store, int64_t run, int64_t after,
                  const struct history_row *row, bool *is_refused,
                  struct error *error)
{
    struct history_row was;
    bool is_there = false;
    char text[DIFFERENCE_BYTES];
    if (!find_row(store, run, after + 1, &was, &is_there, error))
        return false;
    long long step = row->step;
    bool differs = false, is_it = is_there && was.step == row->step;
    *is_refused = true;
    if (is_it && !compare(store, run, row, &was, text, &differs, error))
        return false;
    if (!is_there || was.step > row->step)
        error_set(error, ERROR_CORRUPT,
                  "not identical: the row of step %lld is one that run %lld "
                  "does not have",
                  step, (long long)run);
    else if (was.step < row->step)
        error_set(error, ERROR_CORRUPT,
                  "not identical: the row of step %lld, which run %lld has, "
                  "is missing before step %lld",
                  (long long)was.step, (long long)run, step);
    else if (differs)
        error_set(error, ERROR_CORRUPT,
                  "not identical: row of step %lld: %s in run %lld", step, text,
                  (long long)run);
    else
        *is_refused = false;
    return true;
}
