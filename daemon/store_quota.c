/* store_quota.c: how many jobs one user may have waiting.
 *
 * Jobs are counted only when there may be too many: never while the whole
 * database has fewer, and then no further than needed.
 */
#include "daemon/operation.h"

#include "daemon/db.h"

static bool ask(struct statement *s, int64_t *count, struct error *error)
{
    if (statement_next(s))
        *count = column_integer(s, 0);
    return statement_finish(s, error);
}

/* Jobs that are not final, at most `enough`. */
static bool count_jobs(struct store *store, uid_t uid, int64_t enough,
                       int64_t *count, struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT count(*) FROM (SELECT 1 FROM sweep s JOIN job j ON "
                   "j.sweep_id = s.id WHERE s.owner_uid = ? AND j.state IN "
                   "('held', 'queued', 'running') LIMIT ?)");
    bind_integer(s, uid);
    bind_integer(s, enough);
    return ask(s, count, error);
}

bool store_quota_check(struct store *store, const struct submission *submission,
                       int64_t job_count, struct error *error)
{
    int64_t most = submission->queued_most, count = 0;
    struct statement *s =
        db_sql(store->db, "SELECT ifnull(max(id), 0) FROM job");
    if (!ask(s, &count, error))
        return false;
    if (most <= 0 || count + job_count <= most)
        return true;
    count = 0;
    if (most >= job_count && !count_jobs(store, submission->caller.uid,
                                         most - job_count + 1, &count, error))
        return false;
    return count + job_count <= most ||
           error_set(error, ERROR_BUSY,
                     "with these %lld you would have more than %lld jobs that "
                     "are not final (max_queued_per_user)",
                     (long long)job_count, (long long)most);
}
