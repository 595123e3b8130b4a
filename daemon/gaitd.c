#include "daemon/gaitd.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/clock.h"
#include "daemon/datasets.h"
#include "daemon/fleet.h"
#include "daemon/folder.h"
#include "daemon/gate.h"
#include "daemon/hooks.h"
#include "daemon/hub.h"
#include "daemon/keeper.h"
#include "daemon/limits.h"
#include "daemon/listener.h"
#include "daemon/lock.h"
#include "daemon/loop_errand.h"
#include "daemon/notify.h"
#include "daemon/reader.h"
#include "daemon/request.h"
#include "daemon/retries.h"
#include "daemon/rights.h"
#include "daemon/server.h"
#include "schema/json.h"
#include "schema/memory.h"

struct loop {
    uv_loop_t uv;
    uv_async_t store_wake, reader_wake;
    uv_signal_t terminate, interrupt;
    bool has_handles;
    struct lock lock, run_lock; /* of the state folder, and of run_dir */
    struct listener listener;
};

void gaitd_errand(struct gaitd *gaitd, void (*run)(void *user),
                  void (*done)(void *user), void *user)
{
    loop_errand(&gaitd->loop->uv, run, done, user);
}

/* Answers and news of other threads. */

void gaitd_wake_store(void *user)
{
    uv_async_send(&((struct gaitd *)user)->loop->store_wake);
}

void gaitd_wake_reader(void *user)
{
    uv_async_send(&((struct gaitd *)user)->loop->reader_wake);
}

static void on_store_wake(uv_async_t *async)
{
    store_deliver(((struct gaitd *)async->data)->store);
}

static void on_reader_wake(uv_async_t *async)
{
    const struct gaitd *gaitd = async->data;
    reader_deliver(gaitd->reader);
    reader_deliver(gaitd->upkeep);
}

/* The other parts' hooks. */

static void on_message(void *user, struct connection *connection,
                       const char *text, size_t length)
{
    request_take(user, connection, text, length);
}

static void on_connection_close(void *user, struct connection *connection)
{
    hub_forget(((struct gaitd *)user)->hub, connection);
}

static void on_server_stopped(void *user)
{
    ((struct gaitd *)user)->server = NULL;
}

static void on_progress(void *user, int64_t sweep, int64_t job,
                        const struct cJSON *progress)
{
    hub_progress(((struct gaitd *)user)->hub, sweep, job, progress);
}

static void on_quiet(void *user)
{
    uv_stop(&((struct gaitd *)user)->loop->uv);
}

/* Stopping. */

struct drain {
    struct gaitd *gaitd;
    store_reply *reply;
    void *user;
};

static void on_drained(void *user, struct cJSON *result,
                       const struct error *error, struct cJSON *data)
{
    struct drain drain = *(struct drain *)user;
    free(user);
    if (drain.reply) {
        drain.reply(drain.user, result, error, data);
    } else {
        cJSON_Delete(result);
        cJSON_Delete(data);
    }
    if (!drain.gaitd->has_failed)
        fleet_stop(drain.gaitd->fleet);
}

void gaitd_stop(struct gaitd *gaitd, store_reply *reply, void *user)
{
    struct error error;
    assert(!gaitd->is_stopping);
    gaitd->is_stopping = true;
    log_write(&gaitd->log, LOG_info, "stopping: workers save their jobs");
    if (!notify_systemd("STOPPING=1", &error))
        log_write(&gaitd->log, LOG_warning, "%s", error.text);
    hub_shutdown(gaitd->hub, clock_wall());
    struct drain *drain = xmalloc(sizeof *drain);
    *drain = (struct drain){gaitd, reply, user};
    store_drain(gaitd->store, on_drained, drain);
}

/* The second one does not wait for checkpoints. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct gaitd *gaitd = handle->data;
    log_write(&gaitd->log, LOG_info, "got signal %d", number);
    if (!gaitd->is_stopping)
        gaitd_stop(gaitd, NULL, NULL);
    else
        fleet_kill(gaitd->fleet);
}

/* Starting, step by step; each leaves behind what close_all can undo. */

static void prepare_process(const struct gaitd *gaitd)
{
    struct rlimit files;
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    uv_disable_stdio_inheritance();
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        log_write(&gaitd->log, LOG_warning, "cannot raise the limit of files");
}

