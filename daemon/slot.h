/* slot.h: room for one job at a time on a device, and the worker there.
 *
 * A worker is started when a job comes to a slot that has none, stays warm
 * between jobs, and goes when it is dismissed.  It must be of gaitd's own
 * build, and of the slot's device class.  An attempt ends when its last
 * message is on disk (slot_closed), or when its process has finished without
 * one.
 *
 * A worker that ends before it has said a good hello, or whose GPU fails, is
 * not the fault of a job: the slot is out of service, gets no jobs, and tries
 * again after 1, 5, 25, ... seconds, at most RETRY_S_MAX, until a worker is
 * met.
 *
 * What all slots share is in struct slot_setup; which slot gets what, and when
 * the pings go out, is the fleet's business.
 */
#ifndef DAEMON_SLOT_H
#define DAEMON_SLOT_H

#include <uv.h>

#include "daemon/attempt.h"
#include "daemon/device.h"
#include "daemon/pulse.h"

struct process;
struct slot;

/* Everything is borrowed and outlives the slots. */
struct slot_setup {
    struct uv_loop_s *loop;
    const struct log *log;
    const struct config *config;
    struct store *store;
    const char *worker; /* the program */
    void *progress_user;
    void (*on_progress)(void *user, int64_t sweep, int64_t job,
                        const struct cJSON *progress);
    void *user;
    /* A process was started, or has ended, or has become idle; or an attempt
     * was closed. */
    void (*on_change)(void *user, struct slot *slot);
    /* Its worker says that the device has failed. */
    void (*on_device_lost)(void *user, struct slot *slot, const char *why);
};

struct slot {
    const struct slot_setup *setup;
    int number;
    const struct device *device;
    struct place place; /* of the device */
    struct process *process;
    bool is_greeted; /* the process has said hello and may be given work */
    bool is_leaving; /* it was told to quit, or killed: no work for it */
    bool is_told;  /* to stop the attempt; otherwise, when it stops, it goes */
    bool is_going; /* once its attempt is closed */
    enum outcome verdict; /* of its attempt, if it ends by itself */
    pid_t pid;
    struct pulse pulse;
    struct attempt *attempt;
    uint64_t idle_since; /* uv_now */

    int failed_starts; /* in a row; 0: in service */
    int device_losses; /* since an attempt here ended well */
    char trouble[400]; /* why the last one failed */
    uv_timer_t again;
    bool is_ending; /* no process is started any more */
};

/* Opens it at the store.  `setup` and `device` are borrowed. */
void slot_init(struct slot *slot, const struct slot_setup *setup, int number,
               const struct device *device, const struct place *place);
/* Closes its timer; `on_closed` as of uv_close, with `data` as the handle's. */
void slot_close(struct slot *slot, void *data,
                void (*on_closed)(struct uv_handle_s *handle));

bool slot_is_idle(const struct slot *slot);
bool slot_has_attempt(const struct slot *slot, int64_t attempt);

/* The store's hooks. */
void slot_dispatch(struct slot *slot, const struct dispatch *dispatch);
void slot_committed(struct slot *slot, int64_t step);
void slot_closed(struct slot *slot);
void slot_refused(struct slot *slot, const struct error *error);

/* Has the attempt checkpoint and stop, or the worker be killed after
 * stop_grace_s. */
void slot_stop(struct slot *slot);
/* Tells a worker that has nothing to do to go. */
void slot_dismiss(struct slot *slot);
/* An interval has passed: a worker that is lost or stalled is killed, others
 * get a ping. */
void slot_ping(struct slot *slot, const struct pulse_limits *limits);
/* Its device has failed: it is out of service, its attempt goes back to the
 * queue, and a worker tries the device again after a while. */
void slot_lose_device(struct slot *slot, const char *why);
/* Starts no worker any more, and has the one there stop and go. */
void slot_end(struct slot *slot);
void slot_kill(struct slot *slot);
/* The store answers no more: the worker saves by itself. */
void slot_abandon(struct slot *slot);

/* As `slots` of status shows it, `busy` being the attempt to show or NULL; the
 * caller's. */
struct cJSON *slot_write(const struct slot *slot, const struct attempt *busy);

#endif
