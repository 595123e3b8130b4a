#include "daemon/limits.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

#include "daemon/store.h"
#include "schema/memory.h"

enum { TICK_MS = 5000 };

struct clock {
    uv_timer_t timer;
    struct clock *next;
    struct store *store;
    int64_t attempt;
    uint64_t began_ms;
    double seconds_left; /* when it began; NaN: there was no limit */
};

struct limits {
    uv_loop_t *loop;
    struct store *store;
    struct clock *clocks;
};

struct limits *limits_new(struct uv_loop_s *loop, struct store *store)
{
    struct limits *limits = xcalloc(1, sizeof *limits);
    limits->loop = loop;
    limits->store = store;
    return limits;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void remove_at(struct clock **at)
{
    struct clock *clock = *at;
    *at = clock->next;
    uv_close((uv_handle_t *)&clock->timer, on_closed);
}

void limits_free(struct limits *limits)
{
    if (!limits)
        return;
    while (limits->clocks)
        remove_at(&limits->clocks);
    free(limits);
}

static double taken(const struct clock *clock)
{
    return (double)(uv_now(clock->timer.loop) - clock->began_ms) / 1000;
}

static void on_tick(uv_timer_t *timer);

/* To the limit, but not for long; and on, since the limit may be raised. */
static void wait_on(struct clock *clock)
{
    double left_ms = ceil((clock->seconds_left - taken(clock)) * 1000);
    bool is_near = left_ms > 0 && left_ms < TICK_MS;
    uv_timer_start(&clock->timer, on_tick,
                   is_near ? (uint64_t)left_ms : TICK_MS, 0);
}

static void on_tick(uv_timer_t *timer)
{
    struct clock *clock = timer->data;
    store_attempt_took(clock->store, clock->attempt, taken(clock));
    wait_on(clock);
}

void limits_begin(struct limits *limits, const struct dispatch *dispatch)
{
    struct clock *clock = xcalloc(1, sizeof *clock);
    uv_timer_init(limits->loop, &clock->timer);
    uv_update_time(limits->loop);
    clock->timer.data = clock;
    clock->store = limits->store;
    clock->attempt = dispatch->attempt;
    clock->began_ms = uv_now(limits->loop);
    clock->seconds_left = dispatch->seconds_left;
    clock->next = limits->clocks;
    limits->clocks = clock;
    if (clock->seconds_left <= 0)
        on_tick(&clock->timer);
    else if (!isnan(clock->seconds_left))
        wait_on(clock);
}

void limits_change(struct limits *limits, int64_t attempt)
{
    for (struct clock *clock = limits->clocks; clock; clock = clock->next)
        if (clock->attempt == attempt)
            on_tick(&clock->timer);
}

void limits_end(struct limits *limits, int64_t attempt)
{
    for (struct clock **at = &limits->clocks; *at; at = &(*at)->next)
        if ((*at)->attempt == attempt) {
            remove_at(at);
            return;
        }
}