/* What it does not know there it removes. */
static bool open_run_dir(struct gaitd *gaitd, struct error *error)
{
    const char *path = gaitd->config->run_dir;
    char file[PATH_BYTES];
    if (!folder_make(path, error) ||
        !path_join(file, path, "gaitd.lock", error))
        return false;
    char *what = xprintf("run_dir \"%s\"", path);
    bool is_ours = lock_take(&gaitd->loop->run_lock, file, what, error);
    free(what);
    return is_ours;
}

static bool open_folders(struct gaitd *gaitd, struct error *error)
{
    const struct config *config = gaitd->config;
    char file[PATH_BYTES], *what;
    if (!folder_make(config->state_dir, error) ||
        !folder_check_local(config->state_dir, error) ||
        !path_join(file, config->state_dir, "lock", error))
        return false;
    what = xprintf("state folder \"%s\"", config->state_dir);
    bool is_ours = lock_take(&gaitd->loop->lock, file, what, error);
    free(what);
    return is_ours && open_run_dir(gaitd, error) &&
           folder_make(config->cache_dir, error);
}

static bool meet_worker(struct gaitd *gaitd, struct error *error)
{
    devices_init(&gaitd->devices, gaitd->config, &gaitd->log);
    return worker_find(gaitd->worker, gaitd->config, error) &&
           devices_meet(&gaitd->devices, gaitd->config, &gaitd->loop->uv,
                        &gaitd->log, gaitd->worker, error);
}

static void open_handles(struct gaitd *gaitd)
{
    struct loop *loop = gaitd->loop;
    loop->store_wake.data = loop->reader_wake.data = gaitd;
    loop->terminate.data = loop->interrupt.data = gaitd;
    uv_async_init(&loop->uv, &loop->store_wake, on_store_wake);
    uv_async_init(&loop->uv, &loop->reader_wake, on_reader_wake);
    uv_signal_init(&loop->uv, &loop->terminate);
    uv_signal_init(&loop->uv, &loop->interrupt);
    loop->has_handles = true;
}

static void open_fleet(struct gaitd *gaitd)
{
    const struct fleet_setup setup = {
        .loop = &gaitd->loop->uv,
        .log = &gaitd->log,
        .config = gaitd->config,
        .store = gaitd->store,
        .worker = gaitd->worker,
        .devices = &gaitd->devices,
        .user = gaitd,
        .on_progress = on_progress,
        .on_quiet = on_quiet,
    };
    gaitd->hub = hub_new();
    gaitd->datasets = datasets_new(&gaitd->loop->uv, &gaitd->log, gaitd->config,
                                   gaitd->worker);
    gaitd->hooks =
        hooks_new(&gaitd->loop->uv, &gaitd->log, gaitd->config, gaitd->store);
    store_hooks_resume(gaitd->store);
    gaitd->limits = limits_new(&gaitd->loop->uv, gaitd->store);
    gaitd->fleet = fleet_new(&setup);
    gaitd->retries = retries_new(&gaitd->loop->uv, gaitd->store);
    store_set_retry(gaitd->store, gaitd->config->retry_s);
}

/* How many of so many clients there are descriptors for, beside those of
 * workers and readers.  Accepted without one, a client could not even be told
 * so, and workers could not be started. */
static int room_for(const struct gaitd *gaitd, int clients)
{
    enum { OWN = 32, PER_THREAD = 4, PER_SLOT = 8, LEAST = 4 };
    struct rlimit files;
    int64_t taken = OWN + PER_THREAD * gaitd->config->query_threads +
                    PER_SLOT * fleet_slot_count(gaitd->fleet);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_cur >= (rlim_t)(taken + clients))
        return clients;
    int64_t room = (int64_t)files.rlim_cur - taken;
    if (room < LEAST)
        room = LEAST;
    log_write(&gaitd->log, LOG_warning,
              "room for %lld clients only, not max_connections %d: the limit "
              "of open files (ulimit -n) is %lld",
              (long long)room, clients, (long long)files.rlim_cur);
    return (int)room;
}

static bool open_socket(struct gaitd *gaitd, struct error *error)
{
    struct loop *loop = gaitd->loop;
    const struct config *config = gaitd->config;
    const struct server_hooks hooks = {gaitd, on_message, on_connection_close,
                                       on_server_stopped};
    const struct server_limits limits = {
        .connections = room_for(gaitd, (int)config->max_connections),
        .connections_per_user = (int)config->max_connections_per_user,
        .message_timeout_s = config->message_timeout_s,
    };
    struct rights rights;
    gid_t group;
    if (!rights_init(&rights, config, error) ||
        !listener_open(&loop->listener, config->socket,
                       rights_socket_group(&rights, &group) ? &group : NULL,
                       error))
        return false;
    gaitd->server =
        server_open(&loop->uv, &gaitd->log, listener_take(&loop->listener),
                    &rights, &limits, &hooks, error);
    return gaitd->server != NULL;
}

