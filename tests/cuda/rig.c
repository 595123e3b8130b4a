/* rig.c: reads the description of the pretended GPUs. */
#include "tests/cuda/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { WORDS = 16, LINE_BYTES = 1024 };

/* A line, taken apart: words[0] is its kind, the rest are name=value. */
struct line {
    const char *path;
    int number;
    char text[LINE_BYTES];
    char *words[WORDS];
    int count;
};

/* What `error=` makes the libraries answer.  NVML goes on answering for a GPU
 * whose memory has failed; the runtime's errors are those of driver_types.h
 * that leave a process without its GPU. */
static const struct trouble {
    const char *name;
    int cuda, nvml;
} troubles[] = {
    {"lost", 46, 15},  /* cudaErrorDevicesUnavailable, GPU_IS_LOST */
    {"ecc", 214, 0},   /* cudaErrorECCUncorrectable */
    {"reset", 46, 16}, /* ..., NVML_ERROR_RESET_REQUIRED */
    {"xid", 719, 0},   /* cudaErrorLaunchFailure */
};

static void fail(const struct line *line, const char *what, const char *which)
{
    fprintf(stderr, "%s:%d: %s \"%s\"\n", line->path, line->number, what,
            which);
    exit(RIG_EXIT);
}

/* The next word of a line, without its quotes; NULL: there is none. */
static char *next_word(char **rest)
{
    char *from = *rest + strspn(*rest, " \t\n");
    if (*from == '\0' || *from == '#') {
        return NULL;
    }
    char *word = from, *to = from;
    bool is_quoted = false;
    for (; *from != '\0' && (is_quoted || strchr(" \t\n", *from) == NULL);
         from++) {
        if (*from == '"') {
            is_quoted = !is_quoted;
        } else {
            *to++ = *from;
        }
    }
    *rest = from + (*from != '\0');
    *to = '\0';
    return word;
}

static void split(struct line *line)
{
    char *rest = line->text, *word;
    line->count = 0;
    while ((word = next_word(&rest)) != NULL) {
        if (line->count == WORDS) {
            fail(line, "too many words from", word);
        }
        line->words[line->count++] = word;
    }
}

/* The value of name=value; NULL where it is not given. */
static const char *text_of(const struct line *line, const char *name)
{
    size_t length = strlen(name);
    for (int i = 1; i < line->count; i++) {
        if (strncmp(line->words[i], name, length) == 0 &&
            line->words[i][length] == '=') {
            return line->words[i] + length + 1;
        }
    }
    return NULL;
}

static void copy_text(const struct line *line, const char *name,
                      const char *otherwise, char *to, size_t room)
{
    const char *text = text_of(line, name);
    text = text != NULL ? text : otherwise;
    if (text == NULL || strlen(text) >= room) {
        fail(line, "missing or too long:", name);
    } else {
        memmove(to, text, strlen(text) + 1);
    }
}

static uint64_t number_of(const struct line *line, const char *name,
                          uint64_t otherwise)
{
    const char *text = text_of(line, name);
    if (text == NULL) {
        return otherwise;
    }
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fail(line, "not a whole number:", text);
    }
    return number;
}

int rig_find_gpu(const struct rig *rig, int number)
{
    return rig_find_instance(rig, -1, number);
}

int rig_find_instance(const struct rig *rig, int parent, int number)
{
    for (int i = 0; i < rig->gpu_count; i++) {
        if (rig->gpus[i].parent == parent && rig->gpus[i].number == number) {
            return i;
        }
    }
    return -1;
}

/* The index that `gpu=` of a line means. */
static int gpu_of(const struct line *line, const struct rig *rig)
{
    int index = rig_find_gpu(rig, (int)number_of(line, "gpu", 0));
    if (index < 0) {
        fail(line, "no such gpu:", text_of(line, "gpu"));
    }
    return index;
}

static void read_trouble(const struct line *line, struct rig_gpu *gpu)
{
    const char *name = text_of(line, "error");
    if (name != NULL) {
        const struct trouble *found = NULL;
        for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
            if (strcmp(troubles[i].name, name) == 0) {
                found = &troubles[i];
            }
        }
        if (found == NULL) {
            fail(line, "lost, ecc, reset or xid expected, not", name);
            return;
        }
        gpu->cuda_error = found->cuda;
        gpu->nvml_error = found->nvml;
    }
    gpu->cuda_error = (int)number_of(line, "cuda", (uint64_t)gpu->cuda_error);
    gpu->nvml_error = (int)number_of(line, "nvml", (uint64_t)gpu->nvml_error);
}

