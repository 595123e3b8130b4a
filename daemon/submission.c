#include "daemon/submission.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/gpu_memory.h"
#include "schema/memory.h"
#include "schema/spec.h"

void submission_free(struct submission *submission)
{
    if (!submission)
        return;
    if (submission->spec)
        spec_release(submission->spec);
    free(submission->spec);
    cJSON_Delete(submission->spec_json);
    free(submission->datasets);
    free(submission->places);
    free(submission);
}

const struct dataset_shape *submission_shape(const struct submission *s,
                                             const struct settings *settings)
{
    for (int i = 0; i < s->dataset_count; i++)
        if (!strcmp(s->datasets[i].name, settings->dataset))
            return &s->datasets[i].shape;
    return NULL;
}

void submission_label(const struct submission *submission,
                      const struct settings *settings, const char *between,
                      char *text, size_t bytes)
{
    struct settings effective = *settings;
    size_t used = 0;
    settings_effective(&effective);
    text[0] = '\0';
    for (int i = 0; i < setting_count && used < bytes; i++) {
        const struct setting *setting = &setting_table[i];
        char value[SETTING_TEXT_BYTES];
        if (!spec_varies(submission->spec, setting) ||
            !setting_has_effect(setting, &effective))
            continue;
        setting_print(setting, &effective, value, sizeof value);
        used += (size_t)snprintf(text + used, bytes - used, "%s%s=%s",
                                 used ? between : "", setting->name, value);
    }
}

/* Two specs of the same jobs. */

static bool is_same_job(const struct submission *s, const struct spec *spec,
                        int64_t position)
{
    struct settings ours, theirs;
    spec_job(s->spec, position, &ours);
    spec_job(spec, position, &theirs);
    const struct dataset_shape *shape = submission_shape(s, &ours);
    if (!shape || strcmp(ours.dataset, theirs.dataset))
        return false;
    settings_canonical(&ours, shape);
    settings_canonical(&theirs, shape);
    for (int i = 0; i < setting_count; i++)
        if (!setting_equal(&setting_table[i], &ours, &theirs))
            return false;
    return true;
}

bool submission_is_same(const struct submission *submission,
                        const struct cJSON *spec_json)
{
    struct faults faults;
    struct spec spec;
    faults_init(&faults);
    bool is_same = spec_init(&spec, spec_json, &faults) &&
                   spec.job_count == submission->spec->job_count;
    for (int64_t i = 0; is_same && i < spec.job_count; i++)
        is_same = is_same_job(submission, &spec, i);
    spec_release(&spec);
    return is_same;
}

void submission_demand(const struct settings *settings,
                       const struct dataset_shape *shape, struct demand *demand)
{
    bool is_cpu = strcmp(settings->device, "cpu") == 0;
    *demand = (struct demand){.threads = (int)settings->threads};
    snprintf(demand->device, sizeof demand->device, "%.31s", settings->device);
    if (shape && !is_cpu)
        demand->gpu_bytes = gpu_memory_bytes(settings, shape);
}

/* Faults. */

static void check_placement(const struct submission *s,
                            const struct settings *settings,
                            struct faults *faults)
{
    char reason[PLACE_REASON_BYTES];
    struct demand demand, one;
    submission_demand(settings, submission_shape(s, settings), &demand);
    one = demand;
    one.threads = 1;
    places_refuse(s->places, s->place_count, &one, reason);
    if (*reason) {
        faults_add(faults, "device", "%s", reason);
        return;
    }
    places_refuse(s->places, s->place_count, &demand, reason);
    if (*reason)
        faults_add(faults, "threads", "%s", reason);
}

static void check_job(const struct submission *s,
                      const struct settings *settings, struct faults *faults)
{
    const struct dataset_shape *shape = submission_shape(s, settings);
    check_placement(s, settings, faults);
    if (shape)
        settings_check(settings, shape, faults);
    else
        faults_add(faults, "dataset", "\"%s\" is not known here",
                   settings->dataset);
}

static bool is_known(const struct faults *faults, const struct fault *fault)
{
    for (int i = 0; i < faults->count && i < FAULTS_MAX; i++)
        if (!strcmp(faults->fault[i].setting, fault->setting) &&
            !strcmp(faults->fault[i].text, fault->text))
            return true;
    return false;
}

