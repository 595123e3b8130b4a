#include "daemon/fleet.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/slot.h"
#include "schema/json.h"
#include "schema/memory.h"

struct fleet {
    struct fleet_setup setup;
    struct slot_setup slot_setup;
    struct slot *slots;
    struct pulse_limits limits;
    uv_timer_t ping, release;
    int handles;
    bool is_stopping, is_abandoned, is_quiet;
};

static struct slot *slot_of(const struct fleet *fleet, int64_t attempt)
{
    for (int i = 0; i < fleet->setup.slots; i++)
        if (slot_has_attempt(&fleet->slots[i], attempt))
            return &fleet->slots[i];
    return NULL;
}

static bool has_process(const struct fleet *fleet)
{
    for (int i = 0; i < fleet->setup.slots; i++)
        if (fleet->slots[i].process)
            return true;
    return false;
}

static bool has_attempt(const struct fleet *fleet)
{
    for (int i = 0; i < fleet->setup.slots; i++)
        if (fleet->slots[i].attempt)
            return true;
    return false;
}

static void check_quiet(struct fleet *fleet)
{
    if (!fleet->is_stopping || fleet->is_quiet || has_process(fleet) ||
        (!fleet->is_abandoned && has_attempt(fleet)))
        return;
    fleet->is_quiet = true;
    fleet->setup.on_quiet(fleet->setup.user);
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
        if (!slot_is_idle(slot))
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
        if (slot_is_idle(slot) && now - slot->idle_since >= limit)
            slot_dismiss(slot);
    }
    schedule_release(fleet);
}

static void on_ping(uv_timer_t *timer)
{
    struct fleet *fleet = timer->data;
    for (int i = 0; i < fleet->setup.slots; i++)
        if (fleet->slots[i].process)
            slot_ping(&fleet->slots[i], &fleet->limits);
}

/* Pings go out while there is somebody to hear them. */
static void schedule_ping(struct fleet *fleet)
{
    uint64_t interval = (uint64_t)(fleet->limits.interval_s * 1000);
    if (!has_process(fleet))
        uv_timer_stop(&fleet->ping);
    else if (!uv_is_active((uv_handle_t *)&fleet->ping))
        uv_timer_start(&fleet->ping, on_ping, interval, interval);
}

static void on_change(void *user, struct slot *slot)
{
    struct fleet *fleet = user;
    if (slot_is_idle(slot) && fleet->is_stopping)
        slot_dismiss(slot);
    else if (!slot_is_idle(slot) ||
             !uv_is_active((uv_handle_t *)&fleet->release))
        schedule_release(fleet);
    schedule_ping(fleet);
    check_quiet(fleet);
}

void fleet_dispatch(struct fleet *fleet, const struct dispatch *dispatch)
{
    slot_dispatch(&fleet->slots[dispatch->slot], dispatch);
}

void fleet_committed(struct fleet *fleet, int64_t attempt, int64_t step)
{
    struct slot *slot = slot_of(fleet, attempt);
    if (slot)
        slot_committed(slot, step);
}

void fleet_closed(struct fleet *fleet, int64_t attempt)
{
    struct slot *slot = slot_of(fleet, attempt);
    if (slot)
        slot_closed(slot);
}

void fleet_stop_attempt(struct fleet *fleet, int64_t attempt)
{
    struct slot *slot = slot_of(fleet, attempt);
    if (slot)
        slot_stop(slot);
}

void fleet_refused(struct fleet *fleet, int64_t attempt,
                   const struct error *error)
{
    struct slot *slot = slot_of(fleet, attempt);
    if (slot)
        slot_refused(slot, error);
}

void fleet_stop(struct fleet *fleet)
{
    fleet->is_stopping = true;
    for (int i = 0; i < fleet->setup.slots; i++)
        slot_end(&fleet->slots[i]);
    schedule_release(fleet);
    check_quiet(fleet);
}

void fleet_kill(struct fleet *fleet)
{
    for (int i = 0; i < fleet->setup.slots; i++)
        slot_kill(&fleet->slots[i]);
}

void fleet_abandon(struct fleet *fleet)
{
    fleet->is_stopping = fleet->is_abandoned = true;
    for (int i = 0; i < fleet->setup.slots; i++)
        slot_abandon(&fleet->slots[i]);
    schedule_release(fleet);
    check_quiet(fleet);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct fleet *fleet = handle->data;
    if (--fleet->handles > 0)
        return;
    for (int i = 0; i < fleet->setup.slots; i++)
        attempt_free(fleet->slots[i].attempt);
    free(fleet->slots);
    free(fleet);
}

struct fleet *fleet_new(const struct fleet_setup *setup)
{
    struct fleet *fleet = xcalloc(1, sizeof *fleet);
    fleet->setup = *setup;
    fleet->slot_setup = (struct slot_setup){
        .loop = setup->loop,
        .log = setup->log,
        .config = setup->config,
        .store = setup->store,
        .worker = setup->worker,
        .hello = setup->hello,
        .on_progress = setup->on_progress,
        .on_change = on_change,
        .progress_user = setup->user,
        .user = fleet,
    };
    pulse_limits_init(&fleet->limits, setup->config->lease_s,
                      setup->config->stall_s);
    fleet->slots = xcalloc((size_t)setup->slots + 1, sizeof *fleet->slots);
    uv_timer_init(setup->loop, &fleet->ping);
    uv_timer_init(setup->loop, &fleet->release);
    fleet->ping.data = fleet->release.data = fleet;
    fleet->handles = 2 + setup->slots;
    for (int i = 0; i < setup->slots; i++)
        slot_init(&fleet->slots[i], &fleet->slot_setup, i);
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    uv_close((uv_handle_t *)&fleet->ping, on_handle_closed);
    uv_close((uv_handle_t *)&fleet->release, on_handle_closed);
    for (int i = 0; i < fleet->setup.slots; i++)
        slot_close(&fleet->slots[i], fleet, on_handle_closed);
}

int fleet_slot_count(const struct fleet *fleet)
{
    return fleet->setup.slots;
}

const char *fleet_trouble(const struct fleet *fleet)
{
    for (int i = 0; i < fleet->setup.slots; i++)
        if (!*fleet->slots[i].trouble)
            return NULL;
    return fleet->setup.slots > 0 ? fleet->slots[0].trouble : NULL;
}

/* The attempt that uses a slot's share of the device, its own or another's. */
static const struct attempt *find_user(const struct fleet *fleet, int slot)
{
    for (int i = 0; i < fleet->setup.slots; i++) {
        const struct attempt *attempt = fleet->slots[i].attempt;
        if (attempt && dispatch_takes(&attempt->dispatch, slot))
            return attempt;
    }
    return NULL;
}

struct cJSON *fleet_slots(const struct fleet *fleet)
{
    struct cJSON *slots = cJSON_CreateArray();
    for (int i = 0; i < fleet->setup.slots; i++)
        cJSON_AddItemToArray(slots,
                             slot_write(&fleet->slots[i], find_user(fleet, i)));
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
