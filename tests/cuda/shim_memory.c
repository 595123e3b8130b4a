/* shim_memory.c: device and pinned memory with the rights the host has.
 *
 * Rules checked: an address is used only while it is allocated (cudaFree), on
 * the device that it belongs to (CUDA C++ programming guide, "Peer-to-Peer
 * Memory Access": off unless enabled), and never dereferenced by the host. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/cuda/shim_inside.h"

#define ARENA_BYTES ((size_t)32 << 30)
enum { PAGE = 4096, ALIGNMENT = 256, END = 0xa5 };
/* Changing rights is a quarter of a long training's time: after so many times
 * memory is closed to the host only every so often. */
enum { CLOSINGS = 4096, CLOSINGS_EACH = 16 };

struct arena {
    char *base;
    size_t used;
    struct allocation **all; /* by address */
    struct allocation **live;
    unsigned count, live_count, room;
};

static struct arena arenas[2]; /* device memory, pinned host memory */
static int opened = NO_DEVICE;

static void *fail(const char *what)
{
    fprintf(stderr, "cudashim: %s: %s\n", what, strerror(errno));
    abort();
}

static struct arena *arena_of(int device)
{
    struct arena *arena = &arenas[device == PINNED];
    if (arena->base == NULL) {
        arena->base = mmap(NULL, ARENA_BYTES, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (arena->base == MAP_FAILED) {
            fail("address space");
        }
    }
    return arena;
}

static bool is_in(const struct arena *arena, const void *address)
{
    const char *at = address;
    return arena->base != NULL && at >= arena->base &&
           at < arena->base + ARENA_BYTES;
}

void memory_range(const char **from, size_t *bytes)
{
    *from = arena_of(0)->base;
    *bytes = ARENA_BYTES;
}

static void allow(const struct allocation *allocation, int rights)
{
    if (mprotect(allocation->map, allocation->map_bytes, rights) != 0) {
        fail("mprotect");
    }
}

static void *grow(void *old, unsigned count)
{
    void *grown = realloc(old, count * sizeof(struct allocation *));
    return grown != NULL ? grown : fail("table of allocations");
}

static void keep(struct arena *arena, struct allocation *allocation)
{
    if (arena->count == arena->room) {
        arena->room = arena->room == 0 ? 64 : 2 * arena->room;
        arena->all = grow(arena->all, arena->room);
        arena->live = grow(arena->live, arena->room);
    }
    arena->all[arena->count++] = allocation;
    arena->live[arena->live_count++] = allocation;
    allocation->number = arena->count;
}

struct allocation *memory_new(int device, size_t bytes)
{
    struct arena *arena = arena_of(device);
    size_t whole = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    size_t map_bytes = (whole + PAGE - 1) / PAGE * PAGE;
    if (bytes > ARENA_BYTES || map_bytes + PAGE > ARENA_BYTES - arena->used) {
        return NULL;
    }
    struct allocation *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return fail("allocation");
    }
    made->map = arena->base + arena->used;
    made->map_bytes = map_bytes;
    made->address = made->map + map_bytes - whole;
    made->bytes = bytes;
    made->device = device;
    arena->used += map_bytes + PAGE;
    keep(arena, made);
    allow(made, PROT_READ | PROT_WRITE);
    memset(made->address, 0xff, bytes);
    memset(made->address + bytes, END, whole - bytes);
    if (device != PINNED && device != opened) {
        allow(made, PROT_NONE);
    }
    return made;
}

void memory_free(struct allocation *allocation)
{
    struct arena *arena = arena_of(allocation->device);
    for (unsigned i = 0; i < arena->live_count; i++) {
        if (arena->live[i] == allocation) {
            arena->live[i] = arena->live[--arena->live_count];
            break;
        }
    }
    allocation->residence = FREED;
    madvise(allocation->map, allocation->map_bytes, MADV_DONTNEED);
    allow(allocation, PROT_NONE);
}

