/* Why a job is where it is, in one sentence.
 *
 * What slots there are is known to the loop only: request.c adds it to the
 * question as `places` (place.h, with room_bytes, taken_bytes, free_slots,
 * serving (slots in service) and trouble of each), `slots`,
 * `max_running_per_user` and `now`.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/explanation.h"
#include "schema/json.h"
#include "schema/memory.h"

static bool read_subject(const struct question *question, int64_t id,
                         struct subject *job, struct error *error)
{
    struct statement *s = db_sql(
        question->db,
        "SELECT j.run_id, j.priority, j.threads, j.attempts, j.state, "
        "j.is_ready, j.started_at, j.finished_at, r.device_class, j.reason, "
        "j.sweep_id, j.owner_uid, s.after_id, s.max_running, s.owner, s.name, "
        "ifnull(j.retry_at, 0), j.device, j.gpu_bytes "
        "FROM job j JOIN run r ON r.id = j.run_id "
        "JOIN sweep s ON s.id = j.sweep_id WHERE j.id = ?");
    bind_integer(s, id);
    while (statement_next(s)) {
        job->id = id;
        job->run = column_integer(s, 0);
        job->priority = column_integer(s, 1);
        job->threads = column_integer(s, 2);
        job->attempts = column_integer(s, 3);
        job->state = (enum job_state)job_state_find(column_text(s, 4));
        job->is_ready = column_integer(s, 5);
        job->started_at = column_real(s, 6);
        job->finished_at = column_real(s, 7);
        column_copy(s, 8, job->device_class, sizeof job->device_class);
        column_copy(s, 9, job->reason, sizeof job->reason);
        job->sweep = column_integer(s, 10);
        job->owner_uid = column_integer(s, 11);
        job->after = column_integer_or(s, 12, 0);
        job->max_running = column_integer(s, 13);
        column_copy(s, 14, job->owner, sizeof job->owner);
        column_copy(s, 15, job->sweep_name, sizeof job->sweep_name);
        job->wait_s =
            column_real(s, 16) - json_real_or(question->params, "now", 0);
        job->demand.threads = (int)job->threads;
        column_copy(s, 17, job->demand.device, sizeof job->demand.device);
        job->demand.gpu_bytes = column_integer(s, 18);
    }
    return statement_finish(s, error);
}

/* The last line only: `show` has them all. */
static bool read_said(const struct question *question, struct subject *job,
                      struct error *error)
{
    char text[5000] = "";
    struct statement *s =
        db_sql(question->db, "SELECT stderr FROM attempt WHERE job_id = ? "
                             "ORDER BY id DESC LIMIT 1");
    bind_integer(s, job->id);
    while (statement_next(s))
        column_copy(s, 0, text, sizeof text);
    const char *newline = strrchr(text, '\n');
    snprintf(job->said, sizeof job->said, "%.900s",
             newline ? newline + 1 : text);
    return statement_finish(s, error);
}

/* Local time, as people read it. */
const char *explanation_time(double at, char text[32])
{
    time_t seconds = (time_t)at;
    struct tm local;
    if (!localtime_r(&seconds, &local) ||
        !strftime(text, 32, "%Y-%m-%d %H:%M:%S", &local))
        snprintf(text, 32, "%.0f", at);
    return text;
}

static bool explain_held(const struct explanation *e, char **text,
                         struct error *error)
{
    const char *held = e->job.reason[0] ? e->job.reason : "held";
    bool stops;
    if (!explanation_has_attempt(e, &stops, error))
        return false;
    *text = stops ? xprintf("is %s, and its worker saves a checkpoint", held)
                  : xprintf("is %s; \"gaitctl release %lld\" lets it go on",
                            held, (long long)e->job.id);
    return true;
}

static bool explain_running(const struct explanation *e, char **text,
                            struct error *error)
{
    char at[32];
    (void)error;
    *text = xprintf("has been running since %s (attempt %lld)",
                    explanation_time(e->job.started_at, at),
                    (long long)e->job.attempts);
    return true;
}

static bool explain_final(const struct explanation *e, char **text,
                          struct error *error)
{
    static const char *const words[JOB_STATE_COUNT] = {
        [JOB_done] = "was done",
        [JOB_failed] = "failed",
        [JOB_cancelled] = "was cancelled",
    };
    char at[32];
    (void)error;
    const char *reason = e->job.state == JOB_done ? "" : e->job.reason;
    const char *said = e->job.state == JOB_failed ? e->job.said : "";
    *text =
        xprintf("%s at %s%s%s%s%s", words[e->job.state],
                explanation_time(e->job.finished_at, at), reason[0] ? ": " : "",
                reason, said[0] ? "; its worker's last words: " : "", said);
    return true;
}

static explanation_function *const of_state[JOB_STATE_COUNT] = {
    [JOB_held] = explain_held,       [JOB_queued] = explain_queued,
    [JOB_running] = explain_running, [JOB_done] = explain_final,
    [JOB_failed] = explain_final,    [JOB_cancelled] = explain_final,
};

static void read_offer(const struct question *question, struct offer *offer)
{
    const struct cJSON *params = question->params, *one;
    offer->slots = json_integer_or(params, "slots", 0);
    offer->max_running_per_user =
        json_integer_or(params, "max_running_per_user", 0);
    offer->list = cJSON_GetObjectItemCaseSensitive(params, "places");
    cJSON_ArrayForEach(one, offer->list)
    {
        if (offer->place_count < DEVICES_MAX)
            place_read(&offer->places[offer->place_count++], one);
    }
}

static bool answer_subject(const struct question *question, int64_t id,
                           struct cJSON *answer, struct error *error)
{
    struct explanation e = {.question = question};
    char *text = NULL;
    if (!read_subject(question, id, &e.job, error) ||
        !read_said(question, &e.job, error))
        return false;
    read_offer(question, &e.offer);
    if (!of_state[e.job.state](&e, &text, error))
        return false;
    char *sentence = xprintf("job %lld %s", (long long)id, text);
    cJSON_AddItemToObject(answer, "job", json_integer(id));
    cJSON_AddStringToObject(answer, "state", job_state_name(e.job.state));
    cJSON_AddStringToObject(answer, "text", sentence);
    free(sentence);
    free(text);
    return true;
}

static bool find_subject(const struct question *question, struct target *target,
                         struct error *error)
{
    if (!question_target(question, target, error))
        return false;
    return target->first == target->last ||
           error_set(error, ERROR_PARAMS,
                     "\"target\" is \"%s\", expected one job", target->name);
}

struct cJSON *query_explain(const struct question *question,
                            struct error *error)
{
    struct target target;
    struct cJSON *answer = cJSON_CreateObject();
    if (find_subject(question, &target, error) &&
        answer_subject(question, target.first, answer, error))
        return answer;
    cJSON_Delete(answer);
    return NULL;
}
