/* config.h: gaitd's own settings, written once.
 *
 * A row of the table is a member of the JSON file, a command-line flag
 * (--state-dir, or --state_dir) and a field of struct config.  Flags override
 * the file, which overrides the defaults.  The file may have // comments.
 *
 * Types: PATH   absolute; on the command line also relative
 *        WORD   one of `words`
 *        NAME   text without spaces, of at most 255 bytes
 *        COUNT  int64_t within bounds; -1 when nobody chose
 *        REAL   double within bounds
 *        LIST   of absolute paths; on the command line separated by ':'
 *        MAP    name to list of paths; on the command line as JSON
 *        CHOICE of devices (choice.h): a text or a list of them; on the
 *               command line separated by ','
 *        HOOKS  name to list of an absolute path and arguments; likewise
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "schema/error.h"
#include "schema/faults.h"
#include "schema/paths.h"

struct cJSON;

// clang-format off
#define OPTIONS(X)                                                                                 \
/*    name              type   initial   least  most   words                      help */          \
    X(config,           PATH,  "",       0,     0,     "",                                         \
      "file to read options from; default: $XDG_CONFIG_HOME/gaitd/gaitd.json, if there")           \
    X(state_dir,        PATH,  "",       0,     0,     "",                                         \
      "folder of the database, on a local disk; default: $XDG_STATE_HOME/gaitd")                   \
    X(socket,           PATH,  "",       0,     0,     "",                                         \
      "where clients connect; default: $GAITD_SOCKET, else $XDG_RUNTIME_DIR/gaitd.sock, else gaitd.sock in state_dir") \
    X(run_dir,          PATH,  "",       0,     0,     "",                                         \
      "folder of checkpoints, may be on a network; default: runs in state_dir")                    \
    X(cache_dir,        PATH,  "",       0,     0,     "",                                         \
      "folder of unpacked data sets; default: $XDG_CACHE_HOME/gaitd")                              \
    X(dataset_folders,  LIST,  "",       0,     0,     "",                                         \
      "folders to look for data sets in; default: $XDG_DATA_HOME/gaitd/datasets, /usr/local/share/datasets, /usr/share/datasets") \
    X(datasets,         MAP,   "",       0,     0,     "",                                         \
      "data sets beside MNIST, KMNIST and FMNIST: a name and its folders, absolute or within dataset_folders") \
    X(hooks,            HOOKS, "",       0,     0,     "",                                         \
      "programs to run when a sweep has finished, by the name that submit --on-finish gives: a list of a path and arguments, with {sweep}, {id}, {owner}, {done}, {failed}, {cancelled}") \
    X(cpu_slots,        COUNT, "",       0,     1024,  "",                                         \
      "trainings of one CPU thread at a time; default: physical cores within affinity and quota")  \
    X(devices,          CHOICE, "auto",  0,     0,     "",                                         \
      "what to run on: auto (all GPUs, or the CPU where there is none), or cpu, GPUs by index or UUID, MIG instances (0.1), each with :SLOTS, or ! to leave one out") \
    X(gpu_slots,        COUNT, "1",      1,     64,    "",                                         \
      "trainings at a time on a GPU that devices gives no slots")                                  \
    X(gpu_context_mib,  COUNT, "600",    0,     1e6,   "",                                         \
      "MiB of a GPU that each worker takes beside its job's")                                      \
    X(foreign,          WORD,  "leave",  0,     0,     "leave share",                              \
      "what to do with a GPU that other people's processes use")                                   \
    X(foreign_s,        REAL,  "5",      0.1,   3600,  "",                                         \
      "seconds between two looks at a GPU that a job waits for and others use")                    \
    X(device_lock_dir,  PATH,  "/tmp",   0,     0,     "",                                         \
      "folder of locks that keep two gaitd off one GPU; the same for all")                         \
    X(worker,           PATH,  "",       0,     0,     "",                                         \
      "worker program; default: gait-worker beside gaitd, in ../libexec/gaitd, or in $PATH")       \
    X(log_level,        WORD,  "info",   0,     0,     "error warning info debug",                 \
      "least important lines of the log on stderr")                                                \
    X(idle_release,     REAL,  "60",     0,     1e6,   "",                                         \
      "seconds after which a worker without work quits")                                           \
    X(stop_grace_s,     REAL,  "30",     0.1,   1e6,   "",                                         \
      "seconds a worker that was told to stop has for its checkpoint before it is killed")         \
    X(lease_s,          REAL,  "30",     0.5,   1e6,   "",                                         \
      "seconds without a word from gaitd after which a worker saves and quits; it pings three times as often, and kills one that answers nothing for twice as long") \
    X(stall_s,          REAL,  "60",     0.1,   1e6,   "",                                         \
      "seconds without a batch or evaluation chunk, or ten times what one takes, after which a worker is killed") \
    X(retry_s,          REAL,  "1",      0,     300,   "",                                         \
      "seconds a job waits after its worker crashed or stalled; five times as long after the next time") \
    X(checkpoint_every, REAL,  "60",     0,     1e6,   "",                                         \
      "seconds between two checkpoints of a running job; 0: only when it stops")                   \
    X(checkpoint_budget, COUNT, "",      0,     9e14,  "",                                         \
      "bytes that run_dir may hold; default: a tenth of its disk's free space, at most 20 GiB")    \
    X(query_threads,    COUNT, "4",      1,     64,    "",                                         \
      "threads that answer questions; one user gets at most half of them at a time")               \
    X(query_deadline_s, REAL,  "10",     0.01,  3600,  "",                                         \
      "seconds a question may take")                                                               \
    X(max_running_per_user, COUNT, "0",  0,     1e6,   "",                                         \
      "jobs of one user that may run at once; 0: any number")                                      \
    X(max_connections,  COUNT, "4096",   1,     1e5,   "",                                         \
      "clients at a time")                                                                         \
    X(max_connections_per_user, COUNT, "2048", 1, 1e5, "",                                         \
      "clients of one user at a time")                                                             \
    X(max_queued_per_user, COUNT, "5000000", 1,   1e12, "",                                        \
      "jobs of one user that are not final, above which no more are taken")                        \
    X(message_timeout_s, REAL, "300",    0.01,  1e6,   "",                                         \
      "seconds after which a client that does not go on with a message, or does not read, is dropped") \
    X(group,            NAME,  "",       0,     0,     "",                                         \
      "group whose members may connect, beside gaitd's owner and root; the socket is theirs, mode 0660") \
    X(operator_group,   NAME,  "",       0,     0,     "",                                         \
      "group whose members may connect and do what only operators may")                            \
    X(ready_fd,         COUNT, "",       0,     1e6,   "",                                         \
      "descriptor to write a newline to when clients can connect")
