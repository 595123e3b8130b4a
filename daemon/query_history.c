/* Rows of jobs, in the order of job and step; or, of each, its layers.
 *
 * `next` is one number, for a place in a list of two keys: how many ids the
 * job is behind the target's first, and the place within the job: the step,
 * or step and layer as one number.
 */
#include <cjson/cJSON.h>

#include "daemon/columns.h"
#include "daemon/metrics.h"
#include "daemon/query.h"
#include "schema/diagnostic.h"
#include "schema/json.h"

static const struct field row_columns[] = {
    {"step", row_integer},        {"epoch", row_integer},
    {"train_accuracy", row_real}, {"train_loss", row_real},
    {"valid_accuracy", row_real}, {"valid_loss", row_real},
    {"test_accuracy", row_real},  {"test_loss", row_real},
    {"state_hash", row_text},     {"seconds", row_real},
};

#define FIELD(name) {#name, row_real},
static const struct field layer_columns[] = {{"step", row_integer},
                                             {"epoch", row_integer},
                                             {"layer", row_integer},
                                             DIAGNOSTICS(FIELD)};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define LAYER_COLUMN(name) ", d." #name
#define PLACE_OF_LAYER "(h.step * 128 + d.layer)"

/* What is asked of a job's run: fields, and the SQL of those behind a place.
 * Jobs and places that a `next` can tell apart: their product is 2^53. */
struct series {
    const char *sql; /* by job, place and least replica: job, place, fields,
                        SETTING_COLUMNS */
    const struct field *fields;
    int field_count;
    int64_t jobs_max, places_max;
};

static const struct series rows_series = {
    "SELECT j.id, h.step, h.step, h.epoch, h.train_accuracy, h.train_loss, "
    "h.valid_accuracy, h.valid_loss, h.test_accuracy, h.test_loss, "
    "h.state_hash, h.seconds" SETTING_COLUMNS " FROM job j CROSS JOIN run "
    "r ON r.id = j.run_id CROSS JOIN history h ON " JOB_ROWS
    " WHERE j.id = ?1 AND h.step > ?2 AND +r.replica >= ?3 "
    "ORDER BY h.step",
    row_columns,
    COUNT(row_columns),
    INT64_C(1) << 20,
    INT64_C(1) << 33,
};

static const struct series layers_series = {
    "SELECT j.id, " PLACE_OF_LAYER
    ", h.step, h.epoch, d.layer" DIAGNOSTICS(LAYER_COLUMN) SETTING_COLUMNS
    " FROM job j CROSS JOIN run r ON r.id = j.run_id CROSS JOIN history h "
    "ON " JOB_ROWS " CROSS JOIN diagnostic d ON d.run_id = h.run_id AND "
    "d.step = h.step WHERE j.id = ?1 AND h.step >= ?2 / 128 "
    "AND " PLACE_OF_LAYER " > ?2 AND +r.replica >= ?3 "
    "ORDER BY h.step, d.layer",
    layer_columns,
    COUNT(layer_columns),
    INT64_C(1) << 16,
    INT64_C(1) << 37,
};

/* What is asked for, of which jobs, and how far it has come. */
struct asked {
    const struct question *question;
    const struct series *series;
    struct target target;
    struct varying varying;
    struct page page;
};

struct page_end {
    int64_t job, at; /* of the last row that was given; -1: none of it */
};

static struct page_end read_place(const struct asked *asked)
{
    int64_t after = asked->page.after, places = asked->series->places_max;
    if (!after)
        return (struct page_end){asked->target.first, -1};
    return (struct page_end){asked->target.first + (after - 1) / places,
                             (after - 1) % places};
}

static bool write_place(const struct asked *asked, const struct page_end *place,
                        int64_t *next, struct error *error)
{
    const struct series *series = asked->series;
    int64_t jobs = place->job - asked->target.first;
    if (jobs >= series->jobs_max || place->at >= series->places_max - 1)
        return error_set(error, ERROR_TOO_LARGE,
                         "history of more than %lld jobs or steps: ask for "
                         "fewer jobs at a time",
                         (long long)(jobs >= series->jobs_max
                                         ? series->jobs_max
                                         : series->places_max));
    *next = jobs * series->places_max + place->at + 1;
    return true;
}

