/* store_quota.c: how many jobs one user may have waiting.
 *
 * They are summed up only when there may be too many: never while the whole
 * database has fewer.
 */
#include "daemon/operation.h"

#include "daemon/db.h"

static bool ask(struct statement *s, int64_t *count, struct error *error)
{
    if (statement_next(s))
        *count = column_integer(s, 0);
    return statement_finish(s, error);
}

/* Jobs that are not final, those that are still going in with them. */
static bool count_jobs(struct store *store, uid_t uid, int64_t *count,
                       struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT (SELECT total(c.count) FROM sweep s JOIN job_count c ON "
        "c.sweep_id = s.id WHERE s.owner_uid = ?1 AND c.state IN "
        "('held', 'queued', 'running')) + (SELECT total(job_count) FROM sweep "
        "INDEXED BY sweep_incomplete WHERE is_complete = 0 AND "
        "entered IS NOT NULL AND owner_uid = ?1)");
    bind_integer(s, uid);
    return ask(s, count, error);
}

bool store_quota_check(struct store *store, uid_t uid, int64_t job_count,
                       struct error *error)
{
    int64_t most = store->limits.max_queued, count = 0;
    struct statement *s =
        db_sql(store->db, "SELECT ifnull(max(id), 0) FROM job");
    if (!ask(s, &count, error))
        return false;
    if (most <= 0 || count + job_count <= most)
        return true;
    count = 0;
    if (most >= job_count && !count_jobs(store, uid, &count, error))
        return false;
    return count + job_count <= most ||
           error_set(error, ERROR_BUSY,
                     "with these %lld you would have more than %lld jobs that "
                     "are not final (max_queued_per_user)",
                     (long long)job_count, (long long)most);
}
