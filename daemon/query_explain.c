/* Why a job is where it is, in one sentence.
 *
 * What slots there are is known to the loop only: request.c adds it to the
 * question as `device_class` (without threads), `slots`, `now`, and `trouble`
 * when all of them are out of service.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/query.h"
#include "schema/json.h"
#include "schema/memory.h"

struct subject {
    int64_t id, run, priority, threads, attempts;
    enum job_state state;
    bool is_ready;
    double started_at, finished_at;
    double wait_s;          /* after a crash, from now on; 0: not for that */
    char device_class[160]; /* of its run; "": not begun */
    char reason[1000];
    char said[1000]; /* the last line on stderr of its last attempt */
};

/* What this gaitd has. */
struct offer {
    int64_t slots;
    char device_class[160]; /* with the job's threads */
    const char *trouble;    /* why none of the slots is in service; or NULL */
};

static bool read_subject(const struct question *question, int64_t id,
                         struct subject *job, struct error *error)
{
    struct statement *s = db_sql(
        question->db,
        "SELECT j.run_id, j.priority, j.threads, j.attempts, j.state, "
        "j.is_ready, j.started_at, j.finished_at, r.device_class, j.reason, "
        "ifnull(j.retry_at, 0) "
        "FROM job j JOIN run r ON r.id = j.run_id WHERE j.id = ?");
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
        job->wait_s =
            column_real(s, 10) - json_real_or(question->params, "now", 0);
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
static const char *print_time(double at, char text[32])
{
    time_t seconds = (time_t)at;
    struct tm local;
    if (!localtime_r(&seconds, &local) ||
        !strftime(text, 32, "%Y-%m-%d %H:%M:%S", &local))
        snprintf(text, 32, "%.0f", at);
    return text;
}

/* The other job that keeps the run busy, or comes first; 0: none. */
static bool find_twin(const struct question *question,
                      const struct subject *job, int64_t *twin, bool *trains,
                      struct error *error)
{
    struct statement *s = db_sql(
        question->db,
        "SELECT j.id, j.is_ready = 0 FROM job j WHERE j.run_id = ? AND "
        "j.id <> ? AND (j.is_ready = 1 OR j.state = 'running' OR EXISTS "
        "(SELECT 1 FROM attempt a WHERE a.job_id = j.id AND a.ended_at IS NULL)"
        ") ORDER BY j.is_ready LIMIT 1");
    bind_integer(s, job->run);
    bind_integer(s, job->id);
    *twin = 0;
    while (statement_next(s)) {
        *twin = column_integer(s, 0);
        *trains = column_integer(s, 1);
    }
    return statement_finish(s, error);
}

static bool count_ahead(const struct question *question,
                        const struct subject *job, int64_t *count,
                        struct error *error)
{
    struct statement *s = db_sql(
        question->db, "SELECT count(*) FROM job INDEXED BY job_ready WHERE "
                      "is_ready = 1 AND (priority, -id) > (?, ?)");
    bind_integer(s, job->priority);
    bind_integer(s, -job->id);
    while (statement_next(s))
        *count = column_integer(s, 0);
    return statement_finish(s, error);
}

/* "waits 5 s after a crash (2 of 3)" says how long in all; what is left of it
 * is what one wants to know (never more, whatever the clock says). */
static char *explain_wait(const struct subject *job)
{
    const char *rest = strstr(job->reason, " after ");
    double all = strtod(job->reason + strcspn(job->reason, " "), NULL);
    return xprintf("job %lld is queued: waits %.0f s%s", (long long)job->id,
                   ceil(fmin(job->wait_s, all)), rest ? rest : "");
}

static char *explain_twin(const struct question *question,
                          const struct subject *job, struct error *error)
{
    int64_t twin;
    bool trains = false;
    if (!find_twin(question, job, &twin, &trains, error))
        return NULL;
    if (twin)
        return xprintf(
            "job %lld is queued: its run is %s by job %lld", (long long)job->id,
            trains ? "being trained" : "to be trained first", (long long)twin);
    return xprintf("job %lld is queued: %s", (long long)job->id,
                   job->reason[0] ? job->reason : "it is not ready");
}

static char *explain_ready(const struct question *question,
                           const struct subject *job, struct error *error)
{
    int64_t ahead = 0;
    if (!count_ahead(question, job, &ahead, error))
        return NULL;
    if (!ahead)
        return xprintf("job %lld is queued: it comes next, when a slot is free",
                       (long long)job->id);
    return xprintf("job %lld is queued behind %lld job%s", (long long)job->id,
                   (long long)ahead, ahead == 1 ? "" : "s");
}

static char *explain_queued(const struct question *question,
                            const struct subject *job,
                            const struct offer *offer, struct error *error)
{
    long long id = job->id, threads = job->threads, slots = offer->slots;
    if (!slots)
        return xprintf("job %lld is queued: this gaitd has no slots", id);
    if (job->device_class[0] && strcmp(job->device_class, offer->device_class))
        return xprintf("job %lld waits for a slot of device class \"%s\", on "
                       "which its run began, and this machine offers \"%s\": "
                       "gaitctl submit --fresh trains it anew here",
                       id, job->device_class, offer->device_class);
    if (threads > slots)
        return xprintf("job %lld waits for %lld slots at once, and there %s "
                       "%lld",
                       id, threads, slots == 1 ? "is" : "are", slots);
    if (job->wait_s > 0)
        return explain_wait(job);
    if (job->is_ready && offer->trouble)
        return xprintf("job %lld is queued: all slots are out of service; "
                       "slot 0 is %s",
                       id, offer->trouble);
    return job->is_ready ? explain_ready(question, job, error)
                         : explain_twin(question, job, error);
}

/* The caller's; NULL with an error. */
static char *explain(const struct question *question, const struct subject *job,
                     const struct offer *offer, struct error *error)
{
    char at[32];
    long long id = job->id;
    const char *reason = job->reason;
    const char *between = reason[0] ? ": " : "";
    switch (job->state) {
    case JOB_queued:
        return explain_queued(question, job, offer, error);
    case JOB_running:
        return xprintf("job %lld has been running since %s (attempt %lld)", id,
                       print_time(job->started_at, at),
                       (long long)job->attempts);
    case JOB_held:
        return xprintf("job %lld is held until somebody releases it", id);
    case JOB_done:
        return xprintf("job %lld was done at %s", id,
                       print_time(job->finished_at, at));
    case JOB_failed:
        return xprintf("job %lld failed at %s%s%s%s%s", id,
                       print_time(job->finished_at, at), between, reason,
                       job->said[0] ? "; its worker's last words: " : "",
                       job->said);
    case JOB_cancelled:
        return xprintf("job %lld was cancelled at %s%s%s", id,
                       print_time(job->finished_at, at), between, reason);
    default:
        error_set(error, ERROR_INTERNAL, "job %lld has no state", id);
        return NULL;
    }
}

static bool answer_subject(const struct question *question, int64_t id,
                           struct cJSON *answer, struct error *error)
{
    struct subject job = {.id = 0};
    if (!read_subject(question, id, &job, error) ||
        !read_said(question, &job, error))
        return false;
    struct offer offer = {
        .slots = json_integer_or(question->params, "slots", 0),
        .trouble = json_text_or(question->params, "trouble", NULL),
    };
    snprintf(offer.device_class, sizeof offer.device_class, "%s threads-%lld",
             json_text_or(question->params, "device_class", ""),
             (long long)job.threads);
    char *text = explain(question, &job, &offer, error);
    if (!text)
        return false;
    cJSON_AddItemToObject(answer, "job", json_integer(job.id));
    cJSON_AddStringToObject(answer, "state", job_state_name(job.state));
    cJSON_AddStringToObject(answer, "text", text);
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
