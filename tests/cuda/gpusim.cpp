/* gpusim.cpp: runs a kernel block by block, each thread a fiber.
 *
 * A thread runs until it waits for others: at a barrier for its block, at a
 * warp's operation for the lanes of the mask.  Between those, the order in
 * which threads run is the seed's choice; a kernel whose results depend on it
 * lacks a barrier.  Blocks run one after another, in an order that is the
 * seed's as well ("blocks are required to execute independently").
 *
 * One operating system thread at a time runs all of this, under the lock of
 * the replacement runtime; hence the statics.
 */
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <vector>

#include "tests/cuda/gpusim_device.h"
#include "tests/cuda/gpusim_inside.h"

#ifndef __x86_64__
#error "fibers are written for x86-64"
#endif

namespace
{

enum state { READY, AT_BARRIER, AT_WARP, DONE };

struct fiber {
    void *stack_pointer;
    char *stack;
    struct gpusim_thread self;
    enum state state;
    unsigned barriers, warp_barriers;
    /* where it waits, with what, and what it gets */
    const char *file;
    int line;
    unsigned mask, from;
    bool is_sync;
    uint64_t value, result;
};

constexpr size_t STACK_BYTES = 64 * 1024;
constexpr size_t PAGE = 4096;
constexpr unsigned WARP = 32;

/* Never destroyed: what is queued still runs when the process ends. */
std::vector<fiber> &fibers = *new std::vector<fiber>;
fiber *current;
void *main_stack;
const struct gpusim_launch *launch;
unsigned thread_count;
bool has_failed;
uint64_t random_state;

uint64_t draw()
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

} // namespace

struct gpusim_thread gpusim_self;
const struct gpusim_host *gpusim_running_host;
const struct gpusim_kernel *gpusim_running_kernel;
struct gpusim_place gpusim_place;

/* Saves what a called function must keep, and continues elsewhere. */
extern "C" void gpusim_switch(void **from, void *to);
__asm__(".text\n.globl gpusim_switch\n.hidden gpusim_switch\n"
        "gpusim_switch:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

static void leave()
{
    gpusim_switch(&current->stack_pointer, main_stack);
}

static void begin_thread()
{
    for (;;) {
        gpusim_running_kernel->call(launch->arguments);
        current->state = DONE;
        leave();
    }
}

/* A frame from which `gpusim_switch` returns into begin_thread. */
static void rewind_stack(fiber &it)
{
    void **top = (void **)(it.stack + STACK_BYTES - 64);
    *--top = nullptr;
    *--top = (void *)begin_thread;
    for (int i = 0; i < 6; i++) {
        *--top = nullptr;
    }
    it.stack_pointer = top;
}

static void make_fibers(size_t count)
{
    while (fibers.size() < count) {
        fiber made = {};
        void *memory = mmap(nullptr, STACK_BYTES + PAGE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory, PAGE, PROT_NONE) != 0) {
            perror("stacks of simulated threads");
            abort();
        }
        made.stack = (char *)memory + PAGE;
        rewind_stack(made);
        fibers.push_back(made);
    }
}

bool gpusim_is_local(const void *address)
{
    const char *at = (const char *)address;
    return at >= current->stack && at < current->stack + STACK_BYTES;
}

/* ---- what goes wrong ---- */

static void fail(const char *file, int line, const char *format, ...)
{
    char what[256];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    if (!has_failed) {
        gpusim_running_host->on_defect(
            "kernel %s, block %llu: %s (%s:%d)", gpusim_running_kernel->name,
            (unsigned long long)gpusim_place.block, what, file, line);
    }
    has_failed = true;
}

void gpusim_trap(const char *what, const char *file, int line)
{
    fail(file, line, "%s", what);
    current->state = DONE;
    leave();
    abort();
}

/* ---- shared memory: this library's thread-local storage ---- */

static int on_library(struct dl_phdr_info *library, size_t, void *found)
{
    bool is_own = false;
    size_t bytes = 0;
    for (int i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) &header = library->dlpi_phdr[i];
        uintptr_t from = library->dlpi_addr + header.p_vaddr;
        uintptr_t own = (uintptr_t)&gpusim_self;
        is_own |= header.p_type == PT_LOAD && own >= from &&
                  own < from + header.p_memsz;
        bytes = header.p_type == PT_TLS ? header.p_memsz : bytes;
    }
    if (is_own && bytes != 0) {
        *(struct gpusim_region *)found = {(char *)library->dlpi_tls_data,
                                          bytes};
    }
    return is_own;
}

/* Touching a variable of it gives this thread its copy. */
static thread_local char anchor;

