/* What deleting a sweep would take with it. */
#include <cjson/cJSON.h>

#include "daemon/query.h"

static const struct field fields[] = {
    {"jobs", row_integer},        {"runs", row_integer},
    {"rows", row_integer},        {"bytes", row_integer},
    {"shared_runs", row_integer}, {"is_existing", row_boolean},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* Its jobs and those that verify them; the runs that no other job has. */
static const char counts[] =
    "WITH mine AS MATERIALIZED (SELECT id, run_id FROM job WHERE sweep_id = ?1 "
    "UNION ALL SELECT h.id, h.run_id FROM job j JOIN job h "
    "ON h.verifies = j.id WHERE j.sweep_id = ?1), "
    "runs AS MATERIALIZED (SELECT run_id, EXISTS (SELECT 1 FROM job x "
    "WHERE x.run_id = mine.run_id AND x.id NOT IN (SELECT id FROM mine)) "
    "AS is_shared FROM mine GROUP BY run_id), "
    "gone AS MATERIALIZED (SELECT run_id FROM runs WHERE NOT is_shared) "
    "SELECT (SELECT count(*) FROM mine), (SELECT count(*) FROM gone), "
    "(SELECT count(*) FROM gone JOIN history h ON h.run_id = gone.run_id), "
    "(SELECT ifnull(sum(c.bytes), 0) FROM gone JOIN checkpoint c "
    "ON c.run_id = gone.run_id), "
    "(SELECT ifnull(sum(is_shared), 0) FROM runs), 0";

static bool fill(const struct question *question, struct cJSON *answer,
                 struct error *error)
{
    struct target target;
    if (!question_target(question, &target, error))
        return false;
    if (!target.sweep)
        return error_set(error, ERROR_PARAMS,
                         "\"target\" is \"%s\", expected a sweep; single jobs "
                         "cannot be deleted",
                         target.name);
    if (!target_check_owner(question->db, &target, question->caller, error))
        return false;
    struct statement *s = db_sql(question->db, counts);
    bind_integer(s, target.sweep);
    cJSON_AddNumberToObject(answer, "sweep_id", (double)target.sweep);
    cJSON_AddStringToObject(answer, "name", target.name);
    while (statement_next(s))
        row_fields(answer, fields, FIELD_COUNT, s, 0);
    return statement_finish(s, error);
}

struct cJSON *query_deletion(const struct question *question,
                             struct error *error)
{
    struct cJSON *answer = cJSON_CreateObject();
    if (fill(question, answer, error))
        return answer;
    cJSON_Delete(answer);
    return NULL;
}
