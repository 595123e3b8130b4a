#include "daemon/tally.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "schema/json.h"
#include "schema/memory.h"
#include "schema/spec.h"

enum { DRY_RUN_JOBS = 1000 }; /* whose settings are shown */

void tally_add(struct tally *tally, const struct found_run *run,
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

static void note(struct cJSON *notes, char *text)
{
    cJSON_AddItemToArray(notes, cJSON_CreateString(text));
    free(text);
}

void tally_note(const struct tally *tally, const char *classes,
                struct cJSON *notes)
{
    long long failed = tally->failed, waiting = tally->waiting;
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

/* Answers. */

static void add(struct cJSON *object, const char *name, struct cJSON *value)
{
    cJSON_AddItemToObject(object, name, value);
}

struct cJSON *tally_write(const struct tally *tally,
                          const struct sweep_row *sweep, bool is_existing,
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

void tally_write_dry(struct cJSON *result, const struct submission *s,
                     const struct work *work)
{
    blank(result, "sweep_id");
    blank(result, "first_job");
    blank(result, "last_job");
    blank(result, "submitted_at");
    add(result, "work", write_work(work));
    struct cJSON *jobs = cJSON_AddArrayToObject(result, "jobs");
    for (int64_t i = 0; i < s->spec->job_count && i < DRY_RUN_JOBS; i++)
        cJSON_AddItemToArray(jobs, write_dry_job(s->spec, i));
}
