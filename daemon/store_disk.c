/* What the store does for its disk between transactions.
 *
 * The WAL is copied back when nothing has happened for a while, or when it has
 * grown by COPIED_PAGES since the last time, so that no copying takes long.
 * It begins anew by itself when all of it is copied and nobody reads; where
 * readers overlap for ever, new ones are held for a moment (gate.h).
 *
 * The ballast that a full disk took is made again when there is room.
 */
#include <math.h>

#include "daemon/clock.h"
#include "daemon/gate.h"
#include "daemon/operation.h"

enum {
    COPIED_PAGES = 2000,    /* at once, while there is work */
    WAL_PAGES_MOST = 16000, /* 64 MB, then the WAL is to begin anew, */
    WAL_PAGES_MORE = 4000,  /* or, if a reader is too slow, so much later */
    RENEWED_S = 2,          /* between two attempts at the ballast */
};

/* For each WAL_PAGES_MOST of the WAL, and in all: what one who asks may notice,
 * and no more. */
static const double HOLD_S = 0.02, HOLD_MOST_S = 0.05;

static bool copy(struct store *store,
                 bool (*copy_pages)(struct db *, struct error *),
                 struct error *error)
{
    ledger_copying(store->ledger);
    if (!copy_pages(store->db, error))
        return false;
    if (db_is_copied(store->db))
        ledger_copied(store->ledger);
    return true;
}

bool store_disk_copy(struct store *store, struct error *error)
{
    return copy(store, db_checkpoint, error);
}

/* Has the WAL begin anew, if no reader takes longer than a moment, which is the
 * longer the more there is of the WAL. */
static bool restart_wal(struct store *store, struct error *error)
{
    struct gate *gate = store->hooks.gate;
    double hold = HOLD_S * db_wal_length(store->db) / WAL_PAGES_MOST;
    bool is_fine = true;
    if (!gate || gate_close(gate, fmin(hold, HOLD_MOST_S)))
        is_fine = copy(store, db_restart, error);
    if (gate)
        gate_open(gate);
    store->restart_pages = db_wal_length(store->db) + WAL_PAGES_MORE;
    return is_fine;
}

static bool copy_wal(struct store *store, bool is_idle, struct error *error)
{
    int length = db_wal_length(store->db);
    if (length < WAL_PAGES_MOST)
        store->restart_pages = WAL_PAGES_MOST;
    else if (length >= store->restart_pages)
        return restart_wal(store, error);
    int pages = db_wal_pages(store->db);
    return pages < (is_idle ? 1 : COPIED_PAGES) ||
           store_disk_copy(store, error);
}

/* A disk does not say when it has room again. */
static void renew_ballast(struct store *store)
{
    if (store->ballast.is_there || store->is_stuck ||
        clock_monotonic() < store->ballast_tried + RENEWED_S)
        return;
    store->ballast_tried = clock_monotonic();
    ballast_renew(&store->ballast);
}

bool store_disk_check(struct store *store, struct error *error)
{
    int64_t spare = 0;
    struct statement *s =
        db_sql(store->db, "SELECT freelist_count * page_size "
                          "FROM pragma_freelist_count, pragma_page_size");
    while (statement_next(s))
        spare = column_integer(s, 0);
    return statement_finish(s, error) &&
           ballast_check(&store->ballast, spare, error);
}

bool store_disk_care(struct store *store, bool is_idle, struct error *error)
{
    renew_ballast(store);
    return copy_wal(store, is_idle, error);
}
