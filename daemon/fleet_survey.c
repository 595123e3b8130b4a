#include "daemon/fleet_survey.h"

#include <stdlib.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/loop_errand.h"
#include "daemon/store.h"
#include "schema/memory.h"

enum { FAILURES_MAX = 32, WAITERS_MAX = 64 };

struct look {
    bool is_due; /* to be looked at in this errand */
    bool is_well;
    struct nvml_state state;
    struct error error;
};

struct waiter {
    void (*on_done)(void *user);
    void *user;
    struct waiter *next;
};

struct survey {
    struct survey_setup setup;
    uv_timer_t timer;
    struct look looks[DEVICES_MAX]; /* the errand's while it is out */
    int failure_count;              /* likewise */
    struct {
        struct nvml_gpu *gpu;
        int xid;
    } failures[FAILURES_MAX];
    bool is_out, is_freed;
    bool is_due[DEVICES_MAX]; /* in the next errand */
    bool is_wanted[DEVICES_MAX], is_spoilt[DEVICES_MAX];
    uint64_t seen_at[DEVICES_MAX]; /* uv_now */
    struct waiter *waiters;        /* for the next errand */
    struct waiter *served;         /* by the one that is out */
    void (*on_freed)(void *user);
    void *freed_user;
};

static void send_out(struct survey *survey);

/* On another thread. */
static void run(void *user)
{
    struct survey *survey = user;
    const struct devices *devices = survey->setup.devices;
    for (int i = 0; i < devices->count; i++) {
        struct look *look = &survey->looks[i];
        if (look->is_due)
            look->is_well = nvml_look(devices->nvml, devices->device[i].handle,
                                      &look->state, &look->error);
    }
    survey->failure_count = 0;
    while (survey->failure_count < FAILURES_MAX &&
           nvml_next_failure(devices->nvml,
                             &survey->failures[survey->failure_count].gpu,
                             &survey->failures[survey->failure_count].xid))
        survey->failure_count++;
}

static void tell_failures(struct survey *survey)
{
    const struct survey_setup *setup = &survey->setup;
    struct error why;
    for (int f = 0; f < survey->failure_count; f++)
        for (int i = 0; i < setup->devices->count; i++) {
            if (setup->devices->device[i].whole != survey->failures[f].gpu)
                continue;
            error_set(&why, ERROR_IO, "Xid %d", survey->failures[f].xid);
            setup->on_failed(setup->user, i, why.text);
        }
}

static void tell(struct survey *survey, int device)
{
    const struct survey_setup *setup = &survey->setup;
    const struct look *look = &survey->looks[device];
    const struct device *known = &setup->devices->device[device];
    bool has_new_errors =
        known->was_seen && look->state.ecc_errors > known->state.ecc_errors;
    if (!look->is_well) {
        setup->on_failed(setup->user, device, look->error.text);
        return;
    }
    setup->on_seen(setup->user, device, &look->state);
    if (has_new_errors)
        setup->on_failed(setup->user, device,
                         "its memory has an error that could not be corrected "
                         "(ECC)");
}

static void serve(struct waiter *waiters)
{
    while (waiters) {
        struct waiter *next = waiters->next;
        waiters->on_done(waiters->user);
        free(waiters);
        waiters = next;
    }
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct survey *survey = timer->data;
    void (*on_freed)(void *user) = survey->on_freed;
    void *user = survey->freed_user;
    serve(survey->waiters);
    free(survey);
    on_freed(user);
}

static void on_timer(uv_timer_t *timer);

/* Of the devices that are wanted, when the first is to be looked at. */
static void schedule(struct survey *survey)
{
    uint64_t now = uv_now(survey->setup.loop), wait = UINT64_MAX;
    uint64_t pause = (uint64_t)(survey->setup.config->foreign_s * 1000);
    for (int i = 0; i < survey->setup.devices->count; i++) {
        if (!survey->is_wanted[i] || survey->looks[i].is_due)
            continue;
        uint64_t age = now - survey->seen_at[i];
        uint64_t left = survey->is_spoilt[i] || age >= pause ? 0 : pause - age;
        wait = left < wait ? left : wait;
    }
    if (wait == UINT64_MAX)
        uv_timer_stop(&survey->timer);
    else
        uv_timer_start(&survey->timer, on_timer, wait, 0);
}

