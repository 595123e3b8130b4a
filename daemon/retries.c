#include "daemon/retries.h"

#include <stdlib.h>
#include <uv.h>

#include "daemon/store.h"
#include "schema/memory.h"

struct retry {
    uv_timer_t timer;
    struct retries *retries;
    struct retry *next, **place; /* what points to it */
    int64_t job;
};

struct retries {
    struct uv_loop_s *loop;
    struct store *store;
    struct retry *first;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void drop(struct retry *retry)
{
    *retry->place = retry->next;
    if (retry->next)
        retry->next->place = retry->place;
    uv_close((uv_handle_t *)&retry->timer, on_closed);
}

static void on_time(uv_timer_t *timer)
{
    struct retry *retry = timer->data;
    store_wait_over(retry->retries->store, retry->job);
    drop(retry);
}

void retries_add(struct retries *retries, int64_t job, double seconds)
{
    struct retry *retry = xcalloc(1, sizeof *retry);
    retry->retries = retries;
    retry->job = job;
    retry->next = retries->first;
    retry->place = &retries->first;
    if (retry->next)
        retry->next->place = &retry->next;
    retries->first = retry;
    uv_timer_init(retries->loop, &retry->timer);
    retry->timer.data = retry;
    uv_timer_start(&retry->timer, on_time, (uint64_t)(seconds * 1000), 0);
}

struct retries *retries_new(struct uv_loop_s *loop, struct store *store)
{
    struct retries *retries = xcalloc(1, sizeof *retries);
    retries->loop = loop;
    retries->store = store;
    return retries;
}

void retries_free(struct retries *retries)
{
    if (!retries)
        return;
    while (retries->first)
        drop(retries->first);
    free(retries);
}
