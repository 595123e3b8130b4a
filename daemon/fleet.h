/* fleet.h: the slots together (one: slot.h), and what comes at its time.
 *
 * Routes what the store says to the slot whose attempt it is about, pings all
 * workers, and dismisses those that have been idle for idle_release.  There
 * are timers only while there are workers, or slots out of service.
 */
#ifndef DAEMON_FLEET_H
#define DAEMON_FLEET_H

#include "daemon/devices.h"
#include "daemon/store.h"

struct cJSON;
struct config;
struct fleet;
struct log;
struct uv_loop_s;

/* Everything is borrowed and outlives the fleet. */
struct fleet_setup {
    struct uv_loop_s *loop;
    const struct log *log;
    const struct config *config;
    struct store *store;
    const char *worker;      /* the program */
    struct devices *devices; /* which it keeps up to date */
    void *user;
    void (*on_progress)(void *user, int64_t sweep, int64_t job,
                        const struct cJSON *progress);
    /* After fleet_stop: every attempt is closed, every process has ended. */
    void (*on_quiet)(void *user);
};

/* Opens its slots at the store. */
struct fleet *fleet_new(const struct fleet_setup *setup);
/* When it is quiet, or has never begun.  Closes its handles. */
void fleet_free(struct fleet *fleet);

/* The store's hooks, routed. */
void fleet_dispatch(struct fleet *fleet, const struct dispatch *dispatch);
void fleet_committed(struct fleet *fleet, int64_t attempt, int64_t step);
void fleet_closed(struct fleet *fleet, int64_t attempt);
void fleet_stop_attempt(struct fleet *fleet, int64_t attempt);
void fleet_refused(struct fleet *fleet, int64_t attempt,
                   const struct error *error);

void fleet_wanted(struct fleet *fleet, int device);

/* Has all workers checkpoint and quit; those that take longer than
 * stop_grace_s are killed.  fleet_kill does not wait for them. */
void fleet_stop(struct fleet *fleet);
void fleet_kill(struct fleet *fleet);
/* The store answers no more: workers save by themselves, attempts stay as
 * they are on disk.  on_quiet follows. */
void fleet_abandon(struct fleet *fleet);

int fleet_slot_count(const struct fleet *fleet);
/* Where jobs can run: an array, the caller's to free.  Without any slots it is
 * the CPU, for which jobs then wait. */
struct place *fleet_places(const struct fleet *fleet, int *count);
/* The same as questions carry them, each with what is left of it. */
struct cJSON *fleet_write_places(const struct fleet *fleet);
/* Looks at all GPUs, then calls `on_done`, when fleet_devices gives what the
 * method `devices` answers (the caller's). */
void fleet_look(struct fleet *fleet, void (*on_done)(void *user), void *user);
struct cJSON *fleet_devices(const struct fleet *fleet);
/* `slots` of status; `running` of watch, of the jobs that `is_wanted`.  The
 * caller's. */
struct cJSON *fleet_slots(const struct fleet *fleet);
struct cJSON *fleet_running(const struct fleet *fleet,
                            bool (*is_wanted)(const void *user, int64_t sweep,
                                              int64_t job),
                            const void *user);

#endif
