#include "daemon/loop_stat.h"

#include <stdlib.h>
#include <uv.h>

#include "schema/memory.h"

struct look {
    uv_fs_t request;
    loop_stat_done *done;
    void *user;
};

static void on_stat(uv_fs_t *request)
{
    struct look *look = (struct look *)request;
    const uv_stat_t *status = &request->statbuf;
    int64_t bytes = request->result == 0 ? (int64_t)status->st_size : -1;
    double modified =
        (double)status->st_mtim.tv_sec + (double)status->st_mtim.tv_nsec / 1e9;
    uv_fs_req_cleanup(request);
    look->done(look->user, bytes, modified);
    free(look);
}

void loop_stat(struct uv_loop_s *loop, const char *path, loop_stat_done *done,
               void *user)
{
    struct look *look = xcalloc(1, sizeof *look);
    look->done = done;
    look->user = user;
    if (uv_fs_stat(loop, &look->request, path, on_stat) != 0)
        abort(); /* only when small allocations fail, which die everywhere */
}
