#include "daemon/slot.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/process.h"
#include "schema/message.h"

enum { RETRY_S_MAX = 300 };

static void tell(struct slot *slot, const char *type, int64_t attempt)
{
    struct cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", type);
    if (attempt >= 0)
        cJSON_AddItemToObject(message, "attempt", json_integer(attempt));
    process_send(slot->process, message);
}

static bool is_in_service(const struct slot *slot)
{
    return slot->failed_starts == 0;
}

bool slot_is_idle(const struct slot *slot)
{
    return slot->process && slot->is_greeted && !slot->is_leaving &&
           !slot->attempt;
}

bool slot_has_attempt(const struct slot *slot, int64_t attempt)
{
    return slot->attempt && slot->attempt->dispatch.attempt == attempt;
}

static void changed(struct slot *slot)
{
    slot->setup->on_change(slot->setup->user, slot);
}

static void become_idle(struct slot *slot)
{
    slot->idle_since = uv_now(slot->setup->loop);
    changed(slot);
}

static void await_exit(struct slot *slot)
{
    slot->is_leaving = true;
    process_kill_after(slot->process, slot->setup->config->stop_grace_s);
}

void slot_dismiss(struct slot *slot)
{
    tell(slot, "quit", -1);
    await_exit(slot);
}

/* Out of service. */

static void on_again(uv_timer_t *timer);

/* 1, 5, 25, 125, 300, 300, ... */
static double retry_s(int failures)
{
    double seconds = 1;
    while (--failures > 0 && seconds < RETRY_S_MAX)
        seconds *= 5;
    return seconds < RETRY_S_MAX ? seconds : RETRY_S_MAX;
}

/* An attempt that came here meanwhile goes back to the queue; whatever the
 * store does next, it does it knowing that this slot takes none. */
static void leave_service(struct slot *slot, const char *what,
                          const char *reason)
{
    const struct slot_setup *setup = slot->setup;
    bool was_in_service = is_in_service(slot);
    if (slot->is_ending)
        return;
    double wait = retry_s(++slot->failed_starts + slot->device_losses);
    snprintf(slot->trouble, sizeof slot->trouble, "out of service, %s: %.300s",
             what, reason);
    log_write(setup->log, LOG_error, "slot %d is %s; next try in %g s",
              slot->number, slot->trouble, wait);
    if (was_in_service)
        store_slot_close(setup->store, slot->number, slot->trouble);
    uv_timer_start(&slot->again, on_again, (uint64_t)(wait * 1000), 0);
}

static void return_to_service(struct slot *slot)
{
    if (is_in_service(slot))
        return;
    slot->failed_starts = 0;
    slot->trouble[0] = '\0';
    uv_timer_stop(&slot->again);
    log_write(slot->setup->log, LOG_info, "slot %d is back in service",
              slot->number);
    store_slot_open_at(slot->setup->store, slot->number, &slot->place);
}

/* What is heard. */

static void advance(struct slot *slot);

static void greet(struct slot *slot, const struct cJSON *message)
{
    struct error error;
    struct hello hello;
    const struct hello *known = &slot->device->hello;
    if (!hello_read(&hello, message, &error))
        process_fail(slot->process, "%s", error.text);
    else if (strcmp(hello.device_class, known->device_class) != 0)
        process_fail(slot->process,
                     "its device class is \"%s\", expected \"%s\"",
                     hello.device_class, known->device_class);
    else if (*known->uuid && !hello_is_on(&hello, known->uuid))
        process_fail(slot->process, "it opened \"%s\", expected \"%s\"",
                     hello.uuid, known->uuid);
    else {
        slot->is_greeted = true;
        slot->pid = (pid_t)hello.pid;
        return_to_service(slot);
        advance(slot);
        if (slot_is_idle(slot))
            become_idle(slot);
    }
}

static bool is_last(const char *type)
{
    return !strcmp(type, "done") || !strcmp(type, "stopped") ||
           !strcmp(type, "failed");
}

static void expel(struct slot *slot, const char *text)
{
    slot->is_leaving = true;
    process_fail(slot->process, "%s", text);
}

