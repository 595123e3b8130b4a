#include "daemon/fleet.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "daemon/attempt.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/process.h"
#include "schema/memory.h"
#include "schema/message.h"

struct slot {
    struct fleet *fleet;
    int number;
    struct process *process;
    bool is_greeted; /* the process has said hello and may be given work */
    bool is_leaving; /* it was told to quit, or killed: no work for it */
    bool is_told;  /* to stop the attempt; otherwise, when it stops, it goes */
    bool is_going; /* once its attempt is closed */
    pid_t pid;
    struct attempt *attempt;
    struct slot *lent_to; /* whose attempt uses this one's CPU too, or NULL */
    uint64_t idle_since;  /* uv_now */
};

struct fleet {
    struct fleet_setup setup;
    struct slot *slots;
    int processes; /* not yet ended */
    uv_timer_t ping, release;
    int handles;
    bool is_stopping, is_abandoned, is_quiet;
};

static void advance(struct slot *slot);

static void tell(struct slot *slot, const char *type, int64_t attempt)
{
    struct cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", type);
    if (attempt >= 0)
        cJSON_AddItemToObject(message, "attempt", json_integer(attempt));
    process_send(slot->process, message);
}

static struct slot *slot_of(const struct fleet *fleet, int64_t attempt)
{
    for (int i = 0; i < fleet->setup.slots; i++) {
        struct slot *slot = &fleet->slots[i];
        if (slot->attempt && slot->attempt->dispatch.attempt == attempt)
            return slot;
    }
    return NULL;
}

static bool is_idle(const struct slot *slot)
{
    return slot->process && slot->is_greeted && !slot->is_leaving &&
           !slot->attempt;
}

static void check_quiet(struct fleet *fleet)
{
    if (!fleet->is_stopping || fleet->is_quiet || fleet->processes > 0)
        return;
    for (int i = 0; i < fleet->setup.slots && !fleet->is_abandoned; i++)
        if (fleet->slots[i].attempt)
            return;
    fleet->is_quiet = true;
    fleet->setup.on_quiet(fleet->setup.user);
}

static void await_exit(struct slot *slot)
{
    slot->is_leaving = true;
    process_kill_after(slot->process, slot->fleet->setup.config->stop_grace_s);
}

/* Tells a worker that has nothing to do to go. */
static void dismiss(struct slot *slot)
{
    tell(slot, "quit", -1);
    await_exit(slot);
}

static void on_release(uv_timer_t *timer);

/* Sets the timer to when the first idle worker will have been idle for long
 * enough; without idle workers it stays off. */
static void schedule_release(struct fleet *fleet)
{
    uint64_t now = uv_now(fleet->setup.loop), wait = UINT64_MAX;
    uint64_t limit = (uint64_t)(fleet->setup.config->idle_release * 1000);
    for (int i = 0; i < fleet->setup.slots; i++) {
        const struct slot *slot = &fleet->slots[i];
        if (!is_idle(slot))
            continue;
        uint64_t idle = now - slot->idle_since;
        uint64_t left = idle < limit ? limit - idle : 0;
        wait = left < wait ? left : wait;
    }
    if (wait == UINT64_MAX)
        uv_timer_stop(&fleet->release);
    else
        uv_timer_start(&fleet->release, on_release, wait, 0);
}

static void on_release(uv_timer_t *timer)
{
    struct fleet *fleet = timer->data;
    uint64_t now = uv_now(fleet->setup.loop);
    uint64_t limit = (uint64_t)(fleet->setup.config->idle_release * 1000);
    for (int i = 0; i < fleet->setup.slots; i++) {
        struct slot *slot = &fleet->slots[i];
        if (is_idle(slot) && now - slot->idle_since >= limit)
            dismiss(slot);
    }
    schedule_release(fleet);
}

static void on_ping(uv_timer_t *timer)
{
    struct fleet *fleet = timer->data;
    for (int i = 0; i < fleet->setup.slots; i++)
        if (fleet->slots[i].process)
            tell(&fleet->slots[i], "ping", -1);
}

