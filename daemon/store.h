/* store.h: the truth, and the only thread that changes it.
 *
 * One thread owns the only writing connection.  It takes every operation that
 * is waiting, runs them in one transaction with a savepoint each, gives the
 * free slots their next jobs in the same transaction, commits, and only then
 * hands the answers back (group commit): what has been answered is on disk.
 *
 * The calls below may be made from the loop's thread only; they never block.
 * When answers are ready the store calls `wake` on its own thread; the loop
 * then calls store_deliver, which runs the callbacks, in commit order, on the
 * loop's thread.  A failed operation leaves no trace and harms no other.
 *
 * After a COMMIT that failed with an I/O error nothing is known: the store
 * calls on_fatal and answers nothing more; a restart finds the truth.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/place.h"
#include "schema/control.h"
#include "schema/error.h"
#include "schema/job.h"
#include "schema/settings.h"

struct cJSON;
struct diagnostic;
struct gate;
struct spec;

enum { SLOTS_MAX = 1024, DEVICES_MAX = 128 };
enum { CHECKPOINTS_TOLD = 4 }; /* of a run, the newest */

/* A checkpoint of a run, as its worker reported it. */
struct saved_checkpoint {
    int64_t step, attempt, bytes;
    char file[64], hash[33];
};

/* A job for a slot: everything its `start` message needs. */
struct dispatch {
    int slot;
    uint64_t slots[SLOTS_MAX / 64]; /* a bit for each that it takes */
    int64_t attempt, job, sweep, run;
    char key[33];
    char dataset_digest[33];
    char label[256];
    int64_t nb_epochs; /* to train to */
    int64_t steps_per_epoch;
    int64_t step;        /* of the run's last committed row, -1 for none */
    int64_t gpu_bytes;   /* that it may take of a GPU */
    double seconds_left; /* of the job's time limit; NaN: it has none */
    int checkpoint_count;
    struct saved_checkpoint checkpoints[CHECKPOINTS_TOLD];
    struct settings settings;
};

static inline bool dispatch_takes(const struct dispatch *dispatch, int slot)
{
    return dispatch->slots[slot / 64] >> (slot % 64) & 1;
}

/* A job changed its state (also queued, when it is made). */
struct job_change {
    double at;
    int64_t job, sweep, position;
    enum job_state from, to;
    int64_t epoch, nb_epochs;   /* epoch -1: no row yet */
    double test_accuracy;       /* of the last row up to nb_epochs, or NaN */
    const char *label, *reason; /* borrowed; reason may be NULL */
};

/* A hook that is to be run: hooks.h. */
struct hook_order {
    int64_t id, sweep;
    int64_t done, failed, cancelled; /* jobs of the sweep */
    char name[CONTROL_TEXT_BYTES], sweep_name[CONTROL_TEXT_BYTES], owner[64];
};
enum { HOOK_TEXT_BYTES = 1000 };

/* On the loop's thread, from store_deliver. */
struct store_hooks {
    void *user;
    void (*on_dispatch)(void *user, const struct dispatch *dispatch);
    void (*on_change)(void *user, const struct job_change *change);
    /* Rows up to `step` are on disk. */
    void (*on_committed)(void *user, int64_t attempt, int64_t step);
    /* What ended the attempt is on disk; its slot may be in use again. */
    void (*on_closed)(void *user, int64_t attempt);
    /* Tell the attempt to checkpoint and stop: its job was cancelled. */
    void (*on_stop)(void *user, int64_t attempt);
    /* Its job has another time limit than when it began. */
    void (*on_limited)(void *user, int64_t attempt);
    /* A row did not fit what is stored; end the attempt with this outcome. */
    void (*on_refused)(void *user, int64_t attempt, const struct error *error);
    void (*on_hook)(void *user, const struct hook_order *order);
    /* The table of events has come to this id. */
    void (*on_event)(void *user, int64_t event, const char *kind);
    /* A job waits after a crash: have store_wait_over called in so many
     * seconds. */
    void (*on_wait)(void *user, int64_t job, double seconds);
    /* A job waits for a GPU that none of ours uses: look how it is, now or when
     * something may have changed, and call store_device_answer. */
    void (*on_wanted)(void *user, int device);
    /* Nothing can be stored at present (disk full, database locked), and why;
     * NULL: it can again.  Once each. */
    void (*on_stuck)(void *user, const struct error *error);
    /* What nobody waits for (the rest of a deletion, a sweep that goes in)
     * could not be done, and is left until the next start. */
    void (*on_left)(void *user, const struct error *error);
    void (*on_fatal)(void *user, const struct error *error);
    /* That readers of the database pass through; NULL: there are none. */
    struct gate *gate;
    /* On the store's thread: have store_deliver called soon. */
    void (*wake)(void *user);
    /* On the store's thread: run_dir has grown by a checkpoint, of a
     * verification (`is_hidden`) or not; bytes -1: one found no room.  May be
     * NULL. */
    void (*on_saved)(void *user, int64_t bytes, bool is_hidden);
};

