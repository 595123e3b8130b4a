/* Which job goes next.
 *
 * Highest priority first.  At equal priority owners take turns: who has the
 * fewest slots busy, then who was served longest ago; so two owners share the
 * slots in halves however long their jobs are, and a single slot alternates.
 * Within an owner the oldest sweep first, in the order of its jobs.
 *
 * The index job_ready holds every job that could start now but for limits, in
 * the order (lane, priority, owner, sweep, job), and is skipped through: one
 * look per lane and owner, and one per sweep that is at its limit, of which
 * there are no more than jobs run.  Jobs of one lane can run in the same
 * places, so one that has to wait stands for those behind it.  What it costs
 * does not depend on how many jobs wait.
 */
#include <stdlib.h>

#include "daemon/operation.h"
#include "schema/memory.h"

/* An owner who has ready jobs of the priority. */
struct share {
    int64_t owner, turn;
    int busy; /* slots */
};

struct shares {
    int count;
    struct share *share;
};

static int count_busy(const struct store *store, int64_t owner)
{
    int count = 0;
    for (int i = 0; i < store->slot_count; i++)
        count +=
            store->slots[i].attempt && store->slots[i].job_of.owner == owner;
    return count;
}

/* Jobs under way, of an owner or of a sweep; the other is 0. */
static int count_running(const struct store *store, int64_t owner,
                         int64_t sweep)
{
    int count = 0;
    for (int i = 0; i < store->slot_count; i++) {
        const struct job_of *job_of = &store->slots[i].job_of;
        count += store->slots[i].attempt && job_of->is_lowest &&
                 (sweep ? job_of->sweep == sweep : job_of->owner == owner);
    }
    return count;
}

/* The highest priority below `*priority` that has a ready job. */
static bool next_priority(struct store *store, const char *lane,
                          int64_t *priority, bool *found, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT priority FROM job INDEXED BY job_ready "
                          "WHERE is_ready = 1 AND lane = ? AND priority < ? "
                          "ORDER BY priority DESC LIMIT 1");
    bind_text(s, lane);
    bind_integer(s, *priority);
    *found = statement_next(s);
    if (*found)
        *priority = column_integer(s, 0);
    return statement_finish(s, error);
}

static bool next_owner(struct store *store, const char *lane, int64_t priority,
                       struct share *share, bool *found, struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT j.owner_uid, ifnull((SELECT turn FROM owner WHERE "
                   "uid = j.owner_uid), 0) FROM job j INDEXED BY job_ready "
                   "WHERE j.is_ready = 1 AND j.lane = ? AND j.priority = ? "
                   "AND j.owner_uid > ? ORDER BY j.owner_uid LIMIT 1");
    bind_text(s, lane);
    bind_integer(s, priority);
    bind_integer(s, share->owner);
    *found = statement_next(s);
    if (*found) {
        share->owner = column_integer(s, 0);
        share->turn = column_integer(s, 1);
        share->busy = count_busy(store, share->owner);
    }
    return statement_finish(s, error);
}

static int compare(const void *a, const void *b)
{
    const struct share *x = a, *y = b;
    if (x->busy != y->busy)
        return x->busy < y->busy ? -1 : 1;
    return (x->turn > y->turn) - (x->turn < y->turn);
}

/* In the order in which they are to be served.  The shares are the caller's to
 * free. */
static bool find_shares(struct store *store, const char *lane, int64_t priority,
                        struct shares *shares, struct error *error)
{
    struct share share = {.owner = -1};
    bool found = true;
    *shares = (struct shares){0};
    while (found) {
        if (!next_owner(store, lane, priority, &share, &found, error))
            return false;
        if (!found)
            break;
        size_t count = (size_t)shares->count++;
        shares->share =
            xrealloc(shares->share, (count + 1) * sizeof *shares->share);
        shares->share[count] = share;
    }
    if (shares->count > 1)
        qsort(shares->share, (size_t)shares->count, sizeof *shares->share,
              compare);
    return true;
}

/* The first job of the owner's next sweep after `head->sweep`, in the lane and
 * of the priority that are there; *limit: of the sweep, 0: none. */
static bool next_sweep(struct store *store, struct queue_head *head,
                       int64_t *limit, bool *found, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT j.sweep_id, j.id, j.run_id, j.threads, r.device_class, "
        "s.max_running, s.is_failing, j.device, j.gpu_bytes "
        "FROM job j INDEXED BY job_ready "
        "JOIN run r ON r.id = j.run_id JOIN sweep s ON s.id = j.sweep_id "
        "WHERE j.is_ready = 1 AND j.lane = ? AND j.priority = ? "
        "AND j.owner_uid = ? AND j.sweep_id > ? "
        "ORDER BY j.sweep_id, j.id LIMIT 1");
    bind_text(s, head->lane);
    bind_integer(s, head->priority);
    bind_integer(s, head->owner);
    bind_integer(s, head->sweep);
    *found = statement_next(s);
    if (*found) {
        head->sweep = column_integer(s, 0);
        head->job = column_integer(s, 1);
        head->run = column_integer(s, 2);
        head->demand.threads = (int)column_integer(s, 3);
        column_copy(s, 4, head->device_class, sizeof head->device_class);
        *limit = column_integer(s, 5);
        head->is_failing = column_integer(s, 6);
        column_copy(s, 7, head->demand.device, sizeof head->demand.device);
        head->demand.gpu_bytes = column_integer(s, 8);
    }
    return statement_finish(s, error);
}