// clang-format on

enum { HOOK_ARGUMENTS_MAX = 64, OPTION_NAME_BYTES = 256 };

enum option_type {
    OPTION_PATH,
    OPTION_WORD,
    OPTION_NAME,
    OPTION_COUNT,
    OPTION_REAL,
    OPTION_LIST,
    OPTION_MAP,
    OPTION_CHOICE,
    OPTION_HOOKS,
};

#define OPTION_FIELD_PATH(name) char name[PATH_BYTES];
#define OPTION_FIELD_WORD(name) char name[16];
#define OPTION_FIELD_NAME(name) char name[OPTION_NAME_BYTES];
#define OPTION_FIELD_COUNT(name) int64_t name;
#define OPTION_FIELD_REAL(name) double name;
#define OPTION_FIELD_LIST(name) struct cJSON *name;
#define OPTION_FIELD_MAP(name) struct cJSON *name;
#define OPTION_FIELD_CHOICE(name) struct cJSON *name;
#define OPTION_FIELD_HOOKS(name) struct cJSON *name;
#define OPTION_FIELD(name, type, initial, least, most, words, help)            \
    OPTION_FIELD_##type(name)

struct config {
    OPTIONS(OPTION_FIELD)
    bool wants_help, wants_version, wants_fsck;
};

/* Reads flags and file.  False with every fault there is in `faults`; either
 * way the config is the caller's to release. */
bool config_init(struct config *config, int argc, char **argv,
                 struct faults *faults);
void config_release(struct config *config);

/* What the --help flag prints. */
void config_help(FILE *out);

#endif