static void become_idle(struct slot *slot)
{
    struct fleet *fleet = slot->fleet;
    if (!slot->process || !slot->is_greeted || slot->is_leaving)
        return;
    slot->idle_since = uv_now(fleet->setup.loop);
    if (fleet->is_stopping)
        dismiss(slot);
    else if (!uv_is_active((uv_handle_t *)&fleet->release))
        schedule_release(fleet);
}

static void greet(struct slot *slot, const struct cJSON *message)
{
    struct error error;
    struct hello hello;
    const struct hello *known = slot->fleet->setup.hello;
    if (!hello_read(&hello, message, &error))
        process_fail(slot->process, "%s", error.text);
    else if (strcmp(hello.device_class, known->device_class) != 0)
        process_fail(slot->process,
                     "its device class is \"%s\", expected \"%s\"",
                     hello.device_class, known->device_class);
    else {
        slot->is_greeted = true;
        slot->pid = (pid_t)hello.pid;
        advance(slot);
        if (!slot->attempt)
            become_idle(slot);
    }
}

static void hear(struct slot *slot, const struct cJSON *message,
                 const char *type)
{
    struct error error;
    const struct fleet_setup *setup = &slot->fleet->setup;
    struct attempt *attempt = slot->attempt;
    if (!attempt || !attempt->is_sent) {
        slot->is_leaving = true;
        process_fail(slot->process, "sent \"%.50s\" without an attempt", type);
        return;
    }
    if (!attempt_take(attempt, message, slot->pid, setup->store, setup->log,
                      &error)) {
        slot->is_leaving = true;
        process_fail(slot->process, "%s", error.text);
        return;
    }
    if (strcmp(type, "stopped") == 0)
        slot->is_going = !slot->is_told; /* by SIGTERM, or it heard nothing */
    if (strcmp(type, "progress") == 0 || strcmp(type, "started") == 0) {
        struct cJSON *progress = attempt_progress(attempt);
        setup->on_progress(setup->user, attempt->dispatch.sweep,
                           attempt->dispatch.job, progress);
        cJSON_Delete(progress);
    }
}

static void on_message(void *user, const struct cJSON *message)
{
    struct slot *slot = user;
    const char *type = json_text_or(message, "type", "");
    if (!slot->is_greeted)
        greet(slot, message);
    else if (strcmp(type, "pong") != 0)
        hear(slot, message, type);
}

static void on_end(void *user, bool is_success, const char *reason)
{
    (void)is_success; /* no exit code counts */
    struct slot *slot = user;
    struct fleet *fleet = slot->fleet;
    struct attempt *attempt = slot->attempt;
    /* An attempt that was waiting for a leaving worker to go is not lost. */
    bool was_its_own = attempt && (attempt->is_sent || !slot->is_leaving);
    slot->process = NULL;
    slot->is_greeted = slot->is_leaving = slot->is_going = false;
    if (--fleet->processes == 0)
        uv_timer_stop(&fleet->ping);
    if (was_its_own && !attempt->is_ended && !fleet->is_abandoned) {
        log_write(fleet->setup.log, LOG_warning,
                  "the worker of job %lld in slot %d has ended: %s",
                  (long long)attempt->dispatch.job, slot->number, reason);
        attempt_end(attempt, fleet->setup.store,
                    fleet->is_stopping ? OUTCOME_lost : OUTCOME_crashed,
                    reason);
    } else {
        log_write(fleet->setup.log, LOG_debug,
                  "the worker of slot %d has ended: %s", slot->number, reason);
    }
    schedule_release(fleet);
    advance(slot);
    check_quiet(fleet);
}

static bool start_process(struct slot *slot, struct error *error)
{
    struct fleet *fleet = slot->fleet;
    const struct fleet_setup *setup = &fleet->setup;
    const struct process_hooks hooks = {slot, on_message, on_end};
    char label[32];
    char lease[32];
    char *argv[] = {(char *)setup->worker, "--lease", lease, NULL};
    uint64_t ping_ms = (uint64_t)(setup->config->lease_s * 1000 / 3);
    snprintf(lease, sizeof lease, "%.3f", setup->config->lease_s);
    snprintf(label, sizeof label, "worker of slot %d", slot->number);
    slot->process =
        process_open(setup->loop, setup->log, label, argv, &hooks, error);
    if (!slot->process)
        return false;
    if (fleet->processes++ == 0)
        uv_timer_start(&fleet->ping, on_ping, ping_ms, ping_ms);
    return true;
}

