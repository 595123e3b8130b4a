/* gpusim_check.cpp: looks at every access of a kernel.
 *
 * The kernels are compiled with -fsanitize=thread, whose calls end here and not
 * in its library: it knows threads of an operating system, not blocks, warps
 * and barriers.  Checked are, for every byte:
 *
 * - it is in a live allocation of the running device, in this block's shared
 *   memory, or the thread's own;
 * - no other thread accesses it in the same launch, one of the two writing,
 *   unless a barrier of the block, or __syncwarp of the warp, lies between or
 *   both are atomic.  Blocks are never ordered within a launch.
 *
 * Two stamps a byte suffice: of the last write, and of the last read, with a
 * mark when several threads read between two barriers.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/cuda/gpusim_device.h"
#include "tests/cuda/gpusim_inside.h"

namespace
{

struct stamp {
    uint64_t launch : 16, block : 20, thread : 10, barriers : 10, warps : 5,
        is_atomic : 1, is_by_threads : 1, is_by_blocks : 1;
};
static_assert(sizeof(struct stamp) == 8, "one word");

struct cell {
    struct stamp write, read;
};

struct shadow {
    struct cell *cells;
    size_t bytes; /* of what it shadows */
};

struct shadow device, block;
struct gpusim_region shared, beyond;
bool has_reported;

} // namespace

static struct cell *map_cells(size_t count)
{
    void *memory =
        mmap(nullptr, count * sizeof(struct cell), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("shadow of device memory");
        abort();
    }
    return (struct cell *)memory;
}

static void ensure(struct shadow *it, size_t bytes)
{
    if (it->bytes < bytes) {
        it->cells = map_cells(bytes);
        it->bytes = bytes;
    }
}

void gpusim_check_begin()
{
    has_reported = false;
    shared = gpusim_shared();
    beyond = gpusim_beyond_dynamic();
    ensure(&device, gpusim_running_host->memory_bytes);
    ensure(&block, shared.bytes);
    if (gpusim_place.launch % 65536 == 0) { /* stamps begin anew */
        madvise(device.cells, device.bytes * sizeof(struct cell),
                MADV_DONTNEED);
        madvise(block.cells, block.bytes * sizeof(struct cell), MADV_DONTNEED);
        gpusim_place.launch++;
    }
}

static bool is_in(struct gpusim_region region, const void *address)
{
    const char *at = (const char *)address;
    return at >= region.from && at < region.from + region.bytes;
}

/* The source line of an instruction, by addr2line. */
static void line_of(const void *where, char *text, size_t room)
{
    Dl_info library;
    char command[4200];
    snprintf(text, room, "%p", where);
    if (dladdr(where, &library) == 0) {
        return;
    }
    snprintf(command, sizeof command, "addr2line -e '%s' %#lx 2>&1",
             library.dli_fname,
             (unsigned long)((const char *)where -
                             (const char *)library.dli_fbase - 1));
    FILE *pipe = popen(command, "r");
    if (pipe != nullptr) {
        if (fgets(text, (int)room, pipe) != nullptr) {
            text[strcspn(text, "\n")] = '\0';
        }
        pclose(pipe);
    }
}

static void report(const char *what, const void *address, size_t bytes,
                   const void *where)
{
    char line[512], target[256];
    if (has_reported) {
        return; /* one for a launch: others follow from it */
    }
    has_reported = true;
    line_of(where, line, sizeof line);
    gpusim_running_host->describe(address, target, sizeof target);
    gpusim_running_host->on_defect(
        "kernel %s, block %llu, thread %u: %s of %zu bytes at %s (%s)",
        gpusim_running_kernel->name, (unsigned long long)gpusim_place.block,
        gpusim_place.thread, what, bytes,
        is_in(shared, address) ? "shared memory"
        : target[0] != '\0'    ? target
                               : "host memory",
        line);
}

static struct stamp stamp_now(bool is_atomic)
{
    struct stamp now = {};
    now.launch = gpusim_place.launch & 0xffff;
    now.block = gpusim_place.block & 0xfffff;
    now.thread = gpusim_place.thread & 0x3ff;
    now.barriers = gpusim_place.barriers & 0x3ff;
    now.warps = gpusim_place.warp_barriers & 0x1f;
    now.is_atomic = is_atomic;
    return now;
}

/* Whether two accesses, at least one a write, are not ordered. */
static bool conflicts(struct stamp then, struct stamp now, bool is_shared)
{
    if (then.launch != now.launch || (then.is_atomic && now.is_atomic)) {
        return false;
    }
    if (then.is_by_blocks || then.block != now.block) {
        return !is_shared; /* another block has its own */
    }
    if (then.barriers != now.barriers) {
        return false;
    }
    if (then.is_by_threads) {
        return true;
    }
    return then.thread != now.thread &&
           (then.thread / 32 != now.thread / 32 || then.warps == now.warps);
}