struct store;

/* Opens or creates `path`, migrates it, recovers (jobs that were running are
 * queued again), starts the thread.  Refuses a database of a newer version. */
struct store *store_open(const char *path, const struct store_hooks *hooks,
                         struct error *error);
/* What a damaged write-ahead log has lost (ledger.h), as it was noticed when
 * the store was opened; NULL: nothing. */
const char *store_lost(const struct store *store);
/* Finishes what is waiting, stops the thread, closes.  Callbacks of what was
 * waiting are run. */
void store_close(struct store *store);
void store_deliver(struct store *store);
/* Operations that follow are taken together, once that is over; which must be
 * soon, since others' wait too. */
void store_gather(struct store *store, bool is_gathering);

/* The answer to an operation: `result` (the callee's) or NULL and `error`. */
typedef void store_reply(void *user, struct cJSON *result,
                         const struct error *error, struct cJSON *error_data);

struct caller {
    uid_t uid;
    char name[64];
    bool is_operator; /* rights.h */
};

/* A data set that a spec names, as it was found when it was submitted. */
struct dataset {
    char name[SETTING_TEXT_BYTES];
    struct dataset_shape shape;
};

/* Of one user's jobs: how many run at once, and are not final; 0: no limit. */
struct user_limits {
    int64_t max_running, max_queued;
};

/* What a `submit` stores.  Everything is taken, and freed by the store. */
struct submission {
    struct spec *spec;
    struct cJSON *spec_json; /* as submitted */
    struct controls controls;
    int64_t after_id; /* of controls.after, which the store finds; 0: none */
    char request_id[128];
    struct caller caller;
    int dataset_count;
    struct dataset *datasets;
    int place_count;
    struct place *places; /* what there is to run on */
    bool dry_run;
    bool fresh; /* new replicas of all runs, trained from nothing */
};
void submission_free(struct submission *submission);

/* The methods of protocol.md; `result` is theirs. */
void store_submit(struct store *store, struct submission *submission,
                  store_reply *reply, void *user);
/* Orders to jobs: X(name), which are methods too. */
#define ORDERS(X) X(hold) X(pause) X(release) X(cancel)
#define ORDER_ENUM(name) ORDER_##name,
enum order_name { ORDERS(ORDER_ENUM) ORDER_COUNT };
void store_order(struct store *store, enum order_name order, const char *target,
                 const struct caller *caller, store_reply *reply, void *user);
/* Chooses controls anew; the object, of control.h's members, is copied. */
void store_control(struct store *store, const char *target,
                   const struct cJSON *controls, const struct caller *caller,
                   store_reply *reply, void *user);
/* The same for every user.  Before slots open. */
void store_limit_users(struct store *store, const struct user_limits *limits);
/* Exempts a sweep's checkpoints from pruning, or (`undo`) no longer. */
void store_keep(struct store *store, const char *target, bool undo,
                const struct caller *caller, store_reply *reply, void *user);
/* Removes a sweep and what no other one uses. */
void store_delete(struct store *store, const char *target,
                  const char *request_id, const struct caller *caller,
                  store_reply *reply, void *user);
/* Goes on with deletions that a crash has cut short; `result` is
 * {"deletions": n}. */
void store_delete_rest(struct store *store, store_reply *reply, void *user);
/* Trains what the target's jobs have once more, hidden, and compares. */
void store_verify(struct store *store, const char *target,
                  const char *request_id, const struct caller *caller,
                  store_reply *reply, void *user);
/* Replied in commit order with the changes: those before the reply are in it,
 * those after it come as on_change.  `result` holds, beside what watch
 * promises but `running`, "sweep_id" or "first" and "last" to match by. */
void store_watch(struct store *store, const char *target,
                 const struct caller *caller, store_reply *reply, void *user);

/* A slot that wants jobs, from now on and after each attempt.  A job with
 * more than one thread takes as many slots of the CPU; `slot` is the lowest of
 * them. */
void store_slot_open_at(struct store *store, int slot,
                        const struct place *place);
