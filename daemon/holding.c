#include "daemon/holding.h"

#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"

/* Of a run r. */
#define IS_KEPT_SQL                                                            \
    "EXISTS (SELECT 1 FROM job j JOIN sweep s ON s.id = j.sweep_id "           \
    "WHERE j.run_id = r.id AND s.is_kept)"

/* A kept sweep's newer and older ones; else hidden runs that are over are of
 * no use at all, and a job that waits outweighs whatever else there is. */
static const char rows[] =
    "SELECT c.run_id, r.key, c.file, c.bytes, c.step, c.attempt, "
    "(SELECT h.seconds FROM history h WHERE h.run_id = c.run_id "
    "AND h.step <= c.step ORDER BY h.step DESC LIMIT 1), " IS_KEPT_SQL ", "
    "EXISTS (SELECT 1 FROM job j WHERE j.run_id = r.id "
    "AND j.state IN ('held', 'queued', 'running')), "
    "r.replica < 0, "
    "EXISTS (SELECT 1 FROM checkpoint n WHERE n.run_id = c.run_id "
    "AND (n.step, n.attempt) > (c.step, c.attempt)), "
    "r.diverged_epoch IS NOT NULL "
    "OR EXISTS (SELECT 1 FROM run n WHERE n.key = r.key "
    "AND ifnull(n.device_class, '') = ifnull(r.device_class, '') "
    "AND n.replica > r.replica) "
    "OR NOT EXISTS (SELECT 1 FROM job j WHERE j.run_id = r.id "
    "AND j.state = 'done') "
    "FROM checkpoint c JOIN run r ON r.id = c.run_id "
    "ORDER BY c.run_id, c.file COLLATE BINARY";

enum { IS_KEPT = 7, IS_OPEN, IS_HIDDEN, IS_OLDER, IS_OVER };

static enum usefulness judge(struct statement *s)
{
    if (column_integer(s, IS_KEPT))
        return USE_KEPT;
    if (column_integer(s, IS_HIDDEN) && !column_integer(s, IS_OPEN))
        return USE_NONE;
    if (column_integer(s, IS_OLDER))
        return USE_OLDER;
    if (column_integer(s, IS_OPEN))
        return USE_OPEN;
    return column_integer(s, IS_OVER) ? USE_OVER : USE_DONE;
}

static struct held *add(struct holding *holding)
{
    if (holding->count == holding->capacity) {
        holding->capacity = 2 * holding->capacity + 64;
        holding->items = xrealloc(holding->items, (size_t)holding->capacity *
                                                      sizeof *holding->items);
    }
    struct held *held = &holding->items[holding->count++];
    *held = (struct held){.run = 0};
    return held;
}

static void read_row(struct held *held, struct statement *s)
{
    held->run = column_integer(s, 0);
    column_copy(s, 1, held->key, sizeof held->key);
    column_copy(s, 2, held->file.name, sizeof held->file.name);
    held->file.kind = FILE_CHECKPOINT;
    held->file.bytes = column_integer(s, 3);
    held->file.step = column_integer(s, 4);
    held->file.attempt = column_integer(s, 5);
    held->seconds = column_is_null(s, 6) ? 0 : column_real(s, 6);
    held->use = judge(s);
    held->has_row = true;
}

bool holding_read(struct holding *holding, struct db *db, struct error *error)
{
    *holding = (struct holding){0};
    struct statement *s = db_sql(db, rows);
    while (statement_next(s))
        read_row(add(holding), s);
    holding->row_count = holding->count;
    return statement_finish(s, error);
}

static int by_name(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return strcmp(x->file.name, y->file.name);
}

struct held *holding_add_file(struct holding *holding, int64_t run,
                              const char *key, const struct run_file *file)
{
    struct held wanted = {.run = run, .file = *file};
    struct held *held = holding->row_count ? bsearch(&wanted, holding->items,
                                                     (size_t)holding->row_count,
                                                     sizeof wanted, by_name)
                                           : NULL;
    if (!held || strcmp(held->key, key) != 0) {
        held = add(holding);
        held->run = run;
        memcpy(held->key, key, sizeof held->key);
        held->use = file->kind == FILE_DAMAGED ? USE_DAMAGED : USE_NONE;
    }
    held->file = *file;
    held->has_file = true;
    holding->bytes += file->bytes;
    return held;
}

bool holding_is_kept(struct db *db, int64_t run, bool *is_kept,
                     struct error *error)
{
    int64_t value;
    bool is_fine =
        db_read_number(db, "SELECT " IS_KEPT_SQL " FROM run r WHERE id = ?",
                       run, &value, error);
    *is_kept = is_fine && value;
    return is_fine;
}

static int by_use(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    if (x->use != y->use)
        return x->use < y->use ? -1 : 1;
    double left = x->seconds * (double)y->file.bytes;
    double right = y->seconds * (double)x->file.bytes;
    if (left != right)
        return left < right ? -1 : 1;
    return by_name(a, b);
}

void holding_sort(struct holding *holding)
{
    if (holding->count)
        qsort(holding->items, (size_t)holding->count, sizeof *holding->items,
              by_use);
    holding->row_count = 0;
}

void holding_release(struct holding *holding)
{
    free(holding->items);
    *holding = (struct holding){0};
}
