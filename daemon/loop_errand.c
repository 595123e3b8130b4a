#include "daemon/loop_errand.h"

#include <stdlib.h>
#include <uv.h>

#include "schema/memory.h"

struct errand {
    uv_work_t work;
    void (*run)(void *user);
    void (*done)(void *user);
    void *user;
};

static void on_work(uv_work_t *work)
{
    struct errand *errand = (struct errand *)work;
    errand->run(errand->user);
}

static void on_worked(uv_work_t *work, int status)
{
    (void)status; /* nobody cancels */
    struct errand *errand = (struct errand *)work;
    if (errand->done)
        errand->done(errand->user);
    free(errand);
}

void loop_errand(struct uv_loop_s *loop, void (*run)(void *user),
                 void (*done)(void *user), void *user)
{
    struct errand *errand = xcalloc(1, sizeof *errand);
    errand->run = run;
    errand->done = done;
    errand->user = user;
    if (uv_queue_work(loop, &errand->work, on_work, on_worked) != 0)
        abort(); /* only without a function to call */
}