struct gpusim_region gpusim_shared()
{
    struct gpusim_region region = {};
    *(volatile char *)&anchor = 0;
    dl_iterate_phdr(on_library, &region);
    return region;
}

extern "C" char *gpusim_dynamic(); /* NULL: no kernel uses any */

struct gpusim_region gpusim_beyond_dynamic()
{
    char *from = gpusim_dynamic();
    return from == nullptr
               ? gpusim_region{}
               : gpusim_region{from + launch->shared_bytes,
                               GPUSIM_DYNAMIC_BYTES - launch->shared_bytes};
}

/* ---- waiting for each other ---- */

static void wait_as(enum state state, const char *file, int line)
{
    current->state = state;
    current->file = file;
    current->line = line;
    leave();
}

unsigned gpusim_barrier(enum gpusim_vote, bool value, const char *file,
                        int line)
{
    current->value = value;
    wait_as(AT_BARRIER, file, line);
    return (unsigned)current->result;
}

static void wait_for_warp(unsigned mask, uint64_t value, unsigned from,
                          bool is_sync, const char *file, int line)
{
    current->mask = mask;
    current->value = value;
    current->from = from;
    current->is_sync = is_sync;
    wait_as(AT_WARP, file, line);
}

/* "Each calling thread must have its own bit set in the mask". */
static bool is_named(unsigned mask, const char *file, int line)
{
    if (mask >> gpusim_self.lane & 1) {
        return true;
    }
    fail(file, line, "lane %u is not in its own mask %#x", gpusim_self.lane,
         mask);
    return false;
}

uint64_t gpusim_shuffle(unsigned mask, uint64_t value, unsigned from,
                        const char *file, int line)
{
    is_named(mask, file, line);
    wait_for_warp(mask, value, from, false, file, line);
    return current->result;
}

unsigned gpusim_warp_vote(unsigned mask, bool value, const char *file, int line)
{
    is_named(mask, file, line);
    wait_for_warp(mask, value, WARP, false, file, line);
    return (unsigned)current->result;
}

/* Of these only __syncwarp "guarantees memory ordering among participating
 * threads". */
void gpusim_warp_sync(unsigned mask, const char *file, int line)
{
    is_named(mask, file, line);
    wait_for_warp(mask, 0, WARP, true, file, line);
}

/* Whether all lanes that a lane waits for have come to where it is.  "All
 * non-exited threads named in mask must execute the same intrinsic with the
 * same mask"; here one that has exited is a defect as well. */
static bool is_complete(const fiber *lanes, unsigned count, const fiber &it)
{
    if (count < WARP && it.mask >> count != 0) {
        fail(it.file, it.line, "mask %#x names lanes that a warp of %u has not",
             it.mask, count);
        return false;
    }
    for (unsigned k = 0; k < count; k++) {
        const fiber &other = lanes[k];
        if (!(it.mask >> k & 1)) {
            continue;
        }
        if (other.state == DONE) {
            fail(it.file, it.line, "lane %u has exited, but mask %#x names it",
                 k, it.mask);
        }
        if (other.state != AT_WARP || other.mask != it.mask ||
            other.line != it.line) {
            return false;
        }
    }
    return true;
}

static void exchange(fiber *lanes, unsigned count, const fiber &first)
{
    const unsigned mask = first.mask;
    uint64_t values[WARP], ballot = 0;
    for (unsigned k = 0; k < count; k++) {
        values[k] = lanes[k].value;
        ballot |= (mask >> k & 1) && lanes[k].value != 0 ? 1ull << k : 0;
    }
    for (unsigned k = 0; k < count; k++) {
        fiber &lane = lanes[k];
        if (!(mask >> k & 1)) {
            continue;
        }
        if (lane.from < WARP && !(mask >> lane.from & 1)) {
            fail(lane.file, lane.line,
                 "lane %u reads lane %u, which mask %#x does not name", k,
                 lane.from, mask);
        }
        lane.result = lane.from < WARP ? values[lane.from] : ballot;
        lane.warp_barriers += lane.is_sync;
        lane.state = READY;
    }
}

static bool release_warps()
{
    bool is_any = false;
    for (unsigned w = 0; w < thread_count; w += WARP) {
        fiber *lanes = &fibers[w];
        unsigned count = thread_count - w < WARP ? thread_count - w : WARP;
        for (unsigned k = 0; k < count && !has_failed; k++) {
            if (lanes[k].state == AT_WARP &&
                is_complete(lanes, count, lanes[k])) {
                exchange(lanes, count, lanes[k]);
                is_any = true;
            }
        }
    }
    return is_any;
}