struct allocation *memory_find(const void *address)
{
    const struct arena *arena =
        is_in(&arenas[0], address) ? &arenas[0] : &arenas[1];
    if (!is_in(arena, address)) {
        return NULL;
    }
    unsigned from = 0, to = arena->count;
    while (from < to) {
        unsigned middle = (from + to) / 2;
        struct allocation *here = arena->all[middle];
        if ((const char *)address >= here->map + here->map_bytes + PAGE) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < arena->count ? arena->all[from] : NULL;
}

bool memory_is_pinned(const void *address)
{
    return is_in(&arenas[1], address);
}

bool shim_is_device(const void *address)
{
    return is_in(&arenas[0], address);
}

void memory_open(int device)
{
    static unsigned closings;
    const struct arena *arena = &arenas[0];
    if (device == opened || (device == NO_DEVICE && ++closings > CLOSINGS &&
                             closings % CLOSINGS_EACH != 0)) {
        return;
    }
    for (unsigned i = 0; i < arena->live_count; i++) {
        struct allocation *it = arena->live[i];
        if (it->device == opened || it->device == device) {
            allow(it,
                  it->device == device ? PROT_READ | PROT_WRITE : PROT_NONE);
        }
    }
    opened = device;
}

void memory_check_ends(const char *after)
{
    const struct arena *arena = &arenas[0];
    for (unsigned i = 0; i < arena->live_count; i++) {
        struct allocation *it = arena->live[i];
        unsigned char *at = (unsigned char *)it->address + it->bytes;
        unsigned char *end = (unsigned char *)it->map + it->map_bytes;
        for (; it->device == opened && at < end; at++) {
            if (*at != END) {
                shim_defect("%s wrote past the end of allocation %u, at byte "
                            "%td of %zu",
                            after, it->number, (char *)at - it->address,
                            it->bytes);
                memset(at, END, (size_t)(end - at));
            }
        }
    }
}

void memory_describe(const void *address, char *text, size_t room)
{
    static const char *const states[] = {"live", "leaving", "freed"};
    const struct allocation *it = memory_find(address);
    text[0] = '\0';
    if (it != NULL) {
        snprintf(text, room, "%s %s memory: byte %td of allocation %u, of %zu",
                 states[it->residence],
                 it->device == PINNED ? "pinned" : "device",
                 (const char *)address - it->address, it->number, it->bytes);
    } else if (is_in(&arenas[0], address) || is_in(&arenas[1], address)) {
        snprintf(text, room, "memory that was never allocated");
    }
}

void memory_report_leaks(void)
{
    for (int i = 0; i < 2; i++) {
        for (unsigned k = 0; k < arenas[i].live_count; k++) {
            const struct allocation *it = arenas[i].live[k];
            if (it->residence == LIVE) { /* not on its way out */
                shim_defect("leak: %s allocation %u of %zu bytes",
                            i == 0 ? "device" : "pinned", it->number,
                            it->bytes);
            }
        }
    }
}

bool shim_check(const char *function, int device,
                const struct shim_operand *operand)
{
    if (operand->bytes == 0) {
        return true;
    }
    const struct allocation *it = memory_find(operand->address);
    char what[256];
    memory_describe(operand->address, what, sizeof what);
    if (it == NULL || it->device == PINNED) {
        shim_defect("%s: %s = %p is not device memory", function, operand->name,
                    operand->address);
        return false;
    }
    size_t offset = (size_t)((const char *)operand->address - it->address);
    if (it->residence != LIVE || it->device != device || offset > it->bytes ||
        operand->bytes > it->bytes - offset) {
        shim_defect("%s on device %d: %s needs %zu bytes at %s of device %d",
                    function, device, operand->name, operand->bytes, what,
                    it->device);
        return false;
    }
    return true;
}

bool shim_check_overlap(const char *function,
                        const struct shim_operand *operands, int count)
{
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++) {
            const char *a = operands[i].address, *b = operands[k].address;
            if (i != k && operands[i].is_written && operands[i].bytes != 0 &&
                a < b + operands[k].bytes && b < a + operands[i].bytes) {
                shim_defect("%s: %s and %s overlap", function, operands[i].name,
                            operands[k].name);
                return false;
            }
        }
    }
    return true;
}