static void add_faults(const struct submission *s, int64_t position,
                       const struct settings *settings,
                       const struct faults *found, struct faults *faults)
{
    char label[64], context[96] = "";
    submission_label(s, settings, ", ", label, sizeof label);
    if (s->spec->job_count > 1)
        snprintf(context, sizeof context, "job %lld (%s)", (long long)position,
                 label);
    for (int i = 0; i < found->count && i < FAULTS_MAX; i++) {
        const struct fault *fault = &found->fault[i];
        if (is_known(faults, fault))
            continue;
        faults->context = context;
        faults_add(faults, fault->setting, "%s", fault->text);
        faults->context = "";
    }
}

/* Notes. */

struct review {
    const struct submission *submission;
    struct faults *faults;
    struct cJSON *notes;
    int64_t position; /* of the next job */
    int64_t *seeds;   /* of each job */
    int64_t seed_count;
    int seeds_most;   /* that one job's layers use, from its own upwards */
    bool leaves_rows; /* `leaving` trains on whole batches only */
    struct settings leaving;
    int64_t left;
};

static void look_at(struct review *r, const struct settings *settings,
                    const struct dataset_shape *shape)
{
    int widths[LAYERS_MAX];
    /* A square network's output layer begins as its last hidden one does. */
    int used = settings_widths(settings, shape->width, widths);
    if (!settings->tower)
        used--;
    if (used > r->seeds_most)
        r->seeds_most = used;
    r->seeds[r->seed_count++] = settings->seed;
    int64_t left = settings_train_rows(settings, shape) % settings->batch_size;
    if (left && !r->leaves_rows) {
        r->leaves_rows = true;
        r->leaving = *settings;
        r->left = left;
    }
}

static int compare_seeds(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void note(struct cJSON *notes, char *text)
{
    cJSON_AddItemToArray(notes, cJSON_CreateString(text));
    free(text);
}

/* Layer k starts from seed + k, so that near seeds share matrices. */
static void note_seeds(struct review *r, struct cJSON *notes)
{
    qsort(r->seeds, (size_t)r->seed_count, sizeof *r->seeds, compare_seeds);
    for (int64_t i = 1; i < r->seed_count; i++) {
        int64_t gap = r->seeds[i] - r->seeds[i - 1];
        if (gap == 0 || gap >= r->seeds_most)
            continue;
        note(notes,
             xprintf("seeds %lld and %lld start from some of the same weight "
                     "matrices, since layer k uses seed + k: take seeds at "
                     "least %d apart",
                     (long long)r->seeds[i - 1], (long long)r->seeds[i],
                     r->seeds_most));
        return;
    }
}

static void write_notes(struct review *r, struct cJSON *notes)
{
    note_seeds(r, notes);
    if (r->leaves_rows)
        note(notes, xprintf("the last %lld training row%s left out, since "
                            "batch_size %lld does not divide their number",
                            (long long)r->left, r->left == 1 ? " is" : "s are",
                            (long long)r->leaving.batch_size));
}

struct review *review_new(const struct submission *submission,
                          struct faults *faults, struct cJSON *notes)
{
    struct review *review = xcalloc(1, sizeof *review);
    *review = (struct review){
        .submission = submission,
        .faults = faults,
        .notes = notes,
        .seeds =
            xcalloc((size_t)submission->spec->job_count, sizeof *review->seeds),
    };
    return review;
}

void review_free(struct review *review)
{
    if (review)
        free(review->seeds);
    free(review);
}

static void review_one(struct review *r)
{
    const struct submission *submission = r->submission;
    struct settings settings;
    struct faults found;
    faults_init(&found);
    spec_job(submission->spec, r->position, &settings);
    check_job(submission, &settings, &found);
    if (found.count)
        add_faults(submission, r->position, &settings, &found, r->faults);
    else
        look_at(r, &settings, submission_shape(submission, &settings));
    r->position++;
}

bool review_go_on(struct review *r, int64_t jobs)
{
    int64_t left = r->submission->spec->job_count - r->position;
    int64_t end = r->position + (jobs < left ? jobs : left);
    while (r->position < end && r->faults->count < FAULTS_MAX)
        review_one(r);
    if (jobs < left && r->faults->count < FAULTS_MAX)
        return false;
    if (!r->faults->count)
        write_notes(r, r->notes);
    return true;
}
