#include "daemon/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/nearest.h"

/* Reads digits that make a number of a job or sweep; returns what follows, or
 * NULL. */
static const char *read_id(const char *text, int64_t *id)
{
    char *end;
    if (*text < '0' || *text > '9')
        return NULL;
    errno = 0;
    *id = strtoll(text, &end, 10);
    return errno ? NULL : end;
}

static bool is_job(const char *text, struct target *target)
{
    const char *end = read_id(text, &target->first);
    target->last = target->first;
    target->has_hidden = true;
    return end && !*end;
}

static bool is_range(const char *text, struct target *target)
{
    const char *end = read_id(text, &target->first);
    target->has_hidden = false;
    if (!end || strncmp(end, "..", 2))
        return false;
    end = read_id(end + 2, &target->last);
    return end && !*end;
}

/* Jobs. */

/* Later sweeps have higher ids, of themselves and of their jobs, which follow
 * their positions, and only a verification can lose single ones.  So of jobs
 * between two ids it is known what whole sweeps have, but for what those have
 * beyond these edges. */
static const char low_edge[] =
    "SELECT s.id, s.is_complete * iif(s.is_hidden, (SELECT count(*) FROM job o "
    "WHERE o.sweep_id = s.id AND o.position < j.position), j.position), "
    "j.id - j.position, j.id - 1 FROM job j "
    "CROSS JOIN sweep s ON s.id = j.sweep_id "
    "WHERE j.id >= ? ORDER BY j.id LIMIT 1";
static const char high_edge[] =
    "SELECT s.id, s.is_complete * iif(s.is_hidden, (SELECT count(*) FROM job o "
    "WHERE o.sweep_id = s.id AND o.position > j.position), "
    "s.job_count - 1 - j.position), j.id + 1, j.id - j.position + "
    "(SELECT max(position) FROM job WHERE sweep_id = s.id) FROM job j "
    "CROSS JOIN sweep s ON s.id = j.sweep_id "
    "WHERE j.id <= ? ORDER BY j.id DESC LIMIT 1";

static bool find_edge(struct db *db, const char *sql, int64_t id,
                      struct edge *edge, struct error *error)
{
    struct statement *s = db_sql(db, sql);
    bind_integer(s, id);
    while (statement_next(s))
        *edge = (struct edge){
            .sweep = column_integer(s, 0),
            .beyond = column_integer(s, 1),
            .first = column_integer(s, 2),
            .last = column_integer(s, 3),
        };
    return statement_finish(s, error);
}

/* So many sweeps that its jobs are quicker counted. */
static bool is_crowded(const struct target *target)
{
    enum { FEW_JOBS = 8 };
    return target->high.sweep - target->low.sweep >
           (target->last - target->first) / FEW_JOBS;
}

/* Adds `factor` for each of them to its state. */
static bool count_jobs(struct db *db, const struct target *target, int factor,
                       int64_t count[JOB_STATE_COUNT], struct error *error)
{
    struct statement *s =
        db_sql(db, "SELECT j.state, count(*) FROM job j WHERE " TARGET_JOBS
                   " GROUP BY j.state");
    target_bind(s, target);
    while (statement_next(s))
        count[job_state_find(column_text(s, 0))] +=
            factor * column_integer(s, 1);
    return statement_finish(s, error);
}

static bool count_sweeps(struct db *db, int64_t first, int64_t last,
                         int64_t count[JOB_STATE_COUNT], struct error *error)
{
    struct statement *s =
        db_sql(db, "SELECT j.state, j.count FROM job_count j "
                   "WHERE j.sweep_id BETWEEN ? AND ? AND " VISIBLE);
    bind_integer(s, first);
    bind_integer(s, last);
    while (statement_next(s))
        count[job_state_find(column_text(s, 0))] += column_integer(s, 1);
    return statement_finish(s, error);
}

static bool uncount(struct db *db, const struct edge *edge,
                    int64_t count[JOB_STATE_COUNT], struct error *error)
{
    struct target beyond = {
        .sweep = edge->sweep, .first = edge->first, .last = edge->last};
    return !edge->beyond || count_jobs(db, &beyond, -1, count, error);
}

/* How many it has, whatever their states. */
static bool count_all(struct db *db, struct target *target, struct error *error)
{
    int64_t count[JOB_STATE_COUNT] = {0};
    const struct edge *low = &target->low, *high = &target->high;
    if (!find_edge(db, low_edge, target->first, &target->low, error) ||
        !find_edge(db, high_edge, target->last, &target->high, error))
        return false;
    if (!low->sweep || !high->sweep || low->last >= target->last)
        return true;
    if (is_crowded(target)
            ? !count_jobs(db, target, 1, count, error)
            : !count_sweeps(db, low->sweep, high->sweep, count, error))
        return false;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        target->job_count += count[i];
    if (!is_crowded(target))
        target->job_count -= low->beyond + high->beyond;
    return true;
}

static bool find_jobs(struct db *db, struct target *target, struct error *error)
{
    if (!count_all(db, target, error))
        return false;
    return target->job_count > 0 ||
           error_set(error, ERROR_NOT_FOUND, "no job%s %s",
                     target->first == target->last ? "" : "s", target->name);
}

/* Sweeps. */

#define SWEEP                                                                  \
    "SELECT s.id, s.name, s.job_count, "                                       \
    "(SELECT id FROM job WHERE sweep_id = s.id ORDER BY position LIMIT 1), "   \
    "(SELECT id FROM job WHERE sweep_id = s.id ORDER BY position DESC "        \
    "LIMIT 1), s.is_hidden FROM sweep s "

