/* What happened: events, and what of them is news to somebody. */
#include <cjson/cJSON.h>
#include <string.h>

#include "daemon/query.h"
#include "schema/event.h"
#include "schema/json.h"

static const struct field fields[] = {
    {"id", row_integer},       {"at", row_real},    {"kind", row_text},
    {"sweep_id", row_integer}, {"sweep", row_text}, {"job", row_integer},
    {"cost_s", row_real},      {"text", row_text},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

#define EVENT_ROWS                                                             \
    "SELECT e.id, e.at, e.kind, e.sweep_id, s.name, e.job_id, e.cost_s, "      \
    "e.text FROM event e LEFT JOIN sweep s ON s.id = e.sweep_id "              \
    "WHERE e.id > ? AND e.at >= ? "

static void bind_rest(struct statement *s, const struct page *page,
                      double since)
{
    bind_integer(s, page->after);
    bind_real(s, since);
}

static struct statement *select_all(const struct question *question,
                                    const struct page *page, double since)
{
    struct statement *s = db_sql(question->db, EVENT_ROWS "ORDER BY e.id");
    bind_rest(s, page, since);
    return s;
}

/* Of a sweep: its jobs' too.  Of jobs: not what befell the whole sweep. */
static struct statement *select_target(const struct question *question,
                                       const struct target *target,
                                       const struct page *page, double since)
{
    struct statement *s =
        db_sql(question->db, EVENT_ROWS "AND CASE WHEN ?3 > 0 THEN "
                                        "e.sweep_id = ?3 ELSE e.job_id BETWEEN "
                                        "?4 AND ?5 END ORDER BY e.id");
    bind_rest(s, page, since);
    bind_integer(s, target->sweep);
    bind_integer(s, target->first);
    bind_integer(s, target->last);
    return s;
}

static bool fill(struct statement *s, struct page *page, int64_t *next,
                 struct error *error)
{
    int64_t last = 0;
    *next = 0;
    while (statement_next(s)) {
        if (page_is_full(page)) {
            *next = last;
            break;
        }
        last = column_integer(s, 0);
        struct cJSON *row = cJSON_CreateObject();
        row_fields(row, fields, FIELD_COUNT, s, 0);
        page_add(page, row);
    }
    return statement_finish(s, error);
}

struct cJSON *query_events(const struct question *question, struct error *error)
{
    const char *text = json_text_or(question->params, "target", NULL);
    double since = json_real_or(question->params, "since", 0);
    struct target target;
    struct page page;
    int64_t next;
    struct cJSON *answer = cJSON_CreateObject();
    struct cJSON *events = cJSON_AddArrayToObject(answer, "events");
    if (page_init(&page, question, events, error) &&
        (!text || question_target(question, &target, error)) &&
        fill(text ? select_target(question, &target, &page, since)
                  : select_all(question, &page, since),
             &page, &next, error)) {
        page_end(answer, next);
        return answer;
    }
    cJSON_Delete(answer);
    return NULL;
}

/* News. */

struct visit {
    bool is_there; /* the user has looked before */
    double at, finished_at;
    int64_t event;
};

static bool read_visit(const struct question *question, struct visit *visit,
                       struct error *error)
{
    struct statement *s =
        db_sql(question->db, "SELECT at, finished_at, event_id FROM visit "
                             "WHERE uid = ?");
    bind_integer(s, question->caller->uid);
    visit->is_there = statement_next(s);
    if (visit->is_there) {
        visit->at = column_real(s, 0);
        visit->finished_at = column_real(s, 1);
        visit->event = column_integer(s, 2);
    }
    return statement_finish(s, error);
}

/* The caller's own jobs; what befell gaitd is everybody's. */
#define OWN                                                                    \
    "(e.sweep_id IS NULL OR e.sweep_id IN (SELECT id FROM sweep "              \
    "WHERE owner_uid = ? AND is_hidden = 0))"

static bool count_kinds(const struct question *question,
                        const struct visit *visit, struct cJSON *news,
                        bool *is_empty, struct error *error)
{
    struct cJSON *kinds = cJSON_AddObjectToObject(news, "events");
    struct statement *s = db_sql(
        question->db, "SELECT e.kind, count(*), max(e.at), total(e.cost_s) "
                      "FROM event e WHERE e.id > ? AND " OWN
                      " GROUP BY e.kind ORDER BY min(e.id)");
    bind_integer(s, visit->event);
    bind_integer(s, question->caller->uid);
    double cost = 0, started_at = 0;
    int64_t other = 0; /* of kinds that only another version knows */
    while (statement_next(s)) {
        const char *name = column_text(s, 0);
        const struct event_kind *kind = event_kind_find(name);
        bool is_start = !strcmp(name, "started");
        if (is_start)
            started_at = column_real(s, 2);
        if (is_start || (kind && *kind->news))
            *is_empty = false;
        if (kind)
            row_integer(kinds, kind->name, s, 1);
        else
            other += column_integer(s, 1);
        cost += column_real(s, 3);
    }
    if (other)
        cJSON_AddItemToObject(kinds, "other", json_integer(other));
    cJSON_AddItemToObject(news, "started_at",
                          started_at > 0 ? json_number(started_at)
                                         : cJSON_CreateNull());
    cJSON_AddItemToObject(news, "cost_s", json_number(cost));
    return statement_finish(s, error);
}

static bool count_done(const struct question *question,
                       const struct visit *visit, struct cJSON *news,
                       bool *is_empty, struct error *error)
{
    struct statement *s =
        db_sql(question->db,
               "SELECT count(*) FROM job j INDEXED BY job_finished WHERE "
               "j.finished_at > ? AND j.state = 'done' AND j.sweep_id IN "
               "(SELECT id FROM sweep WHERE owner_uid = ? AND is_hidden = 0)");
    bind_real(s, visit->finished_at);
    bind_integer(s, question->caller->uid);
    while (statement_next(s)) {
        *is_empty = *is_empty && !column_integer(s, 0);
        row_integer(news, "done", s, 0);
    }
    return statement_finish(s, error);
}

static bool write_seen(const struct question *question, struct cJSON *answer,
                       struct error *error)
{
    struct cJSON *seen = cJSON_AddObjectToObject(answer, "seen");
    struct statement *s =
        db_sql(question->db,
               "SELECT (SELECT ifnull(max(id), 0) FROM event), (SELECT "
               "ifnull(max(finished_at), 0) FROM job INDEXED BY job_finished "
               "WHERE finished_at IS NOT NULL)");
    while (statement_next(s)) {
        row_integer(seen, "event", s, 0);
        row_real(seen, "finished_at", s, 1);
    }
    return statement_finish(s, error);
}

bool query_news_write(const struct question *question, struct cJSON *answer,
                      struct error *error)
{
    struct visit visit = {0};
    bool is_empty = true;
    if (!write_seen(question, answer, error) ||
        !read_visit(question, &visit, error))
        return false;
    struct cJSON *news = cJSON_CreateObject();
    cJSON_AddItemToObject(news, "since", json_number(visit.at));
    bool is_fine = !visit.is_there ||
                   (count_kinds(question, &visit, news, &is_empty, error) &&
                    count_done(question, &visit, news, &is_empty, error));
    if (is_empty || !is_fine) {
        cJSON_Delete(news);
        news = cJSON_CreateNull();
    }
    cJSON_AddItemToObject(answer, "news", news);
    return is_fine;
}
