/* operation.h: the inside of the store, shared by its store_*.c files.
 *
 * An operation is a struct that begins with `struct operation`: made on the
 * loop's thread, run on the store's thread inside a savepoint, freed there.
 * What it has to say goes through store->said, which is delivered after the
 * commit, or taken back when the operation or the commit fails.
 *
 * Memory mirrors the database in one thing only: which attempt has which
 * slots, and whose it is.  That is set back when a transaction fails.
 */
#ifndef DAEMON_OPERATION_H
#define DAEMON_OPERATION_H

#include <pthread.h>

#include "daemon/ballast.h"
#include "daemon/db.h"
#include "daemon/ledger.h"
#include "daemon/notice.h"
#include "daemon/store.h"

struct operation {
    struct operation *next;
    /* False with an error: nothing of it is kept.  `data` may be set for the
     * reply of a failure, `result` for that of a success. */
    bool (*run)(struct store *store, struct operation *operation,
                struct error *error);
    void (*release)(struct operation *operation); /* members; may be NULL */
    store_reply *reply; /* NULL: nobody waits for an answer */
    void *user;
    struct cJSON *result, *data;
    /* What a worker did cannot be refused: it is tried again until the disk
     * has room, and another failure is fatal. */
    bool is_kept;
    /* Of those: gaitd goes on without it.  When it fails by itself, not for
     * want of a disk, that is told and it is left until the next start. */
    bool is_spare;
    /* Set by `run` when it did a piece of its work (store_piece_is_over) and
     * has more to do: the piece is committed, and `run` is called again in a
     * later transaction, after what waits by then; only the last one is
     * answered.  When a later piece fails, those before it are there, and when
     * gaitd closes or crashes, there is no later piece. */
    bool is_unfinished;
    bool is_refused; /* it failed, alone */
    /* What `run` may leave to be done, in pieces, by nobody's wish, after its
     * own last commit; and after it failed.  The operation's until then. */
    struct operation *sequel, *remedy;
};

struct operations {
    struct operation *first;
    struct operation **end;
};

/* Whose job a slot has, while it has an attempt. */
struct job_of {
    int64_t owner, sweep;
    bool is_lowest; /* of the attempt's slots: here it is counted */
    int64_t gpu_bytes;
};

/* A GPU's memory, and leave to use it.  It is given for as long as jobs of ours
 * are on the GPU: before the next one it is asked for again. */
struct card {
    bool is_free;       /* of others: leave was given */
    bool is_asked;      /* the loop looks */
    bool is_refused;    /* when it was asked for last, or there was no room */
    int64_t room_bytes; /* for all jobs on it together */
};

struct slot {
    bool is_open;
    bool is_out; /* of service */
    struct place place;
    int64_t attempt; /* 0: free */
    struct job_of job_of;
    /* This transaction's notice of the attempt's rows; kept at its lowest
     * slot. */
    struct notice *committed;
    /* The last attempt here that had a row refused, and why: however it says
     * that it ended, it is nondeterministic. */
    int64_t refused;
    struct error refusal;
};

struct store {
    struct store_hooks hooks;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards the next four */
    struct operations waiting;
    struct notices ready;
    bool is_closing;
    bool is_gathering;      /* what waits is not to be taken yet */
    pthread_cond_t changed; /* something waits, or is_closing */

    /* The store's thread only. */
    struct db *db;
    struct ledger *ledger;
    char *lost; /* store_lost */
    struct ballast ballast;
    double ballast_tried;         /* to be renewed, monotonic */
    struct operations kept;       /* to be tried again */
    struct operations rest;       /* what there was no time for */
    struct operations unfinished; /* to be gone on with, one by one */
    struct operations urgent;     /* to be run before anything is dispatched */
    double piece_began;           /* monotonic, of the operation under way */
    struct reserved {
        int64_t sweep, job;
    } reserved;          /* the highest ids given out */
    int64_t watched_job; /* ids up to this one may be watched */
    struct notices said; /* in this transaction */
    struct moved {
        int64_t count[JOB_STATE_COUNT];
    } moved;        /* likewise: what job_total is to grow by */
    double now;     /* of this transaction, as stored */
    double retry_s; /* store_set_retry */
    int slot_count;
    struct slot *slots;             /* by number */
    int64_t *attempts;              /* of the slots, before this transaction */
    struct job_of *jobs_of;         /* likewise */
    struct card cards[DEVICES_MAX]; /* by the number of the device */
    struct user_limits limits;
    bool is_draining, is_broken;
    bool is_drained;   /* as stored: see store_drain.c */
    int restart_pages; /* length of the WAL at which it is to begin anew */
    bool is_stuck;     /* nothing can be stored at present */
};