static bool is_full(const struct store *store, const struct queue_head *head,
                    int64_t limit)
{
    return limit && count_running(store, 0, head->sweep) >= limit;
}

/* The owner's first job that no limit keeps back. */
static bool find_of_owner(struct store *store, const struct share *share,
                          struct queue_head *head, bool *found,
                          struct error *error)
{
    int64_t most = store->limits.max_running, limit = 0;
    *found = false;
    if (most && count_running(store, share->owner, 0) >= most)
        return true;
    head->owner = share->owner;
    head->turn = share->turn;
    head->busy = share->busy;
    head->sweep = 0;
    do {
        if (!next_sweep(store, head, &limit, found, error))
            return false;
    } while (*found && (head->is_failing || is_full(store, head, limit)));
    return true;
}

static bool find_of_priority(struct store *store, struct queue_head *head,
                             bool *found, struct error *error)
{
    struct shares shares;
    bool is_fine =
        find_shares(store, head->lane, head->priority, &shares, error);
    *found = false;
    for (int i = 0; is_fine && !*found && i < shares.count; i++)
        is_fine = find_of_owner(store, &shares.share[i], head, found, error);
    free(shares.share);
    return is_fine;
}

static bool find_of_lane(struct store *store, struct queue_head *head,
                         bool *found, struct error *error)
{
    head->priority = INT64_MAX;
    *found = false;
    while (!*found) {
        bool has_more;
        if (!next_priority(store, head->lane, &head->priority, &has_more,
                           error))
            return false;
        if (!has_more)
            return true;
        if (!find_of_priority(store, head, found, error))
            return false;
    }
    return true;
}

/* The lane after `head->lane` that has a ready job. */
static bool next_lane(struct store *store, struct queue_head *head, bool *found,
                      struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT lane FROM job INDEXED BY job_ready "
                          "WHERE is_ready = 1 AND lane > ? "
                          "ORDER BY lane LIMIT 1");
    bind_text(s, head->lane);
    *found = statement_next(s);
    if (*found)
        column_copy(s, 0, head->lane, sizeof head->lane);
    return statement_finish(s, error);
}

static int compare_heads(const void *a, const void *b)
{
    const struct queue_head *x = a, *y = b;
    struct share of_x = {.turn = x->turn, .busy = x->busy};
    struct share of_y = {.turn = y->turn, .busy = y->busy};
    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    int order = compare(&of_x, &of_y);
    if (!order)
        order = (x->owner > y->owner) - (x->owner < y->owner);
    if (!order)
        order = (x->sweep > y->sweep) - (x->sweep < y->sweep);
    return order ? order : (x->job > y->job) - (x->job < y->job);
}

bool store_queue_heads(struct store *store, struct queue_head **heads,
                       int *count, struct error *error)
{
    struct queue_head head = {.lane = ""};
    bool has_more = true, found;
    *heads = NULL;
    *count = 0;
    for (;;) {
        if (!next_lane(store, &head, &has_more, error) ||
            (has_more && !find_of_lane(store, &head, &found, error))) {
            free(*heads);
            return false;
        }
        if (!has_more)
            break;
        if (!found)
            continue;
        size_t used = (size_t)(*count)++;
        *heads = xrealloc(*heads, (used + 1) * sizeof **heads);
        (*heads)[used] = head;
    }
    if (*count > 1)
        qsort(*heads, (size_t)*count, sizeof **heads, compare_heads);
    return true;
}

bool store_queue_served(struct store *store, int64_t owner, int64_t attempt,
                        struct error *error)
{
    struct statement *s =
        db_sql(store->db, "INSERT INTO owner (uid, turn) VALUES (?, ?) "
                          "ON CONFLICT (uid) DO UPDATE SET turn = ?2");
    bind_integer(s, owner);
    bind_integer(s, attempt);
    return statement_run(s, error);
}
