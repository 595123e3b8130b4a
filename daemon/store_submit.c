/* A sweep goes in, whole or not at all.
 *
 * Each job asks for a run by key.  The run is new, or was begun for another
 * job, or has all the epochs already; nothing is trained twice.
 *
 * All of it in pieces: what is there already, the review of all jobs, the
 * jobs.  Who asks for a sweep that is going in, or out, waits for what becomes
 * of it.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/operation.h"
#include "daemon/sibling.h"
#include "daemon/submission.h"
#include "daemon/tally.h"
#include "daemon/wish.h"
#include "schema/json.h"
#include "schema/memory.h"
#include "schema/spec.h"
#include "schema/work.h"

enum { REVIEWED_AT_ONCE = 256, ADDED_AT_ONCE = 16 };

struct submit_operation {
    struct operation operation;
    struct submission *submission;
    struct review *review; /* NULL: it is not looked at yet */
    bool is_reviewed;
    struct faults faults;
    struct cJSON *notes;
    struct sweep_row sweep; /* id 0: it has not begun */
    int64_t first_run;      /* that was made for it */
    int64_t position;       /* of the next job */
    struct tally tally;
    struct siblings siblings;
    struct work work; /* of a dry run */
};

/* Sweeps that are there. */

#define SWEEP                                                                  \
    "SELECT s.id, s.job_count, s.owner_uid, s.name, s.owner, s.spec, "         \
    "s.submitted_at, "                                                         \
    "(SELECT id FROM job WHERE sweep_id = s.id ORDER BY position LIMIT 1), "   \
    "(SELECT id FROM job WHERE sweep_id = s.id "                               \
    "ORDER BY position DESC LIMIT 1), "                                        \
    "(SELECT count FROM job_count WHERE sweep_id = s.id AND state = 'done'), " \
    "s.is_complete, s.is_hidden "                                              \
    "FROM sweep s WHERE "

static bool read_sweep(struct statement *s, const char *value,
                       struct sweep_row *sweep, bool *found,
                       struct error *error)
{
    bind_text(s, value);
    *found = statement_next(s);
    if (*found) {
        sweep->id = column_integer(s, 0);
        sweep->job_count = column_integer(s, 1);
        sweep->owner_uid = column_integer(s, 2);
        column_copy(s, 3, sweep->name, sizeof sweep->name);
        column_copy(s, 4, sweep->owner, sizeof sweep->owner);
        sweep->spec = xstrdup(column_text(s, 5));
        sweep->submitted_at = column_real(s, 6);
        sweep->first_job = column_integer(s, 7);
        sweep->last_job = column_integer(s, 8);
        sweep->done = column_integer(s, 9);
        sweep->is_complete = column_integer(s, 10);
        sweep->is_hidden = column_integer(s, 11);
    }
    return statement_finish(s, error);
}

static bool is_owner(const struct sweep_row *sweep,
                     const struct submission *submission)
{
    return sweep->owner_uid == (int64_t)submission->caller.uid;
}

static bool has_spec(const struct sweep_row *sweep,
                     const struct submission *submission)
{
    size_t length;
    char *text = json_print(submission->spec_json, &length);
    bool is_same = !strcmp(text, sweep->spec);
    free(text);
    if (is_same)
        return true; /* quicker than looking at a million jobs */
    struct cJSON *spec = cJSON_Parse(sweep->spec);
    is_same = submission_is_same(submission, spec);
    cJSON_Delete(spec);
    return is_same;
}

/* Takes `text`. */
static void note(struct cJSON *notes, char *text)
{
    cJSON_AddItemToArray(notes, cJSON_CreateString(text));
    free(text);
}

static void give_existing(struct submit_operation *o,
                          const struct sweep_row *sweep)
{
    struct tally tally = {.done = sweep->done};
    struct cJSON *notes = cJSON_CreateArray();
    if (!controls_are_default(&o->submission->controls))
        note(notes, xprintf("the sweep keeps its own controls, which \"gaitctl "
                            "show %s\" tells",
                            sweep->name));
    o->operation.result = tally_write(&tally, sweep, true, notes);
}

/* The sweep that this request, sent once before, has made. */
static bool find_request(struct store *store, struct submit_operation *o,
                         bool *is_settled, struct error *error)
{
    struct sweep_row sweep = {0};
    if (!store_deletion_check(store, o->submission->request_id, error))
        return false;
    struct statement *s = db_sql(store->db, SWEEP "s.request_id = ?");
    if (!read_sweep(s, o->submission->request_id, &sweep, is_settled, error))
        return false;
    bool is_fine = true;
    if (*is_settled && !is_owner(&sweep, o->submission))
        is_fine =
            error_set(error, ERROR_CONFLICT, "request_id \"%s\" was used by %s",
                      o->submission->request_id, sweep.owner);
    else if (*is_settled && sweep.is_hidden)
        is_fine = error_set(error, ERROR_CONFLICT,
                            "request_id \"%s\" was used for %s",
                            o->submission->request_id, sweep.name);
    else if (*is_settled && !sweep.is_complete)
        o->operation.is_unfinished = true;
    else if (*is_settled)
        give_existing(o, &sweep);
    free(sweep.spec);
    return is_fine;
}