/* Queues it; `bytes` is the size of the whole struct, zeroed. */
void *operation_new(size_t bytes,
                    bool (*run)(struct store *, struct operation *,
                                struct error *));
void store_push(struct store *store, struct operation *operation);

void operation_free(struct operation *operation); /* NULL is allowed */
void operations_init(struct operations *list);
void operations_free(struct operations *list); /* it is empty then */
void operations_add(struct operations *list, struct operation *operation);
/* Moves all of `more` to the end. */
void operations_join(struct operations *list, struct operations *more);

/* Names of the store's thread, as top -H shows them. */
#define STORE_IDLE "store"
#define STORE_COMMITTING "committing"

/* One transaction: every operation of the batch has been answered or kept, or
 * the store is broken; the batch is empty. */
void store_commit(struct store *store, struct operations *batch);
/* Is to be said by store_hand_over: the operation's result, or `error`. */
void store_answer(struct store *store, struct operation *operation,
                  const struct error *error);
/* What has been said is the loop's to deliver. */
void store_hand_over(struct store *store);
/* Nothing is stored any more. */
void store_break_down(struct store *store, const struct error *error);

/* Whether there is room for something new (ballast.h). */
bool store_disk_check(struct store *store, struct error *error);
/* Between transactions; false as db_checkpoint. */
bool store_disk_care(struct store *store, bool is_idle, struct error *error);
/* Copies all of the WAL that readers allow. */
bool store_disk_copy(struct store *store, struct error *error);

/* Whether the operation has had its time in this transaction: what follows
 * waits for the commit, so this is well below what a user notices. */
bool store_piece_is_over(const struct store *store);

/* A job as the store moves it; -1 where the run has no row yet. */
struct stored_job {
    int64_t id, sweep, position, run;
    int64_t nb_epochs, steps_per_epoch, epochs_done, step;
    int64_t attempts;
    int crashes;
    bool is_hidden; /* a verification */
    enum job_state state;
    char label[256];
};

/* False with ERROR_INTERNAL when there is none. */
bool store_job_load(struct store *store, int64_t id, struct stored_job *job,
                    struct error *error);
/* What job.h makes of `event` is stored and told; `reason` may be NULL. */
bool store_job_move(struct store *store, struct stored_job *job,
                    enum job_event event, const char *reason,
                    struct error *error);
/* Tells of the state that `job` came to. */
bool store_job_tell(struct store *store, const struct stored_job *job,
                    enum job_state from, const char *reason,
                    struct error *error);

/* job_count follows a job that came from another state, and job_total at the
 * end of the transaction, with store_count_write. */
bool store_count_move(struct store *store, const struct stored_job *job,
                      enum job_state from, struct error *error);
bool store_count_write(struct store *store, struct error *error);

/* Ends the queued jobs of a run that have their epochs or cannot get them,
 * and lets the next ones go when nothing trains the run.  To be called after
 * whatever changed a run or one of its jobs. */
bool store_run_wake(struct store *store, int64_t run, struct error *error);

/* The last part of it alone: makes queued jobs ready (store_job.c), unless an
 * attempt is under way. */
bool store_run_release(struct store *store, int64_t run, struct error *error);

/* Its jobs are not ready any more: one of them is being dispatched. */
bool store_run_take(struct store *store, int64_t run, struct error *error);

/* Sweeps go in in pieces: ids are reserved, which no other sweep gets while
 * gaitd runs; the sweep begins, incomplete; its jobs are inserted, queued and
 * not ready; then it is complete, and they become ready by themselves.  If the
 * operation fails in between, nothing of it stays. */
struct new_sweep {
    int64_t id, job_count;
    const char *name, *owner, *spec, *request_id;
    uid_t owner_uid;
    bool is_hidden;
    const struct controls *controls;
};
bool store_sweep_reserve(struct store *store, int64_t job_count, int64_t *sweep,
                         int64_t *first_job, struct error *error);
