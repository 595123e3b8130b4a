/* request_submit.c: a spec comes in, is checked whole, and is stored.
 *
 * Three steps: the spec by itself (off the loop: a short one may stand for a
 * million jobs), then the data sets its jobs name (which a worker program may
 * first have to read, so this takes its time), then the store.  Faults of the
 * first two are all told at once, and nothing is stored.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/datasets.h"
#include "daemon/fleet.h"
#include "daemon/hooks.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "schema/memory.h"
#include "schema/message.h"
#include "schema/spec.h"

enum { WISHES_MAX = 100 }; /* data sets that one spec may name */

/* One data set that is waited for. */
struct wish {
    struct submit *submit;
    char name[SETTING_TEXT_BYTES];
    char context[32]; /* where the spec names it */
};

struct submit {
    struct request *request;
    struct submission *submission;
    struct faults faults;
    struct error error; /* not the spec's fault */
    struct wish *wishes;
    int wish_count, answers_left;
};

/* Ends the request with the faults. */
static void refuse(struct submit *submit)
{
    struct error error;
    struct cJSON *data = cJSON_CreateObject();
    int count = submit->faults.count;
    cJSON_AddItemToObject(data, "faults", faults_write(&submit->faults));
    error_set(&error, ERROR_SPEC, "the spec has %d fault%s", count,
              count == 1 ? "" : "s");
    request_reply(submit->request, NULL, &error, data);
}

static void release(void *submission)
{
    submission_free(submission);
}

static void finish(struct submit *submit)
{
    struct request *request = submit->request;
    struct gaitd *gaitd = request->gaitd;
    if (gaitd->is_stopping && submit->error.code == ERROR_NONE)
        error_set(&submit->error, ERROR_BUSY, "gaitd is shutting down");
    if (submit->faults.count > 0)
        refuse(submit);
    else if (submit->error.code != ERROR_NONE)
        request_reply(request, NULL, &submit->error, NULL);
    else {
        store_submit(gaitd->store, submit->submission, request_reply, request);
        submit->submission = NULL;
    }
    if (submit->submission)
        gaitd_errand(gaitd, release, NULL, submit->submission);
    free(submit->wishes);
    free(submit);
}

/* Whether it is the user who can do something about it. */
static bool is_fault(enum error_code code)
{
    return code == ERROR_SPEC || code == ERROR_NOT_FOUND ||
           code == ERROR_CORRUPT || code == ERROR_TOO_LARGE;
}

static void on_found(void *user, const struct dataset *dataset,
                     const struct error *error)
{
    struct wish *wish = user;
    struct submit *submit = wish->submit;
    struct submission *submission = submit->submission;
    if (dataset) {
        submission->datasets[submission->dataset_count++] = *dataset;
    } else if (is_fault(error->code)) {
        submit->faults.context = wish->context;
        faults_add(&submit->faults, "dataset", "%s", error->text);
    } else {
        submit->error = *error;
    }
    if (--submit->answers_left == 0)
        finish(submit);
}

static bool has_fault(const struct submit *submit, const char *setting)
{
    for (int i = 0; i < submit->faults.count && i < FAULTS_MAX; i++)
        if (strcmp(submit->faults.fault[i].setting, setting) == 0)
            return true;
    return false;
}

static void wish_for(struct submit *submit, const char *name,
                     const char *context)
{
    bool is_full = submit->wish_count == WISHES_MAX;
    if (is_full && has_fault(submit, "dataset"))
        return;
    for (int i = 0; i < submit->wish_count; i++)
        if (strcmp(submit->wishes[i].name, name) == 0)
            return;
    if (is_full) {
        faults_add(&submit->faults, "dataset",
                   "more than %d data sets in one spec", WISHES_MAX);
        return;
    }
    submit->wishes =
        xrealloc(submit->wishes,
                 sizeof *submit->wishes * (size_t)(submit->wish_count + 1));
    struct wish *wish = &submit->wishes[submit->wish_count++];
    wish->submit = submit;
    snprintf(wish->name, sizeof wish->name, "%s", name);
    snprintf(wish->context, sizeof wish->context, "%s", context);
}

static void wish_for_points(struct submit *submit, const struct spec *spec,
                            const char *base_context)
{
    char context[32];
    for (int i = 0; i < spec->point_count; i++) {
        const char *name = json_text_or(spec->points[i], "dataset", NULL);
        snprintf(context, sizeof context, "points[%d]", i);
        wish_for(submit, name ? name : spec->base.dataset,
                 name ? context : base_context);
    }
}