/* One of the CPU. */
void store_slot_open(struct store *store, int slot, const char *device,
                     const char *device_class);
/* Sends what failed or was cancelled to the queue again; with a time limit for
 * the sweep from then on, unless it is -1. */
void store_retry(struct store *store, const char *target, int64_t time_limit,
                 const struct caller *caller, store_reply *reply, void *user);
/* No more dispatches until that is undone, over restarts too; of operators. */
void store_set_drained(struct store *store, bool is_drained,
                       const struct caller *caller, store_reply *reply,
                       void *user);
/* Has on_hook called for those that were not over when gaitd ended.  Once, at
 * the beginning. */
void store_hooks_resume(struct store *store);
/* It is over, and how. */
void store_hook_end(struct store *store, int64_t order, const char *text);
/* Remembers that a user has been told of what happened so far: of events up to
 * this one, of jobs that were final by then. */
void store_visit(struct store *store, uid_t uid, int64_t event,
                 double finished_at, store_reply *reply, void *user);
/* It is out of service until it is opened again: an event says why. */
void store_slot_close(struct store *store, int slot, const char *reason);

/* The answer to on_wanted: whether the GPU is free for jobs of ours, and the
 * bytes that they may take of it together. */
void store_device_answer(struct store *store, int device, bool is_free,
                         int64_t room_bytes);

/* How long a job waits after its first crash in a row, and five times as long
 * after the next; on_wait is called for those that wait already.  Once, at the
 * beginning; without it, it is a second. */
void store_set_retry(struct store *store, double seconds);
/* The wait of on_wait is over. */
void store_wait_over(struct store *store, int64_t job);

/* No more dispatches (shutdown).  Replied with {"running": n}. */
void store_drain(struct store *store, store_reply *reply, void *user);

/* How long it has been under way: it is stopped when its job has had its time.
 */
void store_attempt_took(struct store *store, int64_t attempt, double seconds);

/* One row of a run, as a worker sent it. */
struct history_row {
    int64_t step, epoch;
    double train_accuracy, train_loss, valid_accuracy, valid_loss;
    double test_accuracy, test_loss, seconds;
    char state_hash[33];
    int layer_count;                 /* 0 without diagnostics */
    const struct diagnostic *layers; /* borrowed: store_row copies them */
};
/* `step`: updates done, from a checkpoint. */
void store_attempt_started(struct store *store, int64_t attempt, pid_t pid,
                           int64_t step);
void store_row(struct store *store, int64_t attempt,
               const struct history_row *row);

/* A checkpoint is there, and those named in the array `removed` (copied) have
 * gone; one was damaged and set aside; one could not be written. */
void store_checkpoint(struct store *store, int64_t attempt,
                      const struct saved_checkpoint *saved,
                      const struct cJSON *removed);
void store_checkpoint_damaged(struct store *store, int64_t attempt,
                              const char *file, const char *text);
void store_checkpoint_missed(struct store *store, int64_t attempt,
                             const char *text);
/* From any thread: files that were found, and rows whose file has gone. */
void store_checkpoint_adopt(struct store *store, int64_t run,
                            const struct saved_checkpoint *found);
void store_checkpoint_forget(struct store *store, int64_t run,
                             const char *file);

/* What the worker said on stderr in it; before or after its end. */
void store_attempt_stderr(struct store *store, int64_t attempt,
                          const char *text);

/* Outcomes: X(name).  stopped and lost (gaitd's doing, or nobody's: its
 * worker could not start, or answered nothing) requeue at once; crashed and
 * stalled requeue after a wait, until three in a row without a new checkpoint;
 * crowded (others have the GPU's memory) requeues after one and is not counted;
 * the rest fail the job.  done without its committed row is a failure. */
#define OUTCOMES(X)                                                            \
    X(done)                                                                    \
    X(stopped)                                                                 \
    X(crowded)                                                                 \
    X(lost) X(crashed) X(stalled) X(diverged) X(failed) X(nondeterministic)
#define OUTCOME_ENUM(name) OUTCOME_##name,
enum outcome { OUTCOMES(OUTCOME_ENUM) OUTCOME_COUNT };

struct ending {
    enum outcome outcome;
    int64_t step;           /* updates done, as last heard; -1: not known */
    double seconds;         /* since its dispatch; NaN: not known */
    int64_t diverged_epoch; /* of OUTCOME_diverged */
    char state_hash[33];    /* of OUTCOME_done */
    char message[1000];
};
void store_attempt_end(struct store *store, int64_t attempt,
                       const struct ending *ending);

#endif