bool store_sweep_begin(struct store *store, const struct new_sweep *sweep,
                       struct operation *operation, struct error *error);
bool store_sweep_complete(struct store *store, int64_t sweep, const char *name,
                          struct operation *operation, struct error *error);
/* The jobs of a complete sweep that may go enter the queue. */
void store_sweep_settle(struct store *store, int64_t sweep);
/* *settling is to be run: it ends what the last gaitd had begun. */
bool store_sweep_recover(struct store *store, struct operation **settling,
                         struct error *error);

/* Of jobs j and their sweeps s: those that are in the queue or were. */
#define ENTERED "ifnull(j.position < s.entered, 1)"

struct faults;
/* Finds the sweep that a submission is to come after, and what it is called
 * from now on, or adds a fault. */
void store_after_find(struct store *store, struct submission *submission,
                      struct faults *faults);

/* Sweeps that wait for another (`after`).  store_sweep_wait: `sweep`, just
 * made, waits for `other` (0: none) unless that is over.  store_sweep_over:
 * whatever may have ended `sweep` has happened, and who waited for it is let go
 * if it has: when every job of it is done, or it is deleted.
 * store_sweep_release: lets `sweep` go whatever it waits for; *waited tells
 * whether it did.  store_after_recover: at start. */
bool store_sweep_wait(struct store *store, int64_t sweep, int64_t other,
                      bool *waits, struct error *error);
bool store_sweep_over(struct store *store, int64_t sweep, struct error *error);
bool store_sweep_release(struct store *store, int64_t sweep, bool *waited,
                         struct error *error);
bool store_after_recover(struct store *store, struct error *error);

/* Has a run that is about to go on know no more rows than there are. */
bool store_run_mend(struct store *store, int64_t run, struct error *error);

/* A line of the table `event`, of a kind of schema/event.h, which is a
 * constant; ids of 0 and NULL text are left out.  store_event_cost: with what
 * it cost, NaN: not known. */
bool store_event_add(struct store *store, const char *kind, int64_t sweep,
                     int64_t job, const char *text, struct error *error);
bool store_event_cost(struct store *store, const char *kind, int64_t sweep,
                      int64_t job, const char *text, double cost_s,
                      struct error *error);

/* Has `operation` run in this transaction, before anything is dispatched. */
void store_urge(struct store *store, struct operation *operation);

/* The sweep has finished, with so many jobs done, failed and cancelled: its
 * hook is to be run. */
bool store_hook_order(struct store *store, const char *name, int64_t sweep,
                      const int64_t counts[3], struct error *error);

/* What is left of cancelling the rest of sweeps with fail_fast. */
bool store_fail_fast_recover(struct store *store, struct error *error);

/* The next job of a complete sweep that is held or queued, from `*position` on
 * (which becomes its own) and then from the first: so none is missed, though
 * what was looked at may have been undone.  *job: 0 when there is none. */
bool store_sweep_waiting(struct store *store, int64_t sweep, int64_t *position,
                         int64_t *job, struct error *error);

/* A job has become final: what that means for its sweep. */
bool store_sweep_check(struct store *store, const struct stored_job *job,
                       struct error *error);

/* The job of an attempt that has not ended; 0: there is none. */
bool store_attempt_job(struct store *store, int64_t attempt, int64_t *job,
                       struct error *error);

/* An attempt goes on from `step`: the event of that, and of what was lost by
 * the attempt before it. */
bool store_attempt_resumed(struct store *store, int64_t attempt, int64_t step,
                           struct error *error);

/* The time limit of a job: the seconds it has left, NaN: no limit; and whether
 * it is over, with the reason for its failure. */
bool store_limit_load(struct store *store, int64_t job, double *seconds_left,
                      struct error *error);
/* The sweep has another one from now on: those of its jobs that run hear so. */
bool store_limit_changed(struct store *store, int64_t sweep,
                         struct error *error);
bool store_limit_check(struct store *store, const struct stored_job *job,
                       bool *is_over, struct error *reason,
                       struct error *error);

/* Reads whether the queue is drained; and the event when it has become quiet,
 * to be called after an attempt has ended. */