static bool read_sweep(struct statement *s, struct target *target, bool *found,
                       struct error *error)
{
    *found = statement_next(s);
    if (*found) {
        target->sweep = column_integer(s, 0);
        target->low.sweep = target->high.sweep = target->sweep;
        column_copy(s, 1, target->name, sizeof target->name);
        target->job_count = column_integer(s, 2);
        target->first = column_integer(s, 3);
        target->last = column_integer(s, 4);
        target->has_hidden = column_integer(s, 5);
    }
    return statement_finish(s, error);
}

static bool find_last(struct db *db, const struct caller *caller,
                      struct target *target, struct error *error)
{
    struct statement *s =
        db_sql(db, SWEEP "WHERE s.owner_uid = ? AND s.is_hidden = 0 "
                         "AND s.is_complete ORDER BY s.id DESC LIMIT 1");
    bool found = false;
    bind_integer(s, caller->uid);
    if (!read_sweep(s, target, &found, error))
        return false;
    return found ||
           error_set(error, ERROR_NOT_FOUND, "you have submitted no sweep yet");
}

static bool find_by_id(struct db *db, const char *text, struct target *target,
                       bool *found, struct error *error)
{
    int64_t id;
    const char *end =
        strncmp(text, "sweep-", 6) ? NULL : read_id(text + 6, &id);
    if (!end || *end)
        return true;
    struct statement *s = db_sql(db, SWEEP "WHERE s.id = ? AND s.is_complete");
    bind_integer(s, id);
    return read_sweep(s, target, found, error);
}

static bool find_by_name(struct db *db, const char *text, struct target *target,
                         bool *found, struct error *error)
{
    struct statement *s =
        db_sql(db, SWEEP "WHERE s.name = ? AND s.is_complete");
    bind_text(s, text);
    return read_sweep(s, target, found, error);
}

/* Names what is most like it. */
static bool refuse(struct db *db, const char *text, struct error *error)
{
    struct statement *s =
        db_sql(db, "SELECT name FROM sweep WHERE is_complete ORDER BY id DESC");
    char best[SPEC_NAME_BYTES] = "";
    struct nearest nearest;
    nearest_init(&nearest, text);
    while (statement_next(s)) {
        const char *name = column_text(s, 0);
        nearest_try(&nearest, name);
        if (nearest.word == name) {
            snprintf(best, sizeof best, "%s", name);
            nearest.word = best;
        }
    }
    if (!statement_finish(s, error))
        return false;
    if (nearest.word)
        return error_set(error, ERROR_NOT_FOUND,
                         "no sweep \"%s\", did you mean \"%s\"?", text, best);
    return error_set(error, ERROR_NOT_FOUND, "no sweep \"%s\"", text);
}

bool target_find(struct db *db, const char *text, const struct caller *caller,
                 struct target *target, struct error *error)
{
    memset(target, 0, sizeof *target);
    snprintf(target->name, sizeof target->name, "%s", text);
    if (is_job(text, target) || is_range(text, target))
        return find_jobs(db, target, error);
    if (!strcmp(text, "last"))
        return find_last(db, caller, target, error);
    bool found = false;
    if (!find_by_id(db, text, target, &found, error) ||
        (!found && !find_by_name(db, text, target, &found, error)))
        return false;
    return found || refuse(db, text, error);
}

/* The first job that is somebody else's; of a sweep the sweep. */
static bool find_foreign(struct db *db, const struct target *target,
                         const struct caller *caller, char text[512],
                         bool *is_foreign, struct error *error)
{
    struct statement *s = db_sql(
        db, target->sweep
                ? "SELECT 'sweep \"' || name || '\" belongs to ' || owner "
                  "FROM sweep WHERE id = ?2 AND owner_uid <> ?1"
                : "SELECT 'job ' || j.id || ' of sweep \"' || s.name || "
                  "'\" belongs to ' || s.owner FROM job j JOIN sweep s ON "
                  "s.id = j.sweep_id WHERE j.owner_uid <> ? AND " TARGET_JOBS
                  " ORDER BY j.id LIMIT 1");
    bind_integer(s, caller->uid);
    if (target->sweep)
        bind_integer(s, target->sweep);
    else
        target_bind(s, target);
    *is_foreign = statement_next(s);
    if (*is_foreign)
        column_copy(s, 0, text, 512);
    return statement_finish(s, error);
}

bool target_check_owner(struct db *db, const struct target *target,
                        const struct caller *caller, struct error *error)
{
    char text[512];
    bool is_foreign = false;
    if (caller->is_operator)
        return true;
    if (!find_foreign(db, target, caller, text, &is_foreign, error))
        return false;
    return !is_foreign || error_set(error, ERROR_PERMISSION, "%s", text);
}

bool target_count(struct db *db, const struct target *target,
                  int64_t count[JOB_STATE_COUNT], struct error *error)
{
    const struct edge *low = &target->low, *high = &target->high;
    memset(count, 0, JOB_STATE_COUNT * sizeof *count);
    if (target->sweep)
        return count_sweeps(db, target->sweep, target->sweep, count, error);
    if (is_crowded(target) || low->beyond + high->beyond > target->job_count)
        return count_jobs(db, target, 1, count, error);
    return count_sweeps(db, low->sweep, high->sweep, count, error) &&
           uncount(db, low, count, error) && uncount(db, high, count, error);
}

void target_bind(struct statement *statement, const struct target *target)
{
    bind_integer(statement, target->first);
    bind_integer(statement, target->last);
    bind_integer(statement, target->sweep);
    bind_integer(statement, target->sweep ? target->sweep : INT64_MAX);
}

void target_bind_results(struct statement *statement,
                         const struct target *target)
{
    target_bind(statement, target);
    bind_integer(statement, target->has_hidden ? INT64_MIN : 0);
}