/* "__syncthreads() is allowed in conditional code but only if the conditional
 * evaluates identically across the entire thread block". */
static void release_block()
{
    unsigned waiting = 0, votes = 0;
    const fiber *first = nullptr;
    bool is_same = true;
    for (unsigned t = 0; t < thread_count; t++) {
        const fiber &it = fibers[t];
        if (it.state != AT_BARRIER) {
            first = first == nullptr && it.state == AT_WARP ? &it : first;
            continue;
        }
        is_same = is_same && (waiting == 0 || first->line == it.line);
        first = &it;
        waiting++;
        votes += it.value != 0;
    }
    if (waiting != thread_count || !is_same) {
        fail(first->file, first->line,
             "%u of %u threads wait at a barrier that the others do not reach",
             waiting, thread_count);
        return;
    }
    for (unsigned t = 0; t < thread_count; t++) {
        fibers[t].result = votes;
        fibers[t].barriers++;
        fibers[t].state = READY;
    }
}

/* ---- running ---- */

static void run_thread(fiber &it)
{
    current = &it;
    gpusim_self = it.self;
    gpusim_place.thread = (unsigned)(&it - fibers.data());
    gpusim_place.barriers = it.barriers;
    gpusim_place.warp_barriers = it.warp_barriers;
    gpusim_switch(&main_stack, it.stack_pointer);
}

static void shuffle(std::vector<unsigned> &order)
{
    for (size_t i = order.size(); launch->seed > 1 && i > 1; i--) {
        std::swap(order[i - 1], order[draw() % i]);
    }
}

static void start_block(uint64_t block)
{
    const unsigned *grid = launch->grid, *size = launch->block;
    gpusim_place.block = block;
    for (unsigned t = 0; t < thread_count; t++) {
        fiber &it = fibers[t];
        it.state = READY;
        it.barriers = it.warp_barriers = 0;
        it.self.block = {(unsigned)(block % grid[0]),
                         (unsigned)(block / grid[0] % grid[1]),
                         (unsigned)(block / grid[0] / grid[1])};
        it.self.thread = {t % size[0], t / size[0] % size[1],
                          t / size[0] / size[1]};
        it.self.block_size = dim3(size[0], size[1], size[2]);
        it.self.grid_size = dim3(grid[0], grid[1], grid[2]);
        it.self.lane = t % WARP;
    }
}

static void run_block(std::vector<unsigned> &order)
{
    unsigned done = 0;
    while (done < thread_count && !has_failed) {
        bool has_run = false;
        shuffle(order);
        for (unsigned t : order) {
            if (fibers[t].state == READY) {
                run_thread(fibers[t]);
                done += fibers[t].state == DONE;
                has_run = true;
            }
        }
        if (done < thread_count && !release_warps() && !has_run &&
            !has_failed) {
            release_block();
        }
    }
}

static void abandon_block()
{
    for (fiber &it : fibers) {
        rewind_stack(it);
    }
}

/* A permutation of the blocks: i -> (a i + b) mod count, a prime that does not
 * divide the count. */
static uint64_t nth_block(uint64_t i, uint64_t count)
{
    const uint64_t a = count % 65537 != 0 ? 65537 : 1;
    switch (launch->seed) {
    case 0:
        return i;
    case 1:
        return count - 1 - i;
    default:
        return (a * i + launch->seed) % count;
    }
}

extern "C" int gpusim_run(const struct gpusim_host *host,
                          const struct gpusim_kernel *kernel,
                          const struct gpusim_launch *how)
{
    launch = how;
    gpusim_running_host = host;
    gpusim_running_kernel = kernel;
    has_failed = false;
    thread_count = how->block[0] * how->block[1] * how->block[2];
    random_state =
        0x9e3779b97f4a7c15u * (how->seed + 1) + ++gpusim_place.launch;
    make_fibers(thread_count);
    gpusim_check_begin();

    std::vector<unsigned> order(thread_count);
    for (unsigned t = 0; t < thread_count; t++) {
        order[t] = how->seed == 1 ? thread_count - 1 - t : t;
    }
    const struct gpusim_region shared = gpusim_shared();
    const uint64_t blocks =
        (uint64_t)how->grid[0] * how->grid[1] * how->grid[2];
    for (uint64_t i = 0; i < blocks && !has_failed; i++) {
        /* Shared memory is not initialised: NaN. */
        memset(shared.from, 0xff, shared.bytes);
        start_block(nth_block(i, blocks));
        run_block(order);
    }
    if (has_failed) {
        abandon_block();
    }
    gpusim_running_host = nullptr;
    return has_failed;
}
