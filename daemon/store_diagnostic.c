/* Diagnostics of rows: a line of `diagnostic` for each layer. */
#include "daemon/operation.h"
#include "schema/diagnostic.h"

#define COLUMN(name) ", " #name
#define PARAMETER(name) ", ?"
#define AND_IS(name) " AND " #name " IS ?"
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

/* IS: NULL is NULL, which NaN is stored as. */
static bool compare_layer(struct store *store, int64_t run, int64_t step, int l,
                          const struct diagnostic *layer, bool *is_equal,
                          struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT 1 FROM diagnostic WHERE run_id = ? AND step = ? AND "
                   "layer = ?" DIAGNOSTICS(AND_IS));
    bind_integer(s, run);
    bind_integer(s, step);
    bind_integer(s, l);
    DIAGNOSTICS(BIND)
    *is_equal = statement_next(s);
    return statement_finish(s, error);
}

/* The number of layers is the run's: the row has been checked. */
bool store_diagnostics_compare(struct store *store, int64_t run,
                               const struct history_row *row, bool *is_equal,
                               struct error *error)
{
    *is_equal = true;
    for (int l = 0; l < row->layer_count && *is_equal; l++)
        if (!compare_layer(store, run, row->step, l, &row->layers[l], is_equal,
                           error))
            return false;
    return true;
}
