/* A sweep goes in, whole or not at all.
 *
 * Each job asks for a run by key.  The run is new, or was begun for another
 * job, or has all the epochs already; nothing is trained twice.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/operation.h"
#include "daemon/submission.h"
#include "daemon/wish.h"
#include "schema/json.h"
#include "schema/memory.h"
#include "schema/spec.h"
#include "schema/work.h"

enum { DRY_RUN_JOBS = 1000 }; /* whose settings are shown */

struct submit_operation {
    struct operation operation;
    struct submission *submission;
};

/* What the sweep came to. */
struct tally {
    int64_t sweep, first_job, first_run;
    /* Jobs by what their runs have: nothing, some epochs, all of them, a
     * divergence in the way, a device class that is gone. */
    int64_t fresh, continued, done, failed, waiting;
    bool waits;       /* for another sweep: no job is ready yet */
    int64_t gone_run; /* one of the last kind, and its class */
    char gone_class[160];
};

struct sweep_row {
    int64_t id, job_count, first_job, last_job, done, owner_uid;
    char name[SPEC_NAME_BYTES], owner[64];
    char *spec; /* the reader's to free */
    double submitted_at;
};

/* Replies. */

static void add(struct cJSON *object, const char *name, struct cJSON *value)
{
    cJSON_AddItemToObject(object, name, value);
}

static struct cJSON *write_reply(const struct sweep_row *sweep,
                                 bool is_existing, const struct tally *tally,
                                 struct cJSON *notes)
{
    struct cJSON *result = cJSON_CreateObject();
    add(result, "sweep_id", json_integer(sweep->id));
    add(result, "name", cJSON_CreateString(sweep->name));
    add(result, "owner", cJSON_CreateString(sweep->owner));
    add(result, "job_count", json_integer(sweep->job_count));
    add(result, "first_job", json_integer(sweep->first_job));
    add(result, "last_job", json_integer(sweep->last_job));
    add(result, "is_existing", cJSON_CreateBool(is_existing));
    add(result, "new", json_integer(tally->fresh));
    add(result, "continued", json_integer(tally->continued));
    add(result, "done", json_integer(tally->done));
    add(result, "failed", json_integer(tally->failed));
    add(result, "waiting", json_integer(tally->waiting));
    add(result, "notes", notes);
    add(result, "submitted_at", json_number(sweep->submitted_at));
    return result;
}

static void blank(struct cJSON *object, const char *name)
{
    cJSON_ReplaceItemInObjectCaseSensitive(object, name, cJSON_CreateNull());
}

/* The work of all jobs; evaluations_per_epoch and evaluation_rows become 0
 * where jobs differ. */
static struct work count_work(const struct submission *s)
{
    struct work sum = {0};
    for (int64_t i = 0; i < s->spec->job_count; i++) {
        struct settings settings;
        struct work work;
        spec_job(s->spec, i, &settings);
        work_init(&work, &settings, submission_shape(s, &settings));
        work_add(&sum, &work, i == 0);
    }
    return sum;
}

static struct cJSON *count_or_null(int64_t count)
{
    return count ? json_integer(count) : cJSON_CreateNull();
}

static struct cJSON *write_work(const struct work *work)
{
    struct cJSON *object = cJSON_CreateObject();
    double training = work->training_flops;
    double evaluation = work->evaluation_flops, once = work->once_flops;
    add(object, "training_flops", json_number(training));
    add(object, "evaluation_flops", json_number(evaluation));
    add(object, "evaluation_share",
        json_number(evaluation / (training + evaluation)));
    add(object, "once_share", json_number(once / (training + once)));
    add(object, "evaluations_per_epoch",
        count_or_null(work->evaluations_per_epoch));
    add(object, "evaluation_rows", count_or_null(work->evaluation_rows));
    return object;
}

static struct cJSON *write_dry_job(const struct spec *spec, int64_t position)
{
    struct settings settings;
    struct cJSON *job = cJSON_CreateObject();
    spec_job(spec, position, &settings);
    settings_effective(&settings);
    for (int i = 0; i < setting_count; i++)
        add(job, setting_table[i].name,
            setting_show(&setting_table[i], &settings));
    return job;
}

/* Of a dry run: what there is no number for is null, the settings are shown. */
static void write_dry(struct cJSON *result, const struct submission *s)
{
    blank(result, "sweep_id");
    blank(result, "first_job");
    blank(result, "last_job");
    blank(result, "submitted_at");
    struct work work = count_work(s);
    add(result, "work", write_work(&work));
    struct cJSON *jobs = cJSON_AddArrayToObject(result, "jobs");
    for (int64_t i = 0; i < s->spec->job_count && i < DRY_RUN_JOBS; i++) {
        cJSON_AddItemToArray(jobs, write_dry_job(s->spec, i));
    }
}

/* Sweeps that are there. */

