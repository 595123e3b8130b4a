#include "daemon/place.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/gpu_memory.h"
#include "schema/json.h"

void place_print_class(const struct place *place, int threads,
                       char text[CLASS_BYTES])
{
    snprintf(text, CLASS_BYTES, "%s threads-%d", place->device_class, threads);
}

bool place_is_asked(const struct place *place, const struct demand *demand)
{
    const char *device = demand->device;
    if (!strcmp(device, "any"))
        return true;
    if (!strcmp(device, "cpu") || !strcmp(device, "cuda"))
        return (place->gpu < 0) == (device[1] == 'p');
    return place->gpu >= 0 && place->gpu == (int)strtol(device, NULL, 10);
}

int place_slots(const struct place *place, const struct demand *demand)
{
    return place->gpu < 0 ? demand->threads : 1;
}

bool place_suits(const struct place *place, const struct demand *demand)
{
    return place_is_asked(place, demand) &&
           place->slots >= place_slots(place, demand) &&
           (place->gpu < 0 || place->bytes >= demand->gpu_bytes);
}

/* "0, 1, 3" */
static void print_gpus(const struct place *places, int count, char text[64])
{
    int last = -1, used = 0;
    text[0] = '\0';
    for (int i = 0; i < count && used < 56; i++) {
        if (places[i].gpu < 0 || places[i].gpu == last)
            continue;
        last = places[i].gpu;
        used += snprintf(text + used, 64 - (size_t)used, "%s%d",
                         used ? ", " : "", last);
    }
}

static void refuse_device(const struct place *places, int count,
                          const struct demand *demand,
                          char reason[PLACE_REASON_BYTES])
{
    char gpus[64];
    bool is_cpu = !strcmp(demand->device, "cpu");
    bool is_index = strcmp(demand->device, "cuda") != 0 && !is_cpu;
    print_gpus(places, count, gpus);
    if (is_cpu)
        snprintf(reason, PLACE_REASON_BYTES,
                 "no CPU slots: this gaitd has GPUs only");
    else if (!*gpus)
        snprintf(reason, PLACE_REASON_BYTES,
                 "no GPU: this gaitd has CPU slots only");
    else if (is_index)
        snprintf(reason, PLACE_REASON_BYTES,
                 "no GPU %.20s: this gaitd has GPU %s", demand->device, gpus);
}

static void refuse_threads(int slots, const struct demand *demand,
                           char reason[PLACE_REASON_BYTES])
{
    snprintf(reason, PLACE_REASON_BYTES,
             "%d is above %d, the CPU slots of this gaitd", demand->threads,
             slots);
}

static void refuse_memory(int64_t most, const struct demand *demand,
                          char reason[PLACE_REASON_BYTES])
{
    char need[GPU_SIZE_BYTES], there[GPU_SIZE_BYTES];
    snprintf(reason, PLACE_REASON_BYTES,
             "needs %s of GPU memory, and the largest GPU it may have gives "
             "%s",
             gpu_size(demand->gpu_bytes, need), gpu_size(most, there));
}

void places_refuse(const struct place *places, int count,
                   const struct demand *demand, char reason[PLACE_REASON_BYTES])
{
    int64_t most = -1;
    int slots = -1;
    reason[0] = '\0';
    for (int i = 0; i < count; i++) {
        if (place_suits(&places[i], demand))
            return;
        if (!place_is_asked(&places[i], demand))
            continue;
        if (places[i].gpu < 0)
            slots = places[i].slots;
        else if (places[i].bytes > most)
            most = places[i].bytes;
    }
    if (most >= 0)
        refuse_memory(most, demand, reason);
    else if (slots >= 0)
        refuse_threads(slots, demand, reason);
    else
        refuse_device(places, count, demand, reason);
}

void places_print_classes(const struct place *places, int count, char *text,
                          size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < count && used < bytes; i++)
        if (!strstr(text, places[i].device_class))
            used +=
                (size_t)snprintf(text + used, bytes - used, "%s\"%s\"",
                                 used ? " and " : "", places[i].device_class);
}

struct cJSON *place_write(const struct place *place)
{
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "device", place->device);
    cJSON_AddStringToObject(object, "device_class", place->device_class);
    cJSON_AddItemToObject(object, "gpu", json_integer(place->gpu));
    cJSON_AddItemToObject(object, "slots", json_integer(place->slots));
    cJSON_AddItemToObject(object, "bytes", json_integer(place->bytes));
    return object;
}

void place_read(struct place *place, const struct cJSON *object)
{
    *place = (struct place){
        .gpu = (int)json_integer_or(object, "gpu", -1),
        .slots = (int)json_integer_or(object, "slots", 0),
        .bytes = json_integer_or(object, "bytes", 0),
    };
    snprintf(place->device, sizeof place->device, "%.31s",
             json_text_or(object, "device", ""));
    snprintf(place->device_class, sizeof place->device_class, "%.127s",
             json_text_or(object, "device_class", ""));
}

/* Eight steps to the doubling, so that however many sizes there are, lanes are
 * few: dispatching looks at each. */
static int size_step(int64_t bytes)
{
    int doublings = 0;
    while (bytes >> doublings > 15)
        doublings++;
    return doublings * 8 + (int)(bytes >> doublings);
}

void lane_print(char lane[LANE_BYTES], const struct demand *demand)
{
    snprintf(lane, LANE_BYTES, "%.20s %d %d", demand->device, demand->threads,
             size_step(demand->gpu_bytes));
}