bool store_drain_load(struct store *store, struct error *error);
bool store_drain_check(struct store *store, struct error *error);

/* The layers of a row: stored beside it; and whether those of its step that
 * are stored are the same. */
bool store_diagnostics_add(struct store *store, int64_t run,
                           const struct history_row *row, struct error *error);
bool store_diagnostics_compare(struct store *store, int64_t run,
                               const struct history_row *row, bool *is_equal,
                               struct error *error);

enum {
    CRASHES_MAX = 3, /* in a row, without a new checkpoint: the job fails */
    RETRY_S_MAX = 300,
};

/* Lets a queued job wait, after `crashes` in a row of which `what` is the
 * last. */
bool store_job_wait(struct store *store, const struct stored_job *job,
                    const char *what, struct error *error);
/* The same after the last attempts found too little of a GPU's memory, which
 * others had taken. */
bool store_job_wait_for_memory(struct store *store,
                               const struct stored_job *job,
                               struct error *error);
/* The newest checkpoints of a dispatch's run, into it. */
bool store_checkpoints_load(struct store *store, struct dispatch *dispatch,
                            struct error *error);

/* The highest id there is, or was, also in a log that was damaged. */
#define STORE_LAST_SWEEP                                                       \
    "SELECT max(ifnull((SELECT max(id) FROM sweep), 0), "                      \
    "ifnull((SELECT max(last_sweep) FROM deletion), 0), "                      \
    "ifnull((SELECT max(item) FROM missing WHERE kind = 'sweep'), 0))"
#define STORE_LAST_JOB                                                         \
    "SELECT max(ifnull((SELECT max(id) FROM job), 0), "                        \
    "ifnull((SELECT max(last_job) FROM deletion), 0), "                        \
    "ifnull((SELECT max(last) FROM missing WHERE kind = 'sweep'), 0))"

/* A piece of the end of a sweep that is marked as deleted; `*is_done` when
 * nothing is left. */
bool store_removal_go_on(struct store *store, int64_t sweep, bool *is_done,
                         struct error *error);
/* ERROR_CONFLICT when the sweep that this request has made, or that this
 * request has deleted, is gone: what is done once is not done again. */
bool store_deletion_check(struct store *store, const char *request_id,
                          struct error *error);
/* ERROR_BUSY when so many more jobs that are not final would be too many for
 * the user. */
bool store_quota_check(struct store *store, uid_t uid, int64_t job_count,
                       struct error *error);

/* Attempts that nobody ended: gaitd was killed. */
bool store_recover(struct store *store, struct error *error);

/* The job that is to be given slots next. */
struct queue_head {
    int64_t job, run, sweep, owner;
    int64_t priority, turn; /* its rank: see store_queue.c */
    int busy;
    struct demand demand;
    char device_class[160]; /* "": not begun anywhere */
    char lane[LANE_BYTES + 160];
    bool is_failing; /* its sweep: it is about to be cancelled */
};
/* Of each lane that has a ready job the next one, in the order in which they
 * are to be served.  The heads are the caller's to free. */
bool store_queue_heads(struct store *store, struct queue_head **heads,
                       int *count, struct error *error);
/* The owner has had a turn. */
bool store_queue_served(struct store *store, int64_t owner, int64_t attempt,
                        struct error *error);

/* Gives the free slots their next jobs. */
bool store_dispatch(struct store *store, struct error *error);
/* Whether there are slots of a run's device class (with its threads), enough of
 * them for a job of so many threads. */
bool store_offers(const struct store *store, const char *device_class,
                  int threads);
/* A job that no slot here can take leaves the queue, until one can. */
bool store_set_aside(struct store *store, const struct queue_head *head,
                     struct error *error);
/* Brings back the jobs that were taken out of the queue because the place's
 * class had another number of slots than `count`. */
bool store_bring_back(struct store *store, const struct place *place, int count,
                      struct error *error);

/* The lowest slot of an attempt, or NULL. */
struct slot *store_slot_of(struct store *store, int64_t attempt);
void store_slots_free(struct store *store, int64_t attempt);
bool store_slot_is_free(const struct slot *slot);
/* Open slots of a class. */
int store_slots_count(const struct store *store, const char *device_class);

#endif