/* The sweep of that name, which is the same or in the way. */
static bool find_name(struct store *store, struct submit_operation *o,
                      bool *is_settled, struct error *error)
{
    const struct submission *submission = o->submission;
    if (!submission->spec->name[0])
        return true;
    struct sweep_row sweep = {0};
    struct statement *s = db_sql(store->db, SWEEP "s.name = ?");
    if (!read_sweep(s, submission->spec->name, &sweep, is_settled, error))
        return false;
    bool is_fine = true;
    if (*is_settled && !sweep.is_complete)
        o->operation.is_unfinished = true;
    else if (*is_settled && submission->fresh)
        is_fine = error_set(error, ERROR_CONFLICT,
                            "sweep \"%s\" exists (sweep-%lld): a fresh one "
                            "needs another name",
                            sweep.name, (long long)sweep.id);
    else if (*is_settled && is_owner(&sweep, submission) &&
             has_spec(&sweep, submission))
        give_existing(o, &sweep);
    else if (*is_settled)
        is_fine = error_set(
            error, ERROR_CONFLICT,
            "sweep \"%s\" exists with another %s (sweep-%lld, submitted by %s)",
            sweep.name, is_owner(&sweep, submission) ? "spec" : "owner",
            (long long)sweep.id, sweep.owner);
    free(sweep.spec);
    return is_fine;
}

/* Jobs. */

