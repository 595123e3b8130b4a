#include "daemon/devices.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/choice.h"
#include "daemon/config.h"
#include "daemon/cpu.h"
#include "daemon/log.h"
#include "daemon/store.h"
#include "schema/gpu_memory.h"
#include "schema/memory.h"

/* Seeing. */

static struct device *add(struct devices *devices, int gpu)
{
    size_t count = (size_t)devices->count++;
    devices->device =
        xrealloc(devices->device, (count + 1) * sizeof *devices->device);
    struct device *device = &devices->device[count];
    *device = (struct device){.gpu = gpu, .lock.descriptor = -1};
    return device;
}

static void add_instances(struct devices *devices, int gpu,
                          struct nvml_gpu *whole)
{
    struct error error;
    int places = nvml_instances(devices->nvml, whole), found = 0;
    int capability = devices->device[devices->count - 1].facts.capability;
    for (int i = 0; i < places; i++) {
        struct nvml_gpu *handle = nvml_instance(devices->nvml, whole, i);
        if (!handle || devices->count >= DEVICES_MAX - 1)
            continue;
        if (found++ == 0)
            device_refuse(&devices->device[devices->count - 1],
                          "divided into instances (MIG)");
        struct device *device = add(devices, gpu);
        device->handle = handle;
        device->whole = whole;
        snprintf(device->name, sizeof device->name, "cuda:%d.%d", gpu, i);
        if (!nvml_describe(devices->nvml, handle, &device->facts, &error))
            device_refuse(device, "%.300s", error.text);
        if (!device->facts.capability)
            device->facts.capability = capability;
    }
}

static void add_gpus(struct devices *devices)
{
    struct error error;
    int count = nvml_count(devices->nvml);
    for (int i = 0; i < count && devices->count < DEVICES_MAX - 1; i++) {
        struct device *device = add(devices, i);
        snprintf(device->name, sizeof device->name, "cuda:%d", i);
        device->handle = device->whole = nvml_find(devices->nvml, i, &error);
        if (!device->handle || !nvml_describe(devices->nvml, device->handle,
                                              &device->facts, &error))
            device_refuse(device, "%.300s", error.text);
        else
            add_instances(devices, i, device->handle);
    }
}

/* CUDA_VISIBLE_DEVICES: indexes and UUIDs, in short too; the first that names
 * nothing ends the list. */

static bool is_named(const struct device *device, const char *name)
{
    char *end;
    long index = strtol(name, &end, 10);
    if (end != name && !*end)
        return device->gpu == index;
    return strlen(name) > 4 &&
           !strncasecmp(name, device->facts.uuid, strlen(name));
}

static bool show(const struct devices *devices, const char *name,
                 bool is_visible[])
{
    bool is_any = false;
    for (int i = 0; i < devices->count; i++)
        if (is_named(&devices->device[i], name))
            is_any = is_visible[i] = true;
    return is_any;
}

static void hide(struct devices *devices)
{
    const char *variable = getenv("CUDA_VISIBLE_DEVICES");
    if (!variable || devices->count == 0)
        return;
    bool *is_visible = xcalloc((size_t)devices->count, sizeof *is_visible);
    char *copy = xstrdup(variable), *rest = copy, *one;
    bool goes_on = true;
    while (goes_on && (one = strsep(&rest, ",")))
        goes_on = show(devices, one + strspn(one, " "), is_visible);
    for (int i = 0; i < devices->count; i++)
        if (!is_visible[i])
            device_refuse(&devices->device[i],
                          "hidden by CUDA_VISIBLE_DEVICES=%.200s", variable);
    free(copy);
    free(is_visible);
}

/* Choosing. */

/* The entry that names it. */
static bool find_choice(const struct cJSON *list, const struct device *device,
                        struct choice *choice)
{
    const struct cJSON *entry;
    struct error error;
    cJSON_ArrayForEach(entry, list)
    {
        if (choice_read(choice, entry, &error) &&
            choice_names(choice, device->name, device->facts.uuid))
            return true;
    }
    return false;
}

/* A list of exclusions alone leaves the rest to auto. */
static bool is_auto(const struct cJSON *list)
{
    struct choice choice;
    struct error error;
    const struct cJSON *entry;
    bool is_all_out = true;
    cJSON_ArrayForEach(entry, list)
    {
        if (!choice_read(&choice, entry, &error))
            continue;
        if (!strcmp(choice.what, "auto"))
            return true;
        is_all_out = is_all_out && choice.is_excluded;
    }
    return is_all_out;
}

static void choose_gpu(struct device *device, const struct config *config)
{
    struct choice choice;
    char need[GPU_SIZE_BYTES], all[GPU_SIZE_BYTES];
    bool is_chosen = find_choice(config->devices, device, &choice);
    if (is_chosen && choice.is_excluded)
        device_refuse(device, "excluded by \"!%.80s\" of devices", choice.what);
    else if (!is_chosen && !is_auto(config->devices))
        device_refuse(device, "not among devices");
    if (*device->unused)
        return;
    device->slots =
        is_chosen && choice.slots ? choice.slots : (int)config->gpu_slots;
    int64_t room = device_capacity(device, config);
    device->room_bytes = room;
    if (room <= 0)
        device_refuse(device,
                      "too small: %d worker%s take%s %s (gpu_context_mib) "
                      "of its %s",
                      device->slots, device->slots == 1 ? "" : "s",
                      device->slots == 1 ? "s" : "",
                      gpu_size(device->facts.memory_bytes - room, need),
                      gpu_size(device->facts.memory_bytes, all));
}

static bool has_gpu(const struct devices *devices)
{
    for (int i = 0; i < devices->count; i++)
        if (devices->device[i].gpu >= 0 && devices->device[i].slots)
            return true;
    return false;
}

