#include "daemon/fleet.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/fleet_survey.h"
#include "daemon/log.h"
#include "daemon/slot.h"
#include "schema/json.h"
#include "schema/memory.h"

struct fleet {
    struct fleet_setup setup;
    struct slot_setup slot_setup;
    struct slot *slots;
    int slot_count;
    struct survey *survey;
    struct pulse_limits limits;
    uv_timer_t ping, release;
    int handles;
    bool is_stopping, is_abandoned, is_quiet;
};

static struct slot *slot_of(const struct fleet *fleet, int64_t attempt)
{
    for (int i = 0; i < fleet->slot_count; i++)
        if (slot_has_attempt(&fleet->slots[i], attempt))
            return &fleet->slots[i];
    return NULL;
}

static bool has_process(const struct fleet *fleet)
{
    for (int i = 0; i < fleet->slot_count; i++)
        if (fleet->slots[i].process)
            return true;
    return false;
}

static bool has_attempt(const struct fleet *fleet)
{
    for (int i = 0; i < fleet->slot_count; i++)
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
    for (int i = 0; i < fleet->slot_count; i++) {
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
    for (int i = 0; i < fleet->slot_count; i++) {
        struct slot *slot = &fleet->slots[i];
        if (slot_is_idle(slot) && now - slot->idle_since >= limit)
            slot_dismiss(slot);
    }
    schedule_release(fleet);
}

static bool has_worker(const void *user, int device)
{
    const struct fleet *fleet = user;
    for (int i = 0; i < fleet->slot_count; i++)
        if (fleet->slots[i].process && fleet->slots[i].place.number == device)
            return true;
    return false;
}

static void on_ping(uv_timer_t *timer)
{
    struct fleet *fleet = timer->data;
    for (int i = 0; i < fleet->slot_count; i++)
        if (fleet->slots[i].process)
            slot_ping(&fleet->slots[i], &fleet->limits);
    survey_look(fleet->survey, has_worker, NULL, fleet);
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

/* GPUs. */

/* Its workers' processes, at most `room` of them; returns how many. */
static int list_workers(const struct fleet *fleet, int device, pid_t *own,
                        int room)
{
    int count = 0;
    for (int i = 0; i < fleet->slot_count && count < room; i++) {
        const struct slot *slot = &fleet->slots[i];
        if (slot->process && slot->is_greeted && slot->place.number == device)
            own[count++] = slot->pid;
    }
    return count;
}

static void on_seen(void *user, int device, const struct nvml_state *state)
{
    struct fleet *fleet = user;
    const struct devices *devices = fleet->setup.devices;
    struct device *seen = &devices->device[device];
    pid_t own[SLOTS_MAX];
    char before[DEVICE_REASON_BYTES];
    int count = list_workers(fleet, device, own, SLOTS_MAX);
    memcpy(before, seen->trouble, sizeof before);
    device_judge(seen, fleet->setup.config, devices->nvml, state, own, count);
    if (strcmp(before, seen->trouble) != 0)
        log_write(fleet->setup.log, LOG_info, "%s is %s", seen->name,
                  *seen->trouble ? seen->trouble : "free again");
}

static void on_answer(void *user, int device)
{
    struct fleet *fleet = user;
    struct device *seen = &fleet->setup.devices->device[device];
    pid_t own[SLOTS_MAX];
    int workers = list_workers(fleet, device, own, SLOTS_MAX);
    seen->room_bytes = device_room(seen, fleet->setup.config, workers);
    store_device_answer(fleet->setup.store, device, !*seen->trouble,
                        seen->room_bytes);
}

static void on_failed(void *user, int device, const char *why)
{
    struct fleet *fleet = user;
    for (int i = 0; i < fleet->slot_count; i++)
        if (fleet->slots[i].place.number == device)
            slot_lose_device(&fleet->slots[i], why);
}

/* What one worker says is true of all on the GPU. */
static void on_device_lost(void *user, struct slot *slot, const char *why)
{
    on_failed(user, slot->place.number, why);
}

void fleet_wanted(struct fleet *fleet, int device)
{
    survey_want(fleet->survey, device);
}

void fleet_dispatch(struct fleet *fleet, const struct dispatch *dispatch)
{
    if (fleet->slots[dispatch->slot].place.gpu >= 0)
        survey_spoil(fleet->survey, fleet->slots[dispatch->slot].place.number);
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
    for (int i = 0; i < fleet->slot_count; i++)
        slot_end(&fleet->slots[i]);
    schedule_release(fleet);
    check_quiet(fleet);
}

void fleet_kill(struct fleet *fleet)
{
    for (int i = 0; i < fleet->slot_count; i++)
        slot_kill(&fleet->slots[i]);
}

void fleet_abandon(struct fleet *fleet)
{
    fleet->is_stopping = fleet->is_abandoned = true;
    for (int i = 0; i < fleet->slot_count; i++)
        slot_abandon(&fleet->slots[i]);
    schedule_release(fleet);
    check_quiet(fleet);
}

static void on_part_closed(void *user)
{
    struct fleet *fleet = user;
    if (--fleet->handles > 0)
        return;
    for (int i = 0; i < fleet->slot_count; i++)
        attempt_free(fleet->slots[i].attempt);
    free(fleet->slots);
    free(fleet);
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void open_survey(struct fleet *fleet)
{
    const struct survey_setup setup = {
        .loop = fleet->setup.loop,
        .config = fleet->setup.config,
        .devices = fleet->setup.devices,
        .user = fleet,
        .on_seen = on_seen,
        .on_failed = on_failed,
        .on_answer = on_answer,
    };
    fleet->survey = survey_new(&setup);
}

static void open_slot(struct fleet *fleet, int number)
{
    const struct devices *devices = fleet->setup.devices;
    const struct device *device = devices_of_slot(devices, number);
    struct place place;
    device_place(device, (int)(device - devices->device), fleet->setup.config,
                 &place);
    slot_init(&fleet->slots[number], &fleet->slot_setup, number, device,
              &place);
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
        .on_progress = setup->on_progress,
        .on_change = on_change,
        .on_device_lost = on_device_lost,
        .progress_user = setup->user,
        .user = fleet,
    };
    pulse_limits_init(&fleet->limits, setup->config->lease_s,
                      setup->config->stall_s);
    fleet->slot_count = devices_slots(setup->devices);
    fleet->slots = xcalloc((size_t)fleet->slot_count + 1, sizeof *fleet->slots);
    uv_timer_init(setup->loop, &fleet->ping);
    uv_timer_init(setup->loop, &fleet->release);
    fleet->ping.data = fleet->release.data = fleet;
    fleet->handles = 3 + fleet->slot_count;
    open_survey(fleet);
    for (int i = 0; i < fleet->slot_count; i++)
        open_slot(fleet, i);
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    uv_close((uv_handle_t *)&fleet->ping, on_handle_closed);
    uv_close((uv_handle_t *)&fleet->release, on_handle_closed);
    survey_free(fleet->survey, on_part_closed, fleet);
    for (int i = 0; i < fleet->slot_count; i++)
        slot_close(&fleet->slots[i], fleet, on_handle_closed);
}

int fleet_slot_count(const struct fleet *fleet)
{
    return fleet->slot_count;
}

/* The attempt that uses a slot's share of the device, its own or another's. */
static const struct attempt *find_user(const struct fleet *fleet, int slot)
{
    for (int i = 0; i < fleet->slot_count; i++) {
        const struct attempt *attempt = fleet->slots[i].attempt;
        if (attempt && dispatch_takes(&attempt->dispatch, slot))
            return attempt;
    }
    return NULL;
}

struct cJSON *fleet_slots(const struct fleet *fleet)
{
    struct cJSON *slots = cJSON_CreateArray();
    for (int i = 0; i < fleet->slot_count; i++)
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
    for (int i = 0; i < fleet->slot_count; i++) {
        const struct attempt *attempt = fleet->slots[i].attempt;
        if (attempt && !attempt->is_ended &&
            is_wanted(user, attempt->dispatch.sweep, attempt->dispatch.job))
            cJSON_AddItemToArray(running, attempt_progress(attempt));
    }
    return running;
}

/* Devices. */

static int64_t count_taken(const struct fleet *fleet, int device)
{
    int64_t bytes = 0;
    for (int i = 0; i < fleet->slot_count; i++) {
        const struct slot *slot = &fleet->slots[i];
        if (slot->attempt && slot->place.number == device)
            bytes += slot->attempt->dispatch.gpu_bytes;
    }
    return bytes;
}

struct place *fleet_places(const struct fleet *fleet, int *count)
{
    const struct devices *devices = fleet->setup.devices;
    const struct config *config = fleet->setup.config;
    struct place *places = xcalloc((size_t)devices->count, sizeof *places);
    *count = 0;
    for (int i = 0; i < devices->count; i++)
        if (devices->device[i].slots)
            device_place(&devices->device[i], i, config, &places[(*count)++]);
    if (*count > 0)
        return places;
    device_place(&devices->device[devices->count - 1], 0, config, places);
    places->slots = *count = 1;
    return places;
}

/* Why a device with slots gets no jobs. */
static const char *find_trouble(const struct fleet *fleet, int device)
{
    const struct device *wanted = &fleet->setup.devices->device[device];
    for (int i = 0; i < fleet->slot_count; i++)
        if (fleet->slots[i].device == wanted && *fleet->slots[i].trouble)
            return fleet->slots[i].trouble;
    return wanted->trouble;
}

static int count_free(const struct fleet *fleet, const struct device *device)
{
    int count = 0;
    for (int i = 0; i < fleet->slot_count; i++)
        count += fleet->slots[i].device == device && !find_user(fleet, i);
    return count;
}

/* Its slots that are in service. */
static int count_serving(const struct fleet *fleet, const struct device *device)
{
    int count = 0;
    for (int i = 0; i < fleet->slot_count && !*device->trouble; i++)
        count += fleet->slots[i].device == device && !*fleet->slots[i].trouble;
    return count;
}

struct cJSON *fleet_write_places(const struct fleet *fleet)
{
    const struct devices *devices = fleet->setup.devices;
    struct cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < devices->count; i++) {
        const struct device *device = &devices->device[i];
        struct place place;
        if (!device->slots)
            continue;
        device_place(device, i, fleet->setup.config, &place);
        struct cJSON *object = place_write(&place);
        cJSON_AddItemToObject(object, "taken_bytes",
                              json_integer(count_taken(fleet, place.number)));
        cJSON_AddItemToObject(object, "room_bytes",
                              json_integer(device->room_bytes));
        cJSON_AddItemToObject(object, "free_slots",
                              json_integer(count_free(fleet, device)));
        cJSON_AddItemToObject(object, "serving",
                              json_integer(count_serving(fleet, device)));
        cJSON_AddStringToObject(object, "trouble", find_trouble(fleet, i));
        cJSON_AddItemToArray(list, object);
    }
    return list;
}

void fleet_look(struct fleet *fleet, void (*on_done)(void *user), void *user)
{
    survey_look(fleet->survey, NULL, on_done, user);
}

/* Jobs that have a slot of the device. */
static struct cJSON *write_jobs(const struct fleet *fleet, int device)
{
    const struct device *wanted = &fleet->setup.devices->device[device];
    struct cJSON *jobs = cJSON_CreateArray();
    for (int i = 0; i < fleet->slot_count; i++) {
        const struct attempt *attempt = fleet->slots[i].attempt;
        if (attempt && fleet->slots[i].device == wanted)
            cJSON_AddItemToArray(jobs, json_integer(attempt->dispatch.job));
    }
    return jobs;
}

struct cJSON *fleet_devices(const struct fleet *fleet)
{
    const struct devices *devices = fleet->setup.devices;
    struct cJSON *answer = cJSON_CreateObject();
    cJSON_AddItemToObject(answer, "driver",
                          devices->nvml
                              ? cJSON_CreateString(nvml_driver(devices->nvml))
                              : cJSON_CreateNull());
    cJSON_AddItemToObject(answer, "no_gpu",
                          *devices->no_gpu ? cJSON_CreateString(devices->no_gpu)
                                           : cJSON_CreateNull());
    struct cJSON *list = cJSON_AddArrayToObject(answer, "devices");
    for (int i = 0; i < devices->count; i++) {
        struct cJSON *one =
            device_write(&devices->device[i], find_trouble(fleet, i));
        cJSON_AddItemToObject(one, "jobs", write_jobs(fleet, i));
        cJSON_AddItemToArray(list, one);
    }
    return answer;
}