static void done(void *user)
{
    struct survey *survey = user;
    const struct survey_setup *setup = &survey->setup;
    struct waiter *served = survey->served;
    bool was_due[DEVICES_MAX] = {false};
    survey->is_out = false;
    for (int i = 0; i < setup->devices->count; i++) {
        was_due[i] = survey->looks[i].is_due;
        survey->looks[i].is_due = false;
        survey->seen_at[i] =
            was_due[i] ? uv_now(setup->loop) : survey->seen_at[i];
    }
    for (int i = 0; !survey->is_freed && i < setup->devices->count; i++)
        if (was_due[i])
            tell(survey, i);
    if (!survey->is_freed)
        tell_failures(survey);
    for (int i = 0; !survey->is_freed && i < setup->devices->count; i++)
        if (was_due[i] && survey->is_wanted[i]) {
            survey->is_wanted[i] = false;
            setup->on_answer(setup->user, i);
        }
    survey->served = NULL;
    serve(served);
    if (survey->is_freed) {
        uv_close((uv_handle_t *)&survey->timer, on_timer_closed);
        return;
    }
    send_out(survey);
    schedule(survey);
}

static void send_out(struct survey *survey)
{
    bool is_any = survey->waiters != NULL;
    if (survey->is_out || survey->is_freed || !survey->setup.devices->nvml)
        return;
    for (int i = 0; i < survey->setup.devices->count; i++)
        is_any = is_any || survey->is_due[i];
    if (!is_any)
        return;
    for (int i = 0; i < survey->setup.devices->count; i++) {
        survey->looks[i].is_due = survey->is_due[i];
        survey->is_spoilt[i] = survey->is_spoilt[i] && !survey->is_due[i];
        survey->is_due[i] = false;
    }
    survey->served = survey->waiters;
    survey->waiters = NULL;
    survey->is_out = true;
    loop_errand(survey->setup.loop, run, done, survey);
}

static void on_timer(uv_timer_t *timer)
{
    struct survey *survey = timer->data;
    uint64_t now = uv_now(survey->setup.loop);
    uint64_t pause = (uint64_t)(survey->setup.config->foreign_s * 1000);
    for (int i = 0; i < survey->setup.devices->count; i++)
        if (survey->is_wanted[i] &&
            (survey->is_spoilt[i] || now - survey->seen_at[i] >= pause))
            survey->is_due[i] = true;
    send_out(survey);
}

void survey_want(struct survey *survey, int device)
{
    survey->is_wanted[device] = true;
    if (!survey->is_out)
        schedule(survey);
}

void survey_spoil(struct survey *survey, int device)
{
    survey->is_spoilt[device] = true;
}

void survey_look(struct survey *survey,
                 bool (*is_wanted)(const void *user, int device),
                 void (*on_done)(void *user), void *user)
{
    const struct devices *devices = survey->setup.devices;
    for (int i = 0; i < devices->count; i++)
        if (devices->device[i].handle && (!is_wanted || is_wanted(user, i)))
            survey->is_due[i] = true;
    if (on_done && !devices->nvml) {
        on_done(user);
        return;
    }
    if (on_done) {
        struct waiter *waiter = xcalloc(1, sizeof *waiter);
        *waiter = (struct waiter){on_done, user, survey->waiters};
        survey->waiters = waiter;
    }
    send_out(survey);
}

struct survey *survey_new(const struct survey_setup *setup)
{
    struct survey *survey = xcalloc(1, sizeof *survey);
    survey->setup = *setup;
    uv_timer_init(setup->loop, &survey->timer);
    survey->timer.data = survey;
    for (int i = 0; i < DEVICES_MAX; i++)
        survey->is_spoilt[i] = true; /* never seen */
    return survey;
}

void survey_free(struct survey *survey, void (*on_freed)(void *user),
                 void *user)
{
    survey->on_freed = on_freed;
    survey->freed_user = user;
    survey->is_freed = true;
    if (!survey->is_out)
        uv_close((uv_handle_t *)&survey->timer, on_timer_closed);
}