#define SWEEP                                                                  \
    "SELECT s.id, s.job_count, s.owner_uid, s.name, s.owner, s.spec, "         \
    "s.submitted_at, (SELECT min(id) FROM job WHERE sweep_id = s.id), "        \
    "(SELECT max(id) FROM job WHERE sweep_id = s.id), "                        \
    "(SELECT count(*) FROM job WHERE sweep_id = s.id AND state = 'done') "     \
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
    struct cJSON *spec = cJSON_Parse(sweep->spec);
    bool is_same = submission_is_same(submission, spec);
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
    o->operation.result = write_reply(sweep, true, &tally, notes);
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
    if (*is_settled && submission->fresh)
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

static bool insert_job(struct store *store, const struct stored_job *job,
                       const struct wish *wish, const char *device_class,
                       const struct submission *submission, bool is_ready,
                       struct error *error)
{
    char bare[LANE_BYTES], lane[LANE_BYTES + 160];
    lane_print(bare, &wish->demand);
    snprintf(lane, sizeof lane, "%s%s%s", bare, *device_class ? " " : "",
             device_class);
    struct statement *s = db_sql(
        store->db, "INSERT INTO job (id, sweep_id, owner_uid, position, "
                   "run_id, nb_epochs, label, device, threads, gpu_bytes, "
                   "lane, state, reason, priority, is_ready, submitted_at) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    struct error reason = {0};
    bool is_held = job->state == JOB_held;
    if (is_held)
        error_set(&reason, ERROR_NONE, "held by %s", submission->caller.name);
    bind_integer(s, job->id);
    bind_integer(s, job->sweep);
    bind_integer(s, submission->caller.uid);
    bind_integer(s, job->position);
    bind_integer(s, job->run);
    bind_integer(s, job->nb_epochs);
    bind_text(s, job->label);
    bind_text(s, wish->demand.device);
    bind_integer(s, wish->demand.threads);
    bind_integer(s, wish->demand.gpu_bytes);
    bind_text(s, lane);
    bind_text(s, job_state_name(job->state));
    bind_text(s, is_held ? reason.text : NULL);
    bind_integer(s, submission->controls.priority);
    bind_integer(s, is_ready);
    bind_real(s, store->now);
    return statement_run(s, error) &&
           store_job_tell(store, job, job->state, NULL, error);
}

static void count(struct tally *tally, const struct found_run *run,
                  int64_t nb_epochs)
{
    if (run->epochs_done >= nb_epochs) {
        tally->done++;
    } else if (nb_epochs >= run->diverged_epoch) {
        tally->failed++;
    } else if (run->is_gone) {
        tally->waiting++;
        tally->gone_run = run->id;
        memcpy(tally->gone_class, run->device_class, sizeof tally->gone_class);
    } else if (run->epochs_done > 0) {
        tally->continued++;
    } else {
        tally->fresh++;
    }
}

/* A job of a run that is there already: over at once, or in the queue. */
static bool settle_job(struct store *store, struct stored_job *job,
                       const struct found_run *run, struct error *error)
{
    if (run->epochs_done >= job->nb_epochs)
        return store_job_move(store, job, JOB_ON_finish, NULL, error);
    if (job->nb_epochs >= run->diverged_epoch)
        return store_job_move(store, job, JOB_ON_fail, run->failure, error);
    return store_run_release(store, job->run, error);
}

static bool add_job(struct store *store, const struct submission *s,
                    int64_t position, struct tally *tally, struct error *error)
{
    struct wish wish;
    struct found_run run;
    bool is_new = false;
    wish_init(&wish, s, position, tally->first_run);
    if (!wish_grant(&wish, store, s->dry_run, &run, &is_new, error))
        return false;
    count(tally, &run, wish.settings.nb_epochs);
    if (s->dry_run)
        return true;
    struct stored_job job = {
        .id = tally->first_job + position,
        .sweep = tally->sweep,
        .position = position,
        .run = run.id,
        .nb_epochs = wish.settings.nb_epochs,
        .steps_per_epoch = settings_train_rows(&wish.settings, wish.shape) /
                           wish.settings.batch_size,
        .epochs_done = run.epochs_done,
        .step = run.epochs_done < 0 ? -1 : 0,
        .state = s->controls.hold ? JOB_held : JOB_queued,
    };
    memcpy(job.label, wish.label, sizeof job.label);
    bool is_ready = is_new && !s->controls.hold && !tally->waits;
    return insert_job(store, &job, &wish, run.device_class, s, is_ready,
                      error) &&
           (is_new || settle_job(store, &job, &run, error));
}

/* Sweeps. */

static bool next_id(struct store *store, const char *sql, int64_t *id,
                    struct error *error)
{
    struct statement *s = db_sql(store->db, sql);
    while (statement_next(s))
        *id = column_integer(s, 0) + 1;
    return statement_finish(s, error);
}

static bool insert_sweep(struct store *store, const struct submission *s,
                         const struct sweep_row *sweep, struct error *error)
{
    size_t length;
    char *spec = json_print(s->spec_json, &length);
    struct statement *i = db_sql(
        store->db, "INSERT INTO sweep (id, name, owner, owner_uid, spec, "
                   "request_id, job_count, submitted_at" CONTROL_COLUMNS
                   ") VALUES (?, ?, ?, ?, ?, ?, ?, ?" CONTROL_PARAMETERS ")");
    bind_integer(i, sweep->id);
    bind_text(i, sweep->name);
    bind_text(i, sweep->owner);
    bind_integer(i, s->caller.uid);
    bind_text(i, spec);
    bind_text(i, s->request_id);
    bind_integer(i, sweep->job_count);
    bind_real(i, store->now);
    controls_bind(i, &s->controls);
    bool is_fine = statement_run(i, error);
    free(spec);
    return is_fine && store_event_add(store, "submitted", sweep->id, 0,
                                      sweep->name, error);
}

static bool make_sweep(struct store *store, const struct submission *s,
                       struct sweep_row *sweep, struct tally *tally,
                       struct error *error)
{
    const char *name = s->spec->name;
    if (!next_id(store, STORE_LAST_SWEEP, &sweep->id, error) ||
        !next_id(store, STORE_LAST_JOB, &sweep->first_job, error) ||
        !next_id(store, "SELECT ifnull(max(id), 0) FROM run", &tally->first_run,
                 error))
        return false;
    sweep->job_count = s->spec->job_count;
    sweep->last_job = sweep->first_job + sweep->job_count - 1;
    sweep->submitted_at = store->now;
    snprintf(sweep->owner, sizeof sweep->owner, "%s", s->caller.name);
    snprintf(sweep->name, sizeof sweep->name, "%s", name);
    if (!name[0] && !s->dry_run)
        snprintf(sweep->name, sizeof sweep->name, "sweep-%lld",
                 (long long)sweep->id);
    tally->sweep = sweep->id;
    tally->first_job = sweep->first_job;
    if (!s->dry_run && (!insert_sweep(store, s, sweep, error) ||
                        !store_sweep_wait(store, sweep->id, s->after_id,
                                          &tally->waits, error)))
        return false;
    for (int64_t i = 0; i < sweep->job_count; i++)
        if (!add_job(store, s, i, tally, error))
            return false;
    return true;
}

static void note_tally(const struct tally *tally, const struct submission *s,
                       struct cJSON *notes)
{
    char classes[600];
    long long failed = tally->failed, waiting = tally->waiting;
    places_print_classes(s->places, s->place_count, classes, sizeof classes);
    if (failed)
        note(notes, xprintf("%lld job%s at once: %s known to diverge before "
                            "%s",
                            failed, failed == 1 ? " fails" : "s fail",
                            failed == 1 ? "its run is" : "their runs are",
                            failed == 1 ? "it ends" : "they end"));
    if (waiting)
        note(notes,
             xprintf("run %lld began on \"%s\", which this machine does not "
                     "offer (it offers %s), and nothing is mixed: %lld "
                     "job%s for it; submit with --fresh to train anew here",
                     (long long)tally->gone_run, tally->gone_class, classes,
                     waiting, waiting == 1 ? " waits" : "s wait"));
}

static bool submit_new(struct store *store, struct submit_operation *o,
                       struct cJSON **notes, struct error *error)
{
    struct submission *s = o->submission;
    struct sweep_row sweep = {0};
    struct tally tally = {0};
    struct faults faults;
    faults_init(&faults);
    store_after_find(store, s, &faults);
    submission_review(s, &faults, *notes);
    if (faults.count) {
        o->operation.data = cJSON_CreateObject();
        add(o->operation.data, "faults", faults_write(&faults));
        return error_set(error, ERROR_SPEC, "the spec has %d fault%s",
                         faults.count, faults.count == 1 ? "" : "s");
    }
    if (!store_quota_check(store, s, s->spec->job_count, error) ||
        !make_sweep(store, s, &sweep, &tally, error))
        return false;
    note_tally(&tally, s, *notes);
    o->operation.result = write_reply(&sweep, false, &tally, *notes);
    *notes = NULL;
    return true;
}

static bool submit(struct store *store, struct submit_operation *o,
                   struct error *error)
{
    bool is_settled = false;
    if (!find_request(store, o, &is_settled, error))
        return false;
    if (!is_settled && !find_name(store, o, &is_settled, error))
        return false;
    if (is_settled)
        return true;
    struct cJSON *notes = cJSON_CreateArray();
    bool is_fine = submit_new(store, o, &notes, error);
    cJSON_Delete(notes);
    return is_fine;
}

static bool run_submit(struct store *store, struct operation *operation,
                       struct error *error)
{
    struct submit_operation *o = (struct submit_operation *)operation;
    bool is_fine = submit(store, o, error);
    if (is_fine && o->submission->dry_run)
        write_dry(operation->result, o->submission);
    return is_fine;
}

static void release_submit(struct operation *operation)
{
    submission_free(((struct submit_operation *)operation)->submission);
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
