/* place.h: where jobs can run: a device with slots, as jobs see it.
 */
#ifndef DAEMON_PLACE_H
#define DAEMON_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

struct place {
    int number;             /* of the device, among all */
    char device[32];        /* cpu, cuda:0, cuda:0.1 */
    char device_class[128]; /* without threads */
    int gpu;                /* index of the GPU, -1: the CPU */
    int slots;
    int64_t bytes; /* of a GPU, for all jobs on it together */
};

/* The device class of a run that is trained there by so many threads. */
enum { CLASS_BYTES = 160 };
void place_print_class(const struct place *place, int threads,
                       char text[CLASS_BYTES]);

/* A job's demands. */
struct demand {
    char device[32]; /* as asked for: any, cpu, cuda, 0 */
    int threads;     /* that many slots of the CPU, one of a GPU */
    int64_t gpu_bytes;
};

/* Whether the job asks for such a device, whatever its size. */
bool place_is_asked(const struct place *place, const struct demand *demand);
/* Whether it can run there when nothing else does. */
bool place_suits(const struct place *place, const struct demand *demand);
/* Slots that it takes there. */
int place_slots(const struct place *place, const struct demand *demand);

/* Why none of the places suits, such as "there is no GPU 3"; "" when one
 * does.  Texts of up to PLACE_REASON_BYTES. */
enum { PLACE_REASON_BYTES = 256 };
void places_refuse(const struct place *places, int count,
                   const struct demand *demand,
                   char reason[PLACE_REASON_BYTES]);

/* Their classes, each once: "\"a\" and \"b\"". */
void places_print_classes(const struct place *places, int count, char *text,
                          size_t bytes);

/* As questions carry them (members as above), and back: the caller's. */
struct cJSON *place_write(const struct place *place);
void place_read(struct place *place, const struct cJSON *object);

/* The lane that a job waits in: jobs that ask for the same, GPU memory of about
 * the same size included.  A run that has begun adds its class. */
enum { LANE_BYTES = 64 };
void lane_print(char lane[LANE_BYTES], const struct demand *demand);

#endif