static bool is_named(const struct cJSON *settings)
{
    return cJSON_GetObjectItemCaseSensitive(settings, "dataset") != NULL;
}

/* The data sets that jobs will really use: a base that every point or an axis
 * overrides is not looked at.  In a spec with faults only those count that it
 * names itself: the default may be there because of a misspelling. */
static void collect(struct submit *submit)
{
    const struct spec *spec = submit->submission->spec;
    const struct setting *setting = setting_find("dataset");
    const struct cJSON *json = submit->submission->spec_json;
    const struct cJSON *base = cJSON_GetObjectItemCaseSensitive(json, "base");
    const char *base_context = base ? "base" : "";
    for (int i = 0; i < spec->axis_count; i++) {
        const struct axis *axis = &spec->axes[i];
        if (axis->setting != setting)
            continue;
        for (int j = 0; j < axis->count; j++)
            wish_for(submit, cJSON_GetStringValue(axis->values[j]), "axes");
        return;
    }
    if (submit->faults.count > 0 && !is_named(base ? base : json))
        return;
    if (spec->point_count > 0)
        wish_for_points(submit, spec, base_context);
    else
        wish_for(submit, spec->base.dataset, base_context);
}

/* Data sets are looked for even if the spec has faults already, so that all
 * of them are told. */
static void look(struct submit *submit)
{
    int count = submit->wish_count;
    submit->submission->datasets =
        xcalloc((size_t)count + 1, sizeof *submit->submission->datasets);
    submit->answers_left = count;
    if (count == 0) {
        finish(submit);
        return;
    }
    struct wish *wishes = submit->wishes; /* `submit` may end with the last */
    for (int i = 0; i < count; i++)
        datasets_find(submit->request->gaitd->datasets, wishes[i].name,
                      on_found, &wishes[i]);
}

/* What does not hang on the spec. */
static void fill(struct submission *submission, const struct request *request)
{
    const struct gaitd *gaitd = request->gaitd;
    snprintf(submission->request_id, sizeof submission->request_id, "%s",
             json_text_or(request->params, "request_id", ""));
    submission->caller = *connection_caller(request->connection);
    submission->places = fleet_places(gaitd->fleet, &submission->place_count);
    submission->fresh = json_boolean_or(request->params, "fresh", false);
    submission->dry_run = json_boolean_or(request->params, "dry_run", false);
}

void request_submit_prepare(struct request *request)
{
    struct submit *submit = xcalloc(1, sizeof *submit);
    struct submission *submission = xcalloc(1, sizeof *submission);
    submit->request = request;
    submit->submission = submission;
    submission->spec = xcalloc(1, sizeof *submission->spec);
    submission->spec_json =
        cJSON_DetachItemFromObjectCaseSensitive(request->params, "spec");
    faults_init(&submit->faults);
    spec_init(submission->spec, submission->spec_json, &submit->faults);
    if (!has_fault(submit, "dataset"))
        collect(submit);
    request->prepared = submit;
}

void request_submit_forget(void *prepared)
{
    struct submit *submit = prepared;
    submission_free(submit->submission);
    free(submit->wishes);
    free(submit);
}

static void check_hook(struct submit *submit)
{
    struct error error;
    if (!hook_check(submit->request->gaitd->config,
                    submit->submission->controls.on_finish, &error))
        faults_add(&submit->faults, "on_finish", "%s", error.text);
}

static void read_controls(struct submit *submit)
{
    struct controls *controls = &submit->submission->controls;
    struct faults *faults = &submit->faults;
    faults->context = "controls";
    controls_init(controls);
    controls_read(
        cJSON_GetObjectItemCaseSensitive(submit->request->params, "controls"),
        controls, faults);
    if (controls->priority > 0 && !submit->submission->caller.is_operator)
        faults_add(faults, "priority",
                   "%lld is above 0, which only operators may choose",
                   (long long)controls->priority);
    check_hook(submit);
    faults->context = "";
}

void request_submit(struct request *request)
{
    struct submit *submit = request->prepared;
    if (!request_check_id(request)) {
        request_submit_forget(submit);
        return;
    }
    fill(submit->submission, request);
    read_controls(submit);
    look(submit);
}
