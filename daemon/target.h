/* target.h: which jobs a command is about (protocol.md, "Targets").
 *
 * Used on the store's connection and on readers' alike.
 */
#ifndef DAEMON_TARGET_H
#define DAEMON_TARGET_H

#include "daemon/db.h"
#include "daemon/store.h"
#include "schema/spec.h"

/* Where a range of jobs begins, or ends: within a sweep. */
struct edge {
    int64_t sweep;
    int64_t beyond;      /* its jobs outside, 0 also where nobody sees it; */
    int64_t first, last; /* their ids, of other jobs too */
};

struct target {
    int64_t sweep;       /* 0: jobs of any sweep */
    int64_t first, last; /* ids; of a sweep, others may lie between */
    int64_t job_count;
    struct edge low, high; /* of a sweep, only that */
    /* Verification jobs are meant too: they were named one by one, or by their
     * sweep.  Else what speaks of results passes them over. */
    bool has_hidden;
    char name[SPEC_NAME_BYTES]; /* of the sweep, or "12", "3..9" */
};

/* ERROR_NOT_FOUND when there is no such sweep, or not one such job. */
bool target_find(struct db *db, const char *text, const struct caller *caller,
                 struct target *target, struct error *error);

/* ERROR_PERMISSION unless the caller owns all of it, or is an operator. */
bool target_check_owner(struct db *db, const struct target *target,
                        const struct caller *caller, struct error *error);

/* Of jobs j: not those of a sweep that is still going in. */
#define VISIBLE                                                                \
    "+j.sweep_id NOT IN (SELECT id FROM sweep WHERE is_complete = 0)"
/* How many of its jobs are in each state. */
bool target_count(struct db *db, const struct target *target,
                  int64_t count[JOB_STATE_COUNT], struct error *error);

/* The jobs j of a target in the order of their ids; target_bind binds its
 * parameters.  The ids lead: a sweep's lie together. */
#define TARGET_JOBS                                                            \
    "j.id BETWEEN ? AND ? AND +j.sweep_id BETWEEN ? AND ? AND " VISIBLE
void target_bind(struct statement *statement, const struct target *target);

/* The same without what is hidden, of jobs j and their runs r. */
#define TARGET_RESULTS TARGET_JOBS " AND +r.replica >= ?"
void target_bind_results(struct statement *statement,
                         const struct target *target);

#endif