static bool announce(struct gaitd *gaitd, struct error *error)
{
    struct loop *loop = gaitd->loop;
    uv_signal_start(&loop->terminate, on_signal, SIGTERM);
    uv_signal_start(&loop->interrupt, on_signal, SIGINT);
    gaitd->started_at = clock_wall();
    int slots = gaitd->devices.device[gaitd->devices.count - 1].slots;
    int gpu_slots = fleet_slot_count(gaitd->fleet) - slots;
    char gpus[48] = "";
    if (gpu_slots)
        snprintf(gpus, sizeof gpus, "%d GPU slot%s, ", gpu_slots,
                 gpu_slots == 1 ? "" : "s");
    log_write(&gaitd->log, LOG_info, "ready: socket %s, %s%d CPU slot%s",
              gaitd->config->socket, gpus, slots, slots == 1 ? "" : "s");
    return notify_systemd("READY=1", error) &&
           notify_descriptor((int)gaitd->config->ready_fd, error);
}

static bool open_all(struct gaitd *gaitd, struct error *error)
{
    prepare_process(gaitd);
    if (!open_folders(gaitd, error) || !meet_worker(gaitd, error))
        return false;
    open_handles(gaitd);
    if (!gaitd_open_store(gaitd, error))
        return false;
    open_fleet(gaitd);
    return open_socket(gaitd, error) && announce(gaitd, error);
}

static void close_handles(struct loop *loop)
{
    if (!loop->has_handles)
        return;
    uv_close((uv_handle_t *)&loop->store_wake, NULL);
    uv_close((uv_handle_t *)&loop->reader_wake, NULL);
    uv_close((uv_handle_t *)&loop->terminate, NULL);
    uv_close((uv_handle_t *)&loop->interrupt, NULL);
}

/* Answers that are still due go out before their connections close. */
static void close_all(struct gaitd *gaitd)
{
    struct loop *loop = gaitd->loop;
    gaitd->is_stopping = gaitd->is_closing = true;
    if (gaitd->datasets)
        datasets_stop(gaitd->datasets);
    hooks_free(gaitd->hooks); /* before the store, which it tells */
    gaitd->hooks = NULL;
    reader_close(gaitd->upkeep);
    reader_close(gaitd->reader);
    keeper_stop(gaitd->keeper);
    if (gaitd->store)
        store_close(gaitd->store);
    keeper_free(gaitd->keeper);
    if (gaitd->server)
        server_stop(gaitd->server);
    listener_close(&loop->listener);
    fleet_free(gaitd->fleet);
    limits_free(gaitd->limits);
    retries_free(gaitd->retries);
    close_handles(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int result = uv_loop_close(&loop->uv);
    assert(result == 0);
    (void)result;
    datasets_free(gaitd->datasets);
    hub_free(gaitd->hub);
    devices_release(&gaitd->devices);
    gate_free(gaitd->gate);
    gate_free(gaitd->upkeep_gate);
    lock_release(&loop->run_lock);
    lock_release(&loop->lock);
}

int gaitd_run(const struct config *config)
{
    struct error error;
    struct loop loop = {.lock.descriptor = -1,
                        .run_lock.descriptor = -1,
                        .listener.descriptor = -1,
                        .listener.lock.descriptor = -1};
    struct gaitd gaitd = {.config = config, .loop = &loop};
    log_init(&gaitd.log, (enum log_level)log_level_find(config->log_level));
    if (uv_loop_init(&loop.uv) != 0) {
        log_write(&gaitd.log, LOG_error, "cannot make an event loop");
        return 1;
    }
    if (open_all(&gaitd, &error)) {
        uv_run(&loop.uv, UV_RUN_DEFAULT);
    } else {
        log_write(&gaitd.log, LOG_error, "%s", error.text);
        gaitd.has_failed = true;
    }
    close_all(&gaitd);
    if (!gaitd.has_failed)
        log_write(&gaitd.log, LOG_info, "stopped");
    return gaitd.has_failed;
}