static void read_gpu(const struct line *line, struct rig *rig, int parent)
{
    if (rig->gpu_count == RIG_GPUS) {
        fail(line, "too many:", line->words[0]);
    }
    struct rig_gpu gpu = {.parent = parent};
    while (rig_find_instance(rig, parent, gpu.number) >= 0) {
        gpu.number++;
    }
    char capability[16], bus[32];
    snprintf(bus, sizeof bus, "00000000:%02X:00.0", gpu.number + 1);
    copy_text(line, "uuid", NULL, gpu.uuid, sizeof gpu.uuid);
    copy_text(line, "name", "Pretended GPU", gpu.name, sizeof gpu.name);
    copy_text(line, "bus", bus, gpu.bus, sizeof gpu.bus);
    copy_text(line, "capability", "7.5", capability, sizeof capability);
    if (sscanf(capability, "%d.%d", &gpu.major, &gpu.minor) != 2) {
        fail(line, "not a capability as in 7.5:", capability);
    }
    gpu.memory_bytes = number_of(line, "memory", (uint64_t)8 << 30);
    gpu.used_bytes = number_of(line, "used", 0);
    read_trouble(line, &gpu);
    rig->gpus[rig->gpu_count++] = gpu;
}

static void read_process(const struct line *line, struct rig *rig)
{
    if (rig->process_count == RIG_PROCESSES) {
        fail(line, "too many:", line->words[0]);
    }
    struct rig_process *process = &rig->processes[rig->process_count++];
    process->gpu = gpu_of(line, rig);
    process->pid = (unsigned)number_of(line, "pid", 1);
    process->bytes = number_of(line, "bytes", 0);
    copy_text(line, "name", "other", process->name, sizeof process->name);
}

static void read_event(const struct line *line, struct rig *rig)
{
    if (rig->event_count == RIG_EVENTS) {
        fail(line, "too many:", line->words[0]);
    }
    rig->events[rig->event_count++] =
        (struct rig_event){.gpu = gpu_of(line, rig),
                           .type = number_of(line, "type", 8),
                           .data = number_of(line, "data", 0)};
}

static void read_line(struct line *line, struct rig *rig)
{
    split(line);
    if (line->count == 0) {
        return;
    }
    const char *kind = line->words[0];
    if (strcmp(kind, "driver") == 0) {
        copy_text(line, "version", rig->driver, rig->driver,
                  sizeof rig->driver);
        rig->cuda_version = (int)number_of(line, "cuda", 13000);
        rig->init_error = (int)number_of(line, "error", 0);
    } else if (strcmp(kind, "gpu") == 0) {
        read_gpu(line, rig, -1);
    } else if (strcmp(kind, "mig") == 0) {
        read_gpu(line, rig, gpu_of(line, rig));
    } else if (strcmp(kind, "process") == 0) {
        read_process(line, rig);
    } else if (strcmp(kind, "event") == 0) {
        read_event(line, rig);
    } else {
        fail(line, "driver, gpu, mig, process or event expected, not", kind);
    }
}

static void read_file(const char *path, struct rig *rig)
{
    FILE *file = fopen(path, "re");
    struct line line = {.path = path};
    *rig = (struct rig){.driver = "580.95.05", .cuda_version = 13000};
    if (file == NULL) {
        fail(&line, "cannot be opened, as named by", "CUDASHIM_RIG");
        return;
    }
    while (fgets(line.text, sizeof line.text, file) != NULL) {
        line.number++;
        read_line(&line, rig);
    }
    fclose(file);
}

static void assume_one(struct rig *rig)
{
    struct line line = {.path = "built in",
                        .text = "gpu name=\"Pretended GPU\" "
                                "uuid=GPU-00000000-0000-0000-0000-"
                                "000000000000"};
    *rig = (struct rig){.driver = "580.95.05", .cuda_version = 13000};
    read_line(&line, rig);
}

const struct rig *rig_now(void)
{
    static struct rig rig; /* what an API without a context can keep it in */
    static struct stat seen;
    static bool is_read;
    const char *path = getenv("CUDASHIM_RIG");
    struct stat now = {0};
    if (path != NULL && stat(path, &now) != 0) {
        fail(&(struct line){.path = path}, "cannot be read, as named by",
             "CUDASHIM_RIG");
    }
    if (is_read && now.st_ino == seen.st_ino && now.st_size == seen.st_size &&
        now.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec) {
        return &rig;
    }
    if (path == NULL) {
        assume_one(&rig);
    } else {
        read_file(path, &rig);
    }
    seen = now;
    is_read = true;
    return &rig;
}