/* What the worker said on stderr during the attempt. */
static void keep_stderr(const struct slot *slot, const char *text)
{
    if (*text)
        store_attempt_stderr(slot->setup->store,
                             slot->attempt->dispatch.attempt, text);
}

static void hear(struct slot *slot, const struct cJSON *message,
                 const char *type)
{
    struct error error;
    const struct slot_setup *setup = slot->setup;
    struct attempt *attempt = slot->attempt;
    if (!attempt || !attempt->is_sent) {
        error_set(&error, ERROR_PROTOCOL, "sent \"%.50s\" without an attempt",
                  type);
        expel(slot, error.text);
        return;
    }
    if (is_last(type) && !attempt->is_ended) {
        char text[STDERR_BYTES];
        process_stderr(slot->process, text);
        keep_stderr(slot, text);
    }
    if (!attempt_take(attempt, message, slot->pid, setup->store, setup->log,
                      &error)) {
        expel(slot, error.text);
        return;
    }
    pulse_move(&slot->pulse);
    if (attempt->has_lost_device)
        setup->on_device_lost(setup->user, slot,
                              json_text_or(message, "message", ""));
    else if (is_last(type) && strcmp(type, "failed") != 0)
        slot->device_losses = 0;
    if (strcmp(type, "stopped") == 0)
        slot->is_going = !slot->is_told; /* by SIGTERM, or it heard nothing */
    if (strcmp(type, "progress") == 0 || strcmp(type, "started") == 0) {
        struct cJSON *progress = attempt_progress(attempt);
        setup->on_progress(setup->progress_user, attempt->dispatch.sweep,
                           attempt->dispatch.job, progress);
        cJSON_Delete(progress);
    }
}

/* One that says nothing of its training has not moved. */
static void hear_pong(struct slot *slot, const struct cJSON *message)
{
    const struct cJSON *expected =
        cJSON_GetObjectItemCaseSensitive(message, "expected_s");
    pulse_answer(&slot->pulse, json_integer_or(message, "beats", -1),
                 cJSON_IsNull(expected)
                     ? INFINITY
                     : json_real_or(message, "expected_s", 0));
}

static void on_message(void *user, const struct cJSON *message)
{
    struct slot *slot = user;
    const char *type = json_text_or(message, "type", "");
    if (!slot->is_greeted)
        greet(slot, message);
    else if (strcmp(type, "pong") == 0)
        hear_pong(slot, message);
    else
        hear(slot, message, type);
}

/* What a worker says at once is one transaction. */
static void on_several(void *user, bool is_over)
{
    store_gather(((struct slot *)user)->setup->store, !is_over);
}

/* The process. */

/* The attempt of a worker that ended without its last word. */
static void lose_attempt(struct slot *slot, const struct process_end *end)
{
    const struct slot_setup *setup = slot->setup;
    struct attempt *attempt = slot->attempt;
    bool is_ours = slot->is_ending || slot->is_told;
    log_write(setup->log, LOG_warning,
              "the worker of job %lld in slot %d has ended: %s",
              (long long)attempt->dispatch.job, slot->number, end->reason);
    keep_stderr(slot, end->stderr_text);
    attempt_end(attempt, setup->store, is_ours ? OUTCOME_lost : slot->verdict,
                end->reason);
}

static void on_end(void *user, const struct process_end *end)
{
    struct slot *slot = user;
    struct attempt *attempt = slot->attempt;
    bool was_met = slot->is_greeted || slot->is_leaving;
    slot->process = NULL;
    slot->is_greeted = slot->is_leaving = slot->is_going = false;
    if (!was_met)
        leave_service(slot, "its worker cannot start", end->reason);
    /* An attempt that waits for a leaving worker to go is not lost. */
    if (attempt && attempt->is_sent && !attempt->is_ended)
        lose_attempt(slot, end);
    else
        log_write(slot->setup->log, LOG_debug,
                  "the worker of slot %d has ended: %s", slot->number,
                  end->reason);
    advance(slot);
    changed(slot);
}