/* Brings a waiting attempt one step nearer to its worker. */
static void advance(struct slot *slot)
{
    struct error error;
    const struct fleet_setup *setup = &slot->fleet->setup;
    struct attempt *attempt = slot->attempt;
    if (!attempt || attempt->is_sent || attempt->is_ended)
        return;
    if (!slot->process && !start_process(slot, &error)) {
        log_write(setup->log, LOG_error, "%s", error.text);
        attempt_end(attempt, setup->store, OUTCOME_crashed, error.text);
    } else if (slot->is_greeted && !slot->is_leaving) {
        attempt->is_sent = true;
        slot->is_told = false;
        process_forget_tail(slot->process);
        process_send(slot->process, attempt_start(attempt, setup->config));
    }
}

/* To an attempt of several threads: the next free slots, as the store has it,
 * which tells of endings and dispatches in their order. */
static void lend(struct slot *slot, int64_t threads)
{
    for (struct slot *other = slot + 1; threads > 1; other++) {
        assert(other < slot->fleet->slots + slot->fleet->setup.slots);
        if (other->attempt || other->lent_to)
            continue;
        other->lent_to = slot;
        threads--;
    }
}

static void give_back(const struct slot *slot)
{
    for (int i = 0; i < slot->fleet->setup.slots; i++)
        if (slot->fleet->slots[i].lent_to == slot)
            slot->fleet->slots[i].lent_to = NULL;
}

void fleet_dispatch(struct fleet *fleet, const struct dispatch *dispatch)
{
    struct slot *slot = &fleet->slots[dispatch->slot];
    assert(!slot->attempt && !slot->lent_to); /* its end is told first */
    slot->attempt = attempt_new(dispatch);
    lend(slot, dispatch->settings.threads);
    if (fleet->is_stopping)
        attempt_end(slot->attempt, fleet->setup.store, OUTCOME_stopped, "");
    else
        advance(slot);
}

void fleet_committed(struct fleet *fleet, int64_t attempt, int64_t step)
{
    struct slot *slot = slot_of(fleet, attempt);
    if (!slot || !slot->process || !slot->attempt->is_sent)
        return;
    struct cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", "committed");
    cJSON_AddItemToObject(message, "attempt", json_integer(attempt));
    cJSON_AddItemToObject(message, "step", json_integer(step));
    process_send(slot->process, message);
}

void fleet_closed(struct fleet *fleet, int64_t attempt)
{
    struct slot *slot = slot_of(fleet, attempt);
    if (!slot)
        return;
    if (slot->process && slot->attempt->is_sent && !slot->is_leaving) {
        process_spare(slot->process);
        tell(slot, "closed", attempt);
        if (slot->is_going)
            await_exit(slot);
    }
    attempt_free(slot->attempt);
    slot->attempt = NULL;
    give_back(slot);
    become_idle(slot);
    check_quiet(fleet);
}

static void stop(struct slot *slot)
{
    struct attempt *attempt = slot->attempt;
    const struct fleet_setup *setup = &slot->fleet->setup;
    if (!attempt->is_sent) {
        attempt_end(attempt, setup->store, OUTCOME_stopped, "");
    } else if (!attempt->is_ended && slot->process) {
        slot->is_told = true;
        tell(slot, "stop", attempt->dispatch.attempt);
        process_kill_after(slot->process, setup->config->stop_grace_s);
    }
}

void fleet_stop_attempt(struct fleet *fleet, int64_t attempt)
{
    struct slot *slot = slot_of(fleet, attempt);
    if (slot)
        stop(slot);
}

void fleet_refused(struct fleet *fleet, int64_t attempt,
                   const struct error *error)
{
    struct slot *slot = slot_of(fleet, attempt);
    if (!slot)
        return;
    attempt_end(slot->attempt, fleet->setup.store, OUTCOME_nondeterministic,
                error->text);
    if (slot->process) {
        slot->is_leaving = true;
        process_fail(slot->process, "killed: %s", error->text);
    }
}

