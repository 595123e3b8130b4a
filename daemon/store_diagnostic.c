/* Diagnostics of rows: a line of `diagnostic` for each layer. */
#include "daemon/operation.h"
#include "schema/diagnostic.h"

#define COLUMN(name) ", " #name
#define PARAMETER(name) ", ?"
#define BIND(name) bind_real(s, layer->name);

static bool add_layer(struct store *store, int64_t run, int64_t step, int l,
                      const struct diagnostic *layer, struct error *error)
{
    struct statement *s = db_sql(
        store->db, "INSERT INTO diagnostic (run_id, step, layer" DIAGNOSTICS(
                       COLUMN) ") VALUES (?, ?, ?" DIAGNOSTICS(PARAMETER) ")");
    bind_integer(s, run);
    bind_integer(s, step);
    bind_integer(s, l);
    DIAGNOSTICS(BIND)
    return statement_run(s, error);
}

bool store_diagnostics_add(struct store *store, int64_t run,
                           const struct history_row *row, struct error *error)
{
    for (int l = 0; l < row->layer_count; l++)
        if (!add_layer(store, run, row->step, l, &row->layers[l], error))
            return false;
    return true;
}

/* The columns from the second on. */
static bool is_same_layer(struct statement *s, const struct diagnostic *layer)
{
    int column = 1;
#define IS_SAME(name) store_is_same(column_real(s, column++), layer->name) &&
    return DIAGNOSTICS(IS_SAME) true;
}

bool store_diagnostics_compare(struct store *store, int64_t run,
                               const struct history_row *row, bool *is_equal,
                               struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT layer" DIAGNOSTICS(
                              COLUMN) " FROM diagnostic WHERE "
                                      "run_id = ? AND step = ? ORDER BY layer");
    bind_integer(s, run);
    bind_integer(s, row->step);
    int count = 0;
    *is_equal = true;
    for (; statement_next(s); count++)
        *is_equal = *is_equal && count < row->layer_count &&
                    column_integer(s, 0) == count &&
                    is_same_layer(s, &row->layers[count]);
    *is_equal = *is_equal && count == row->layer_count;
    return statement_finish(s, error);
}
