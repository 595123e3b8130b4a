/* gaitd.h: the daemon: what owns everything else, from start to exit.
 *
 *     clients ── server ── request ──┬── store  (writes; its own thread)
 *                            │       └── reader (questions; its threads)
 *                  hub, datasets
 *         keeper (run_dir; its own thread)
 *                            fleet ── process ── gait-worker, one per slot
 *
 * Everything here runs on the loop's thread, which waits for no disk, no
 * query and no worker.
 */
#ifndef DAEMON_GAITD_H
#define DAEMON_GAITD_H

#include "daemon/config.h"
#include "daemon/devices.h"
#include "daemon/log.h"
#include "daemon/store.h"

struct gate;

struct gaitd {
    const struct config *config;
    struct log log;
    struct loop *loop; /* gaitd.c's own: the libuv loop and its handles */
    char worker[PATH_BYTES];
    struct devices devices;
    struct store *store;
    struct gate *gate, *upkeep_gate; /* between the store and the readers */
    struct reader *reader;
    struct reader *upkeep; /* for fsck and backup, which take long */
    struct keeper *keeper;
    struct datasets *datasets;
    struct fleet *fleet;
    struct limits *limits;
    struct hooks *hooks;
    struct retries *retries;
    struct hub *hub;
    struct server *server;
    double started_at; /* seconds since 1970 */
    bool is_stopping;  /* nothing new is begun */
    bool is_closing;   /* store and readers have gone */
    bool has_failed;   /* the exit status will say so */
};

/* Runs until it is told to stop; the exit status of the program. */
int gaitd_run(const struct config *config);

/* Begins the end: no job is dispatched any more, workers checkpoint, and then
 * gaitd_run returns.  `reply` gets {"running": n} (NULL: nobody asked).  Not
 * to be called when is_stopping. */
void gaitd_stop(struct gaitd *gaitd, store_reply *reply, void *user);

/* loop_errand, on its loop. */
void gaitd_errand(struct gaitd *gaitd, void (*run)(void *user),
                  void (*done)(void *user), void *user);

/* Between gaitd's own files.  gaitd_store.c: opens store, keeper and reader. */
bool gaitd_open_store(struct gaitd *gaitd, struct error *error);
/* From any thread: what the store, a reader has for the loop is delivered. */
void gaitd_wake_store(void *user);
void gaitd_wake_reader(void *user);

#endif