static bool insert_job(struct store *store, const struct submit_operation *o,
                       const struct wish *wish, const struct found_run *run,
                       struct error *error)
{
    const struct submission *submission = o->submission;
    char bare[LANE_BYTES], lane[LANE_BYTES + 160];
    lane_print(bare, &wish->demand);
    snprintf(lane, sizeof lane, "%s%s%s", bare, *run->device_class ? " " : "",
             run->device_class);
    struct statement *s = db_sql(
        store->db, "INSERT INTO job (id, sweep_id, owner_uid, position, "
                   "run_id, nb_epochs, label, device, threads, gpu_bytes, "
                   "lane, state, reason, priority, submitted_at) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    struct error reason = {0};
    bool is_held = submission->controls.hold;
    if (is_held)
        error_set(&reason, ERROR_NONE, "held by %s", submission->caller.name);
    bind_integer(s, o->sweep.first_job + o->position);
    bind_integer(s, o->sweep.id);
    bind_integer(s, submission->caller.uid);
    bind_integer(s, o->position);
    bind_integer(s, run->id);
    bind_integer(s, wish->settings.nb_epochs);
    bind_text(s, wish->label);
    bind_text(s, wish->demand.device);
    bind_integer(s, wish->demand.threads);
    bind_integer(s, wish->demand.gpu_bytes);
    bind_text(s, lane);
    bind_text(s, job_state_name(is_held ? JOB_held : JOB_queued));
    bind_text(s, is_held ? reason.text : NULL);
    bind_integer(s, submission->controls.priority);
    bind_real(s, o->sweep.submitted_at);
    return statement_run(s, error);
}

static void add_work(struct submit_operation *o)
{
    struct settings settings;
    struct work work;
    spec_job(o->submission->spec, o->position, &settings);
    work_init(&work, &settings, submission_shape(o->submission, &settings));
    work_add(&o->work, &work, o->position == 0);
}

static bool add_job(struct store *store, struct submit_operation *o,
                    struct error *error)
{
    const struct submission *s = o->submission;
    struct wish wish;
    struct found_run run;
    wish_init(&wish, s, o->position, o->first_run);
    if (!wish_grant(&wish, store, s->dry_run, &run, error))
        return false;
    tally_add(&o->tally, &run, wish.settings.nb_epochs);
    if (!s->fresh && (!run.id || run.id >= o->first_run))
        siblings_add(&o->siblings, &wish);
    if (s->dry_run)
        add_work(o);
    else if (!insert_job(store, o, &wish, &run, error))
        return false;
    o->position++;
    return true;
}

/* As many as there is time for. */
static bool add_jobs(struct store *store, struct submit_operation *o,
                     struct error *error)
{
    while (o->position < o->sweep.job_count) {
        if (!add_job(store, o, error))
            return false;
        if (o->position % ADDED_AT_ONCE == 0 && store_piece_is_over(store))
            return true;
    }
    return true;
}

/* Sweeps. */

static bool find_first_run(struct store *store, int64_t *id,
                           struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT ifnull(max(id), 0) + 1 FROM run");
    while (statement_next(s))
        *id = column_integer(s, 0);
    return statement_finish(s, error);
}

static bool insert_sweep(struct store *store, struct submit_operation *o,
                         struct error *error)
{
    const struct submission *s = o->submission;
    size_t length;
    char *spec = json_print(s->spec_json, &length);
    const struct new_sweep sweep = {
        .id = o->sweep.id,
        .job_count = o->sweep.job_count,
        .name = o->sweep.name,
        .owner = o->sweep.owner,
        .spec = spec,
        .request_id = s->request_id,
        .owner_uid = s->caller.uid,
        .controls = &s->controls,
    };
    bool is_fine = store_sweep_begin(store, &sweep, &o->operation, error);
    free(spec);
    return is_fine;
}

static bool reserve(struct store *store, struct submit_operation *o,
                    struct error *error)
{
    return o->sweep.id ||
           store_sweep_reserve(store, o->submission->spec->job_count,
                               &o->sweep.id, &o->sweep.first_job, error);
}

static bool begin(struct store *store, struct submit_operation *o,
                  struct error *error)
{
    const struct submission *s = o->submission;
    struct sweep_row *sweep = &o->sweep;
    bool waits;
    if (!store_quota_check(store, s->caller.uid, s->spec->job_count, error))
        return false;
    sweep->job_count = s->spec->job_count;
    sweep->submitted_at = store->now;
    snprintf(sweep->owner, sizeof sweep->owner, "%s", s->caller.name);
    snprintf(sweep->name, sizeof sweep->name, "%s", s->spec->name);
    if (!find_first_run(store, &o->first_run, error))
        return false;
    if (s->dry_run)
        return true;
    if (!reserve(store, o, error))
        return false;
    sweep->last_job = sweep->first_job + sweep->job_count - 1;
    if (!sweep->name[0])
        snprintf(sweep->name, sizeof sweep->name, "sweep-%lld",
                 (long long)sweep->id);
    return insert_sweep(store, o, error) &&
           store_sweep_wait(store, sweep->id, s->after_id, &waits, error);
}

static bool finish(struct store *store, struct submit_operation *o,
                   struct error *error)
{
    char classes[600];
    const struct submission *s = o->submission;
    if (!s->dry_run && !store_sweep_complete(store, o->sweep.id, o->sweep.name,
                                             &o->operation, error))
        return false;
    if (!siblings_note(&o->siblings, store, s, o->first_run, o->notes, error))
        return false;
    places_print_classes(s->places, s->place_count, classes, sizeof classes);
    tally_note(&o->tally, classes, o->notes);
    o->operation.result = tally_write(&o->tally, &o->sweep, false, o->notes);
    o->notes = NULL;
    if (s->dry_run)
        tally_write_dry(o->operation.result, s, &o->work);
    return true;
}

/* Steps; each does as much as there is time for. */

/* *is_settled: an older sweep is the answer, or will be. */
static bool find_existing(struct store *store, struct submit_operation *o,
                          bool *is_settled, struct error *error)
{
    *is_settled = false;
    if (!find_request(store, o, is_settled, error))
        return false;
    return *is_settled || find_name(store, o, is_settled, error);
}

static bool review(struct store *store, struct submit_operation *o,
                   struct error *error)
{
    if (!o->review) {
        faults_init(&o->faults);
        o->notes = cJSON_CreateArray();
        store_after_find(store, o->submission, &o->faults);
        o->review = review_new(o->submission, &o->faults, o->notes);
    }
    while (!o->is_reviewed && !store_piece_is_over(store))
        o->is_reviewed = review_go_on(o->review, REVIEWED_AT_ONCE);
    int count = o->faults.count;
    if (!o->is_reviewed || !count)
        return true;
    o->operation.data = cJSON_CreateObject();
    cJSON_AddItemToObject(o->operation.data, "faults",
                          faults_write(&o->faults));
    return error_set(error, ERROR_SPEC, "the spec has %d fault%s", count,
                     count == 1 ? "" : "s");
}

/* What comes meanwhile comes after it, however long the review takes: numbers
 * tell the order in which sweeps were sent. */
static bool keep_place(struct store *store, struct submit_operation *o,
                       struct error *error)
{
    return o->submission->dry_run || reserve(store, o, error);
}

/* What has begun is looked for no more: it is there. */
static bool run_submit(struct store *store, struct operation *operation,
                       struct error *error)
{
    struct submit_operation *o = (struct submit_operation *)operation;
    bool has_begun = o->sweep.job_count > 0, is_settled = false;
    if (!has_begun && !find_existing(store, o, &is_settled, error))
        return false;
    if (is_settled)
        return true;
    if (!has_begun && !review(store, o, error))
        return false;
    if (!has_begun && !(o->is_reviewed ? begin : keep_place)(store, o, error))
        return false;
    if (o->is_reviewed && !o->submission->dry_run &&
        !store_disk_check(store, error))
        return false;
    if (o->is_reviewed && !add_jobs(store, o, error))
        return false;
    if (o->is_reviewed && o->position == o->sweep.job_count)
        return finish(store, o, error);
    operation->is_unfinished = true;
    return true;
}

static void release_submit(struct operation *operation)
{
    struct submit_operation *o = (struct submit_operation *)operation;
    review_free(o->review);
    cJSON_Delete(o->notes);
    submission_free(o->submission);
}

void store_submit(struct store *store, struct submission *submission,
                  store_reply *reply, void *user)
{
    struct submit_operation *o = operation_new(sizeof *o, run_submit);
    o->operation.release = release_submit;
    o->operation.reply = reply;
    o->operation.user = user;
    o->submission = submission;
    cJSON_DeleteItemFromObjectCaseSensitive(submission->spec_json, "name");
    store_push(store, &o->operation);
}