static struct cJSON *write_row(struct statement *s, const struct asked *asked)
{
    const struct series *series = asked->series;
    struct cJSON *row = cJSON_CreateObject();
    row_integer(row, "job", s, 0);
    varying_write_row(&asked->varying, row, s, 2 + series->field_count);
    row_fields(row, series->fields, series->field_count, s, 2);
    return row;
}

/* One job's rows behind `place`. */
static bool fill_job(struct asked *asked, struct page_end *place, bool *is_full,
                     struct error *error)
{
    struct statement *s = db_sql(asked->question->db, asked->series->sql);
    bind_integer(s, place->job);
    bind_integer(s, place->at);
    bind_integer(s, asked->target.has_hidden ? INT64_MIN : 0);
    while (!*is_full && statement_next(s)) {
        if (page_is_full(&asked->page)) {
            *is_full = true;
            break;
        }
        page_add(&asked->page, write_row(s, asked));
        place->at = column_integer(s, 1);
    }
    return statement_finish(s, error);
}

/* The job of the target after `after` that has rows; 0: none. */
static bool next_job(const struct question *question,
                     const struct target *target, int64_t after, int64_t *job,
                     struct error *error)
{
    struct target rest = *target;
    rest.first = after + 1;
    struct statement *s =
        db_sql(question->db,
               "SELECT j.id FROM job j CROSS JOIN run r ON r.id = j.run_id "
               "WHERE " TARGET_RESULTS " AND r.step IS NOT NULL "
               "ORDER BY j.id LIMIT 1");
    target_bind_results(s, &rest);
    *job = 0;
    while (statement_next(s))
        *job = column_integer(s, 0);
    return statement_finish(s, error);
}

static bool fill(struct asked *asked, int64_t *next, struct error *error)
{
    struct page_end place = read_place(asked);
    bool is_full = false;
    *next = 0;
    for (int64_t job = place.job; job;) {
        if (job != place.job)
            place = (struct page_end){job, -1};
        if (!fill_job(asked, &place, &is_full, error))
            return false;
        if (is_full)
            return write_place(asked, &place, next, error);
        if (!next_job(asked->question, &asked->target, job, &job, error))
            return false;
    }
    return true;
}

/* Layers that nobody asked for are told apart from those still to come. */
static bool check_asked_for(const struct asked *asked, struct error *error)
{
    if (asked->series != &layers_series || asked->page.after)
        return true;
    bool is_there = false;
    struct statement *s =
        db_sql(asked->question->db,
               "SELECT 1 FROM job j CROSS JOIN run r ON r.id = j.run_id "
               "WHERE " TARGET_JOBS " AND r.diagnostics = 1 LIMIT 1");
    target_bind(s, &asked->target);
    while (statement_next(s))
        is_there = true;
    return statement_finish(s, error) &&
           (is_there ||
            error_set(error, ERROR_NOT_FOUND,
                      "diagnostics of \"%s\" were not asked for: submit with "
                      "--diagnostics",
                      asked->target.name));
}

struct cJSON *query_history(const struct question *question,
                            struct error *error)
{
    bool has_layers = json_boolean_or(question->params, "layers", false);
    struct asked asked = {
        .question = question,
        .series = has_layers ? &layers_series : &rows_series,
    };
    int64_t next;
    struct cJSON *answer = cJSON_CreateObject();
    struct cJSON *rows = cJSON_AddArrayToObject(answer, "rows");
    if (page_init(&asked.page, question, rows, error) &&
        question_target(question, &asked.target, error) &&
        varying_find(question, &asked.target, &asked.varying, error) &&
        check_asked_for(&asked, error) && fill(&asked, &next, error)) {
        varying_write(&asked.varying, answer);
        page_end(answer, next);
        return answer;
    }
    cJSON_Delete(answer);
    return NULL;
}