static bool start_process(struct slot *slot)
{
    const struct slot_setup *setup = slot->setup;
    const struct config *config = setup->config;
    const struct process_hooks hooks = {slot, on_message, on_end, on_several};
    struct error error;
    char label[32], lease[32], grace[32], device[128];
    const char *uuid = slot->device->facts.uuid;
    char *argv[] = {
        (char *)setup->worker,     "--lease", lease, "--grace", grace,
        *uuid ? "--device" : NULL, device,    NULL};
    char **environment = *uuid ? hello_environment(uuid) : NULL;
    snprintf(device, sizeof device, "cuda:%s", uuid);
    snprintf(lease, sizeof lease, "%.3f", config->lease_s);
    snprintf(grace, sizeof grace, "%.3f", config->stop_grace_s);
    snprintf(label, sizeof label, "worker of slot %d", slot->number);
    slot->process = process_open_in(environment, setup->loop, setup->log, label,
                                    argv, &hooks, &error);
    free(environment);
    if (!slot->process) {
        leave_service(slot, "its worker cannot start", error.text);
        return false;
    }
    pulse_init(&slot->pulse);
    slot->verdict = OUTCOME_crashed;
    changed(slot);
    return true;
}

static void on_again(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    if (!slot->process && !slot->is_ending)
        start_process(slot);
}

static void send_start(struct slot *slot)
{
    struct attempt *attempt = slot->attempt;
    attempt->is_sent = true;
    slot->is_told = false;
    slot->verdict = OUTCOME_crashed;
    pulse_init(&slot->pulse);
    process_forget_stderr(slot->process);
    process_send(slot->process, attempt_start(attempt, slot->setup->config));
}

/* Brings a waiting attempt one step nearer to its worker. */
static void advance(struct slot *slot)
{
    struct attempt *attempt = slot->attempt;
    if (!attempt || attempt->is_sent || attempt->is_ended || slot->is_ending)
        return;
    if (is_in_service(slot) && !slot->process)
        start_process(slot);
    if (!is_in_service(slot))
        attempt_end(attempt, slot->setup->store, OUTCOME_lost, slot->trouble);
    else if (slot->is_greeted && !slot->is_leaving)
        send_start(slot);
}

/* What the store says. */

void slot_dispatch(struct slot *slot, const struct dispatch *dispatch)
{
    assert(!slot->attempt); /* its end is told first */
    slot->attempt = attempt_new(dispatch);
    if (slot->is_ending)
        attempt_end(slot->attempt, slot->setup->store, OUTCOME_stopped, "");
    else
        advance(slot);
}

void slot_committed(struct slot *slot, int64_t step)
{
    if (!slot->process || !slot->attempt->is_sent)
        return;
    struct cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", "committed");
    cJSON_AddItemToObject(message, "attempt",
                          json_integer(slot->attempt->dispatch.attempt));
    cJSON_AddItemToObject(message, "step", json_integer(step));
    process_send(slot->process, message);
}

void slot_closed(struct slot *slot)
{
    if (slot->process && slot->attempt->is_sent && !slot->is_leaving) {
        process_spare(slot->process);
        tell(slot, "closed", slot->attempt->dispatch.attempt);
        if (slot->is_going)
            await_exit(slot);
    }
    attempt_free(slot->attempt);
    slot->attempt = NULL;
    become_idle(slot);
}

void slot_refused(struct slot *slot, const struct error *error)
{
    attempt_end(slot->attempt, slot->setup->store, OUTCOME_nondeterministic,
                error->text);
    if (!slot->process)
        return;
    slot->is_leaving = true;
    process_fail(slot->process, "killed: %s", error->text);
}

/* What the fleet says. */

void slot_stop(struct slot *slot)
{
    struct attempt *attempt = slot->attempt;
    if (!attempt->is_sent) {
        attempt_end(attempt, slot->setup->store, OUTCOME_stopped, "");
    } else if (!attempt->is_ended && slot->process) {
        slot->is_told = true;
        tell(slot, "stop", attempt->dispatch.attempt);
        process_kill_after(slot->process, slot->setup->config->stop_grace_s);
    }
}

