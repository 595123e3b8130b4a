#include <cjson/cJSON.h>

#include "daemon/query.h"
#include "schema/json.h"

static bool count_jobs(const struct question *question, struct cJSON *answer,
                       struct error *error)
{
    int64_t counts[JOB_STATE_COUNT] = {0};
    struct cJSON *object = cJSON_AddObjectToObject(answer, "counts");
    struct statement *s =
        db_sql(question->db, "SELECT state, count(*) FROM job WHERE "
                             "sweep_id NOT IN (SELECT id FROM sweep "
                             "WHERE is_hidden OR NOT is_complete) "
                             "GROUP BY state");
    while (statement_next(s))
        counts[job_state_find(column_text(s, 0))] = column_integer(s, 1);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        cJSON_AddItemToObjectCS(object, job_state_name((enum job_state)i),
                                json_integer(counts[i]));
    return statement_finish(s, error);
}

static bool count_sweeps(const struct question *question, struct cJSON *answer,
                         struct error *error)
{
    struct statement *s =
        db_sql(question->db, "SELECT count(*) FROM sweep WHERE is_hidden = 0 "
                             "AND is_complete");
    while (statement_next(s))
        row_integer(answer, "sweeps", s, 0);
    return statement_finish(s, error);
}

struct cJSON *query_counts(const struct question *question, struct error *error)
{
    struct cJSON *answer = cJSON_CreateObject();
    if (count_jobs(question, answer, error) &&
        count_sweeps(question, answer, error))
        return answer;
    cJSON_Delete(answer);
    return NULL;
}
