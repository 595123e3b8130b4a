#include <cjson/cJSON.h>

#include "daemon/query.h"
#include "schema/json.h"

static bool count_jobs(const struct question *question, struct cJSON *answer,
                       struct error *error)
{
    int64_t counts[JOB_STATE_COUNT] = {0};
    struct cJSON *object = cJSON_AddObjectToObject(answer, "counts");
    struct statement *s =
        db_sql(question->db, "SELECT state, count FROM job_total");
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
        db_sql(question->db, "SELECT count(*) FROM sweep INDEXED BY "
                             "sweep_visible WHERE is_hidden = 0 "
                             "AND is_complete = 1");
    while (statement_next(s))
        row_integer(answer, "sweeps", s, 0);
    return statement_finish(s, error);
}

bool question_drained(const struct question *question, struct drained *drained,
                      struct error *error)
{
    struct statement *s = db_sql(question->db, "SELECT at, user FROM drain");
    drained->is_drained = statement_next(s);
    if (drained->is_drained) {
        drained->at = column_real(s, 0);
        column_copy(s, 1, drained->user, sizeof drained->user);
    }
    return statement_finish(s, error);
}

static bool write_drained(const struct question *question, struct cJSON *answer,
                          struct error *error)
{
    struct drained drained;
    if (!question_drained(question, &drained, error))
        return false;
    if (!drained.is_drained) {
        cJSON_AddNullToObject(answer, "drained");
        return true;
    }
    struct cJSON *object = cJSON_AddObjectToObject(answer, "drained");
    cJSON_AddItemToObject(object, "at", json_number(drained.at));
    cJSON_AddStringToObject(object, "user", drained.user);
    return true;
}

struct cJSON *query_counts(const struct question *question, struct error *error)
{
    struct cJSON *answer = cJSON_CreateObject();
    if (count_jobs(question, answer, error) &&
        count_sweeps(question, answer, error) &&
        write_drained(question, answer, error) &&
        query_news_write(question, answer, error))
        return answer;
    cJSON_Delete(answer);
    return NULL;
}