static int cpu_count(const struct config *config)
{
    struct cpu_mask mask;
    if (config->cpu_slots >= 0)
        return (int)config->cpu_slots;
    cpu_mask_read(&mask);
    return cpu_slots("", &mask);
}

/* An idle CPU must not steal a GPU's work: it has slots where it is asked for,
 * or where there is no GPU. */
static void choose_cpu(const struct devices *devices, struct device *cpu,
                       const struct config *config)
{
    struct choice choice;
    bool is_chosen = find_choice(config->devices, cpu, &choice);
    cpu->unused[0] = '\0';
    if (is_chosen && choice.is_excluded)
        device_refuse(cpu, "excluded by \"!cpu\" of devices");
    else if (is_chosen && choice.slots)
        cpu->slots = choice.slots;
    else if (!is_chosen && config->cpu_slots < 0 && !is_auto(config->devices))
        device_refuse(cpu, "not among devices");
    else if (!is_chosen && config->cpu_slots < 0 && has_gpu(devices))
        device_refuse(cpu, "left idle, since there are GPUs; cpu_slots (or "
                           "\"cpu\" among devices) would use it");
    else
        cpu->slots = cpu_count(config);
}

static bool is_there(const struct devices *devices, const struct choice *choice)
{
    for (int i = 0; i < devices->count; i++)
        if (choice_names(choice, devices->device[i].name,
                         devices->device[i].facts.uuid))
            return true;
    return !strcmp(choice->what, "auto");
}

static void tell_missing(const struct devices *devices,
                         const struct config *config, const struct log *log)
{
    const struct cJSON *entry;
    struct choice choice;
    struct error error;
    cJSON_ArrayForEach(entry, config->devices)
    {
        if (choice_read(&choice, entry, &error) && !is_there(devices, &choice))
            log_write(log, LOG_warning,
                      "devices names \"%s\", which is not here", choice.what);
    }
}

void devices_init(struct devices *devices, const struct config *config,
                  const struct log *log)
{
    struct error error;
    *devices = (struct devices){.nvml = nvml_open(&error)};
    if (devices->nvml)
        add_gpus(devices);
    else
        snprintf(devices->no_gpu, sizeof devices->no_gpu, "%.390s", error.text);
    if (!devices->nvml)
        log_write(log, LOG_info, "no GPU: %s", devices->no_gpu);
    hide(devices);
    for (int i = 0; i < devices->count; i++)
        choose_gpu(&devices->device[i], config);
    struct device *cpu = add(devices, -1);
    snprintf(cpu->name, sizeof cpu->name, "cpu");
    tell_missing(devices, config, log);
    for (int i = 0; i < devices->count; i++)
        if (devices->device[i].gpu >= 0 && devices->device[i].slots)
            device_lock(&devices->device[i], config);
}

void devices_release(struct devices *devices)
{
    for (int i = 0; i < devices->count; i++)
        lock_release(&devices->device[i].lock);
    nvml_close(devices->nvml);
    free(devices->device);
    *devices = (struct devices){0};
}

/* Meeting. */

static bool is_same_kind(const struct device *a, const struct device *b)
{
    return !strcmp(a->facts.model, b->facts.model) &&
           a->facts.capability == b->facts.capability &&
           a->facts.memory_bytes == b->facts.memory_bytes;
}

/* One of the same kind that has been met, or could not be. */
static const struct device *find_like(const struct devices *devices, int number)
{
    const struct device *device = &devices->device[number];
    for (int i = 0; i < number; i++) {
        const struct device *other = &devices->device[i];
        bool was_met = other->hello.build[0] || other->slots;
        if (other->gpu >= 0 && was_met && is_same_kind(other, device))
            return other;
    }
    return NULL;
}

static void meet_gpu(struct devices *devices, int number,
                     struct uv_loop_s *loop, const struct log *log,
                     const char *worker)
{
    struct error error;
    struct device *device = &devices->device[number];
    const struct device *like = find_like(devices, number);
    if (like)
        device->hello = like->hello;
    else if (!hello_ask(&device->hello, loop, log, worker, device->facts.uuid,
                        &error)) {
        device_refuse(device, "%.390s", error.text);
        log_write(log, LOG_warning, "%s is not used: %s", device->name,
                  device->unused);
    }
    snprintf(device->hello.device, sizeof device->hello.device, "%s",
             device->name);
    snprintf(device->hello.uuid, sizeof device->hello.uuid, "%s",
             device->facts.uuid);
    if (device->slots)
        nvml_watch(devices->nvml, device->whole);
}

bool devices_meet(struct devices *devices, const struct config *config,
                  struct uv_loop_s *loop, const struct log *log,
                  const char *worker, struct error *error)
{
    struct device *cpu = &devices->device[devices->count - 1];
    for (int i = 0; i < devices->count - 1; i++)
        if (devices->device[i].slots)
            meet_gpu(devices, i, loop, log, worker);
    choose_cpu(devices, cpu, config);
    return hello_ask(&cpu->hello, loop, log, worker, NULL, error);
}

/* Slots. */

int devices_slots(const struct devices *devices)
{
    int count = 0;
    for (int i = 0; i < devices->count; i++)
        count += devices->device[i].slots;
    return count;
}

struct device *devices_of_slot(const struct devices *devices, int slot)
{
    int gpus = devices->count - 1;
    for (int round = 0, more = 1; more; round++) {
        more = 0;
        for (int i = 0; i < gpus; i++) {
            more += devices->device[i].slots > round;
            if (devices->device[i].slots > round && slot-- == 0)
                return &devices->device[i];
        }
    }
    return &devices->device[gpus];
}