static struct stamp merge_reads(struct stamp then, struct stamp now,
                                bool is_shared)
{
    if (then.launch != now.launch) {
        return now;
    }
    if (then.block != now.block) {
        now.is_by_blocks = !is_shared;
        return now;
    }
    now.is_by_blocks = then.is_by_blocks;
    if (then.barriers == now.barriers) {
        now.is_by_threads =
            then.is_by_threads ||
            (then.thread != now.thread &&
             (then.thread / 32 != now.thread / 32 || then.warps == now.warps));
    }
    return now;
}

static const char *race_at(struct cell *cell, struct stamp now, bool is_write,
                           bool is_shared)
{
    const char *found = nullptr;
    if (conflicts(cell->write, now, is_shared)) {
        found =
            is_write ? "write races with a write" : "read races with a write";
    } else if (is_write && conflicts(cell->read, now, is_shared)) {
        found = "write races with a read";
    }
    if (is_write) {
        cell->write = now;
    } else {
        cell->read = merge_reads(cell->read, now, is_shared);
    }
    return found;
}

static void check_cells(struct cell *cells, const void *address, size_t bytes,
                        bool is_write, bool is_atomic, bool is_shared,
                        const void *where)
{
    const struct stamp now = stamp_now(is_atomic);
    for (size_t i = 0; i < bytes; i++) {
        const char *race = race_at(&cells[i], now, is_write, is_shared);
        if (race != nullptr) {
            report(race, (const char *)address + i, bytes, where);
        }
    }
}

static void check_device(const void *address, size_t bytes, bool is_write,
                         bool is_atomic, const void *where)
{
    static const char *last;
    static size_t last_bytes, last_launch;
    const char *at = (const char *)address;
    if (last_launch != gpusim_place.launch || at < last ||
        at >= last + last_bytes) {
        size_t before = 0;
        size_t after = gpusim_running_host->bytes_from(address, &before);
        last = at - before;
        last_bytes = before + after;
        last_launch = gpusim_place.launch;
    }
    if (bytes > (size_t)(last + last_bytes - at)) {
        report(is_write ? "write out of bounds" : "read out of bounds", address,
               bytes, where);
        return;
    }
    check_cells(device.cells + (at - gpusim_running_host->memory), address,
                bytes, is_write, is_atomic, false, where);
}

void gpusim_check_access(const void *address, size_t bytes, bool is_write,
                         bool is_atomic, const void *where)
{
    if (gpusim_running_host == nullptr || has_reported ||
        gpusim_is_local(address) ||
        is_in({(char *)&gpusim_self, sizeof gpusim_self}, address)) {
        return;
    }
    const struct gpusim_region memory = {(char *)gpusim_running_host->memory,
                                         gpusim_running_host->memory_bytes};
    if (is_in(memory, address)) {
        check_device(address, bytes, is_write, is_atomic, where);
    } else if (is_in(beyond, address)) {
        report("access beyond the dynamic part", address, bytes, where);
    } else if (is_in(shared, address)) {
        check_cells(block.cells + ((const char *)address - shared.from),
                    address, bytes, is_write, is_atomic, true, where);
    } else {
        Dl_info library;
        if (is_write || dladdr(address, &library) == 0) {
            report(is_write ? "write" : "read", address, bytes, where);
        }
    }
}

void gpusim_touch_atomically(const void *address, size_t bytes)
{
    gpusim_check_access(address, bytes, true, true,
                        __builtin_return_address(0));
}

/* ---- what -fsanitize=thread calls ---- */

#define ON_ACCESS(bytes)                                                       \
    extern "C" void __tsan_read##bytes(void *address)                          \
    {                                                                          \
        gpusim_check_access(address, bytes, false, false,                      \
                            __builtin_return_address(0));                      \
    }                                                                          \
    extern "C" void __tsan_write##bytes(void *address)                         \
    {                                                                          \
        gpusim_check_access(address, bytes, true, false,                       \
                            __builtin_return_address(0));                      \
    }
ON_ACCESS(1)
ON_ACCESS(2)
ON_ACCESS(4)
ON_ACCESS(8)
ON_ACCESS(16)

extern "C" void __tsan_read_range(void *address, size_t bytes)
{
    gpusim_check_access(address, bytes, false, false,
                        __builtin_return_address(0));
}

extern "C" void __tsan_write_range(void *address, size_t bytes)
{
    gpusim_check_access(address, bytes, true, false,
                        __builtin_return_address(0));
}

extern "C" void __tsan_init()
{
}
extern "C" void __tsan_func_entry(void *)
{
}
extern "C" void __tsan_func_exit()
{
}