void fleet_stop(struct fleet *fleet)
{
    fleet->is_stopping = true;
    for (int i = 0; i < fleet->setup.slots; i++) {
        struct slot *slot = &fleet->slots[i];
        if (slot->attempt)
            stop(slot);
        if (slot->process && !slot->is_leaving &&
            !(slot->attempt && slot->attempt->is_sent))
            dismiss(slot);
    }
    schedule_release(fleet);
    check_quiet(fleet);
}

void fleet_kill(struct fleet *fleet)
{
    for (int i = 0; i < fleet->setup.slots; i++)
        if (fleet->slots[i].process)
            process_fail(fleet->slots[i].process,
                         "killed because gaitd was told to stop at once");
}

void fleet_abandon(struct fleet *fleet)
{
    fleet->is_stopping = fleet->is_abandoned = true;
    for (int i = 0; i < fleet->setup.slots; i++) {
        struct slot *slot = &fleet->slots[i];
        if (!slot->process)
            continue;
        slot->is_leaving = true;
        process_hang_up(slot->process);
        process_kill_after(slot->process, fleet->setup.config->stop_grace_s);
    }
    schedule_release(fleet);
    check_quiet(fleet);
}

static void free_slots(struct fleet *fleet)
{
    for (int i = 0; i < fleet->setup.slots; i++)
        attempt_free(fleet->slots[i].attempt);
    free(fleet->slots);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct fleet *fleet = handle->data;
    if (--fleet->handles > 0)
        return;
    free_slots(fleet);
    free(fleet);
}

struct fleet *fleet_new(const struct fleet_setup *setup)
{
    struct fleet *fleet = xcalloc(1, sizeof *fleet);
    fleet->setup = *setup;
    fleet->slots = xcalloc((size_t)setup->slots + 1, sizeof *fleet->slots);
    uv_timer_init(setup->loop, &fleet->ping);
    uv_timer_init(setup->loop, &fleet->release);
    fleet->ping.data = fleet->release.data = fleet;
    fleet->handles = 2;
    for (int i = 0; i < setup->slots; i++) {
        fleet->slots[i].fleet = fleet;
        fleet->slots[i].number = i;
        store_slot_open(setup->store, i, setup->hello->device,
                        setup->hello->device_class);
    }
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    uv_close((uv_handle_t *)&fleet->ping, on_handle_closed);
    uv_close((uv_handle_t *)&fleet->release, on_handle_closed);
}

int fleet_slot_count(const struct fleet *fleet)
{
    return fleet->setup.slots;
}

static struct cJSON *slot_write(const struct slot *slot)
{
    static const char *const shown[] = {
        "job",  "label", "epoch",           "nb_epochs",
        "step", "steps", "steps_per_second"};
    const struct hello *hello = slot->fleet->setup.hello;
    struct cJSON *out = cJSON_CreateObject();
    const struct slot *busy = slot->lent_to ? slot->lent_to : slot;
    struct cJSON *progress =
        busy->attempt ? attempt_progress(busy->attempt) : cJSON_CreateObject();
    cJSON_AddItemToObject(out, "slot", json_integer(slot->number));
    cJSON_AddStringToObject(out, "device", hello->device);
    cJSON_AddStringToObject(out, "device_class", hello->device_class);
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
    cJSON_Delete(progress);
    return out;
}

struct cJSON *fleet_slots(const struct fleet *fleet)
{
    struct cJSON *slots = cJSON_CreateArray();
    for (int i = 0; i < fleet->setup.slots; i++)
        cJSON_AddItemToArray(slots, slot_write(&fleet->slots[i]));
    return slots;
}

struct cJSON *fleet_running(const struct fleet *fleet,
                            bool (*is_wanted)(const void *user, int64_t sweep,
                                              int64_t job),
                            const void *user)
{
    struct cJSON *running = cJSON_CreateArray();
    for (int i = 0; i < fleet->setup.slots; i++) {
        const struct attempt *attempt = fleet->slots[i].attempt;
        if (attempt && !attempt->is_ended &&
            is_wanted(user, attempt->dispatch.sweep, attempt->dispatch.job))
            cJSON_AddItemToArray(running, attempt_progress(attempt));
    }
    return running;
}
