#include "daemon/device.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "schema/json.h"
#include "schema/memory.h"

#define MIB ((int64_t)1 << 20)

void device_refuse(struct device *device, const char *format, ...)
{
    va_list arguments;
    device->slots = 0;
    if (*device->unused)
        return;
    va_start(arguments, format);
    vsnprintf(device->unused, sizeof device->unused, format, arguments);
    va_end(arguments);
}

int64_t device_capacity(const struct device *device,
                        const struct config *config)
{
    return device->facts.memory_bytes -
           device->slots * config->gpu_context_mib * MIB;
}

int64_t device_room(const struct device *device, const struct config *config,
                    int workers)
{
    int64_t most = device_capacity(device, config);
    int64_t left = device->state.free_bytes -
                   (device->slots - workers) * config->gpu_context_mib * MIB;
    return left < 0 ? 0 : left < most ? left : most;
}

void device_place(const struct device *device, int number,
                  const struct config *config, struct place *place)
{
    *place = (struct place){
        .number = device->gpu < 0 ? -1 : number,
        .gpu = device->gpu,
        .slots = device->slots,
        .bytes = device->gpu < 0 ? 0 : device_capacity(device, config),
    };
    snprintf(place->device, sizeof place->device, "%s", device->name);
    snprintf(place->device_class, sizeof place->device_class, "%s",
             device->hello.device_class);
}

bool device_lock(struct device *device, const struct config *config)
{
    struct error error;
    if (device->lock.descriptor >= 0)
        return true;
    char *path = xprintf("%s/gaitd-%s.lock", config->device_lock_dir,
                         device->facts.uuid);
    char *what = xprintf("%s", device->name);
    device->lock.is_for_all = true;
    bool is_ours = lock_take(&device->lock, path, what, &error);
    if (!is_ours)
        snprintf(device->trouble, sizeof device->trouble, "%.390s", error.text);
    free(path);
    free(what);
    return is_ours;
}

static bool is_own(pid_t pid, const pid_t *own, int own_count)
{
    for (int i = 0; i < own_count; i++)
        if (own[i] == pid)
            return true;
    return false;
}

/* Seen from a container, processes have other numbers: those that are not of
 * this one may be our workers, as many as are missing. */
static int count_unseen(const struct nvml_state *state, const pid_t *own,
                        int own_count)
{
    int found = 0;
    for (int i = 0; i < state->user_count; i++)
        found += is_own(state->users[i].pid, own, own_count);
    return own_count - found;
}

static bool is_here(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

/* "4711 (python), 4712".  The server of MPS lends the GPU to others, who are
 * users by themselves. */
static void add_user(struct device *device, const struct nvml *nvml, pid_t pid)
{
    char name[NVML_TEXT_BYTES];
    size_t used = strlen(device->users);
    nvml_process_name(nvml, pid, name);
    if (!strcmp(name, "nvidia-cuda-mps-server"))
        return;
    snprintf(device->users + used, sizeof device->users - used,
             "%s%ld%s%.40s%s", used ? ", " : "", (long)pid, *name ? " (" : "",
             name, *name ? ")" : "");
}

void device_judge(struct device *device, const struct config *config,
                  const struct nvml *nvml, const struct nvml_state *state,
                  const pid_t *own, int own_count)
{
    int unseen = count_unseen(state, own, own_count);
    device->state = *state;
    device->was_seen = true;
    device->users[0] = device->trouble[0] = '\0';
    for (int i = 0; i < state->user_count; i++) {
        pid_t pid = state->users[i].pid;
        if (is_own(pid, own, own_count))
            continue;
        if (!is_here(pid) && unseen > 0)
            unseen--;
        else
            add_user(device, nvml, pid);
    }
    if (device->slots && device_lock(device, config) && *device->users &&
        strcmp(config->foreign, "leave") == 0)
        snprintf(device->trouble, sizeof device->trouble,
                 "left to process %.300s, which uses it", device->users);
}

static void add_text(struct cJSON *object, const char *name, const char *text)
{
    cJSON_AddItemToObject(
        object, name, *text ? cJSON_CreateString(text) : cJSON_CreateNull());
}

static void add_bytes(struct cJSON *object, const char *name, bool is_known,
                      int64_t bytes)
{
    cJSON_AddItemToObject(object, name,
                          is_known ? json_integer(bytes) : cJSON_CreateNull());
}

struct cJSON *device_write(const struct device *device, const char *trouble)
{
    char capability[16] = "";
    bool is_gpu = device->gpu >= 0;
    const char *unused = device->unused;
    struct cJSON *object = cJSON_CreateObject();
    if (device->facts.capability)
        snprintf(capability, sizeof capability, "%d.%d",
                 device->facts.capability / 10, device->facts.capability % 10);
    if (!device->slots && !*unused)
        unused = "it was given no slots (cpu_slots)";
    cJSON_AddStringToObject(object, "device", device->name);
    add_text(object, "model", device->facts.model);
    add_text(object, "uuid", device->facts.uuid);
    add_text(object, "capability", capability);
    add_bytes(object, "memory_bytes", is_gpu, device->facts.memory_bytes);
    add_bytes(object, "free_bytes", device->was_seen, device->state.free_bytes);
    cJSON_AddItemToObject(object, "slots", json_integer(device->slots));
    add_text(object, "device_class", device->hello.device_class);
    add_text(object, "used_by", device->users);
    add_text(object, "trouble", device->slots ? trouble : unused);
    return object;
}