static void give_up(struct slot *slot, enum outcome verdict, const char *what,
                    double seconds)
{
    slot->verdict = verdict;
    if (slot->is_greeted)
        slot->is_leaving = true;
    process_fail(slot->process, "killed because it %s for %g s", what, seconds);
}

void slot_ping(struct slot *slot, const struct pulse_limits *limits)
{
    struct pulse *pulse = &slot->pulse;
    const struct attempt *attempt = slot->attempt;
    bool is_training = attempt && attempt->is_sent && !attempt->is_ended;
    switch (pulse_tick(pulse, limits, is_training)) {
    case PULSE_LOST:
        give_up(slot, OUTCOME_lost, "answered nothing", pulse->silent_s);
        break;
    case PULSE_STALLED:
        give_up(slot, OUTCOME_stalled,
                "finished no batch and no evaluation chunk", pulse->still_s);
        break;
    case PULSE_FINE:
        if (slot->is_greeted) /* its hello comes before any pong */
            tell(slot, "ping", -1);
    }
}

void slot_lose_device(struct slot *slot, const char *why)
{
    if (slot->is_ending)
        return;
    leave_service(slot, "its device has failed", why);
    slot->device_losses++;
    slot->verdict = OUTCOME_lost;
    if (!slot->process)
        return;
    slot->is_leaving = true;
    process_fail(slot->process, "killed because its device has failed: %s",
                 why);
}

void slot_end(struct slot *slot)
{
    slot->is_ending = true;
    uv_timer_stop(&slot->again);
    if (slot->attempt)
        slot_stop(slot);
    if (slot->process && !slot->is_leaving &&
        !(slot->attempt && slot->attempt->is_sent))
        slot_dismiss(slot);
}

void slot_kill(struct slot *slot)
{
    if (slot->process)
        process_fail(slot->process,
                     "killed because gaitd was told to stop at once");
}

void slot_abandon(struct slot *slot)
{
    slot->is_ending = true;
    uv_timer_stop(&slot->again);
    if (!slot->process)
        return;
    slot->is_leaving = true;
    process_hang_up(slot->process);
    process_kill_after(slot->process, slot->setup->config->stop_grace_s);
}

void slot_init(struct slot *slot, const struct slot_setup *setup, int number,
               const struct device *device, const struct place *place)
{
    slot->setup = setup;
    slot->number = number;
    slot->device = device;
    slot->place = *place;
    uv_timer_init(setup->loop, &slot->again);
    slot->again.data = slot;
    store_slot_open_at(setup->store, number, place);
}

void slot_close(struct slot *slot, void *data,
                void (*on_closed)(struct uv_handle_s *handle))
{
    slot->again.data = data;
    uv_close((uv_handle_t *)&slot->again, on_closed);
}

struct cJSON *slot_write(const struct slot *slot, const struct attempt *busy)
{
    static const char *const shown[] = {
        "job",  "label", "epoch",           "nb_epochs",
        "step", "steps", "steps_per_second"};
    const struct device *device = slot->device;
    struct cJSON *out = cJSON_CreateObject();
    struct cJSON *progress =
        busy ? attempt_progress(busy) : cJSON_CreateObject();
    cJSON_AddItemToObject(out, "slot", json_integer(slot->number));
    cJSON_AddStringToObject(out, "device", device->name);
    cJSON_AddStringToObject(out, "device_class", device->hello.device_class);
    cJSON_AddItemToObject(out, "worker_pid",
                          slot->process
                              ? json_integer(process_pid(slot->process))
                              : cJSON_CreateNull());
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        struct cJSON *value =
            cJSON_DetachItemFromObjectCaseSensitive(progress, shown[i]);
        cJSON_AddItemToObject(out, shown[i],
                              value ? value : cJSON_CreateNull());
    }
    const char *trouble = is_in_service(slot) ? device->trouble : slot->trouble;
    cJSON_AddItemToObject(out, "trouble",
                          *trouble ? cJSON_CreateString(trouble)
                                   : cJSON_CreateNull());
    cJSON_Delete(progress);
    return out;
}
