/* A look: the rows, then the files (so that a file without a row may only be
 * too new), then what is out of step, then the budget.
 *
 * Files are removed before their rows: after a crash between the two the next
 * look finds the row.  Looks take at most a fifth of the time, however often
 * they are asked for.
 */
#include "daemon/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/config.h"
#include "daemon/holding.h"
#include "daemon/log.h"
#include "schema/memory.h"

enum { PAUSE = 4 }; /* times as long as the look before */
static const int64_t budget_most = (int64_t)20 << 30;

struct keeper {
    struct store *store;
    const struct config *config;
    const struct log *log;
    struct db *db; /* the thread's */
    pthread_t thread;

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    bool is_closing, is_due, is_looking;
    int64_t room;     /* bytes that may be written until the next look */
    bool is_over;     /* what is over the budget was in use */
    bool had_hidden;  /* has_hidden when the last look began: its rows may not
                       * have been committed by then */
    bool has_hidden;  /* checkpoints of verifications */
    bool has_adopted; /* the last look did: this one judges them */
};

/* What a look found and did. */
struct look {
    struct holding holding;
    int64_t budget;
    int removed, adopted;
    int64_t removed_bytes;
};

static bool is_closing(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->mutex);
    bool is_closing = keeper->is_closing;
    pthread_mutex_unlock(&keeper->mutex);
    return is_closing;
}

static bool folder_of(const struct keeper *keeper, char path[PATH_BYTES],
                      int64_t run, const char *key)
{
    char name[RUN_FOLDER_BYTES];
    struct error error;
    run_folder_print(name, run, key);
    return path_join(path, keeper->config->run_dir, name, &error);
}

/* Finding. */

/* The run of a folder, if the database has it; -1: not known. */
static int find_run(struct keeper *keeper, int64_t run, const char *key,
                    bool *is_idle_hidden)
{
    struct error error;
    struct statement *s = db_sql(
        keeper->db,
        "SELECT substr(key, 1, 12) = ?, replica < 0 AND NOT EXISTS (SELECT 1 "
        "FROM job j WHERE j.run_id = r.id AND j.state IN ('held', 'queued', "
        "'running')) FROM run r WHERE id = ?");
    bind_text(s, key);
    bind_integer(s, run);
    int found = 0;
    if (statement_next(s)) {
        found = (int)column_integer(s, 0);
        *is_idle_hidden = column_integer(s, 1);
    }
    return statement_finish(s, &error) ? found : -1;
}

/* A file that has no row.  Only a worker can tell that it is whole. */
static void adopt(struct keeper *keeper, struct look *look, struct held *held,
                  const char *folder)
{
    struct saved_checkpoint saved;
    if (held->file.kind != FILE_CHECKPOINT)
        return;
    held->use = USE_KEPT; /* to be judged by the next look */
    if (!run_file_read(folder, &held->file, &saved)) {
        held->use = USE_DAMAGED;
        return;
    }
    store_checkpoint_adopt(keeper->store, held->run, &saved);
    look->adopted++;
}

/* `*lock`: of the folder, -1 before it is needed. */
static void take_file(struct keeper *keeper, struct look *look,
                      struct held *held, const char *folder, int *lock)
{
    enum file_kind kind = held->file.kind;
    if (kind == FILE_LOCK || kind == FILE_OTHER) {
        held->use = USE_KEPT;
    } else if (!held->has_row && kind != FILE_DAMAGED) {
        if (*lock < 0 && (*lock = run_folder_lock(folder)) < 0)
            held->use = USE_KEPT; /* a worker is at it */
        else
            adopt(keeper, look, held, folder);
    }
}

static void take_files(struct keeper *keeper, struct look *look, int64_t run,
                       const char *key, const struct run_files *files,
                       bool is_useless)
{
    char folder[PATH_BYTES];
    bool is_empty = true;
    int lock = -1;
    if (!folder_of(keeper, folder, run, key))
        return;
    for (int i = 0; i < files->count; i++) {
        const struct run_file *file = &files->items[i];
        struct held *held = holding_add_file(&look->holding, run, key, file);
        bool is_lock = file->kind == FILE_LOCK;
        is_empty = is_empty && is_lock;
        if (is_useless && !is_lock)
            held->use = USE_NONE;
        else
            take_file(keeper, look, held, folder, &lock);
    }
    if (is_empty && lock < 0 && (lock = run_folder_lock(folder)) >= 0)
        run_folder_remove(folder);
    if (lock >= 0)
        run_folder_unlock(lock);
}

static void take_folder(struct keeper *keeper, struct look *look, int64_t run,
                        const char *key)
{
    struct run_files files;
    struct error error;
    char folder[PATH_BYTES];
    bool is_idle_hidden = false;
    int found = find_run(keeper, run, key, &is_idle_hidden);
    if (found < 0 || !folder_of(keeper, folder, run, key))
        return;
    if (run_files_list(&files, folder, &error))
        take_files(keeper, look, run, key, &files, !found || is_idle_hidden);
    else
        log_write(keeper->log, LOG_warning, "%s", error.text);
    run_files_release(&files);
}

static bool take_all(struct keeper *keeper, struct look *look,
                     struct error *error)
{
    const char *path = keeper->config->run_dir;
    DIR *directory = opendir(path);
    if (!directory)
        return error_set(error, ERROR_IO, "cannot read the folder \"%s\": %s",
                         path, strerror(errno));
    struct dirent *item;
    while ((item = readdir(directory)) && !is_closing(keeper)) {
        int64_t run;
        char key[RUN_KEY_BYTES];
        if (run_folder_parse(item->d_name, &run, key))
            take_folder(keeper, look, run, key);
    }
    closedir(directory);
    return true;
}

/* Rows whose file has gone; a worker that is at it says so by itself. */
static void forget_lost(struct keeper *keeper, const struct look *look)
{
    char folder[PATH_BYTES], path[PATH_BYTES];
    struct error error;
    for (int64_t i = 0; i < look->holding.count; i++) {
        const struct held *held = &look->holding.items[i];
        if (!held->has_file &&
            folder_of(keeper, folder, held->run, held->key) &&
            path_join(path, folder, held->file.name, &error) &&
            access(path, F_OK) != 0 && errno == ENOENT)
            store_checkpoint_forget(keeper->store, held->run, held->file.name);
    }
}

/* Removing. */

/* Files without a row are nobody's to keep. */
static bool may_go(struct keeper *keeper, const struct held *held)
{
    bool is_kept = false;
    struct error error;
    return !held->has_row ||
           (holding_is_kept(keeper->db, held->run, &is_kept, &error) &&
            !is_kept);
}

static void remove_one(struct keeper *keeper, struct look *look,
                       const struct held *held)
{
    char folder[PATH_BYTES], path[PATH_BYTES];
    struct error error;
    if (!folder_of(keeper, folder, held->run, held->key) ||
        !path_join(path, folder, held->file.name, &error))
        return;
    int lock = run_folder_lock(folder);
    if (lock < 0)
        return;
    if (may_go(keeper, held) && unlink(path) == 0) {
        look->removed++;
        look->removed_bytes += held->file.bytes;
        look->holding.bytes -= held->file.bytes;
        /* It may have got its row since the rows were read. */
        store_checkpoint_forget(keeper->store, held->run, held->file.name);
    }
    run_folder_remove(folder);
    run_folder_unlock(lock);
}

static void remove_some(struct keeper *keeper, struct look *look)
{
    struct holding *holding = &look->holding;
    holding_sort(holding);
    for (int64_t i = 0; i < holding->count && !is_closing(keeper); i++) {
        const struct held *held = &holding->items[i];
        if (held->use == USE_KEPT ||
            (held->use != USE_NONE && holding->bytes <= look->budget))
            break;
        if (held->has_file)
            remove_one(keeper, look, held);
    }
}

/* The option, or what the disk suggests. */
static int64_t budget(const struct keeper *keeper, int64_t used)
{
    struct statvfs status;
    if (keeper->config->checkpoint_budget >= 0)
        return keeper->config->checkpoint_budget;
    if (statvfs(keeper->config->run_dir, &status) != 0)
        return budget_most;
    int64_t bytes_free = (int64_t)status.f_bavail * (int64_t)status.f_frsize;
    int64_t most = (bytes_free + used) / 10;
    return most < budget_most ? most : budget_most;
}

static bool has_hidden(struct keeper *keeper, struct error *error)
{
    struct statement *s =
        db_sql(keeper->db, "SELECT 1 FROM checkpoint c JOIN run r ON "
                           "r.id = c.run_id WHERE r.replica < 0 LIMIT 1");
    bool has = statement_next(s);
    return statement_finish(s, error) && has;
}

static bool take_stock(struct keeper *keeper, struct look *look,
                       struct error *error)
{
    return holding_read(&look->holding, keeper->db, error) &&
           take_all(keeper, look, error);
}

static void note(struct keeper *keeper, const struct look *look)
{
    struct error error;
    bool hidden = has_hidden(keeper, &error);
    int64_t room = look->budget - look->holding.bytes;
    pthread_mutex_lock(&keeper->mutex);
    bool was_over = keeper->is_over;
    keeper->is_over = room < 0;
    keeper->has_hidden = keeper->has_hidden || hidden;
    keeper->room += room; /* what was written meanwhile is off already */
    keeper->is_due = keeper->is_due || (room >= 0 && keeper->room < 0) ||
                     (look->adopted > 0 && !keeper->has_adopted);
    keeper->has_adopted = look->adopted > 0;
    pthread_mutex_unlock(&keeper->mutex);
    if (look->removed)
        log_write(keeper->log, LOG_info,
                  "%d files of checkpoints removed, %lld bytes; %lld are left",
                  look->removed, (long long)look->removed_bytes,
                  (long long)look->holding.bytes);
    if (room < 0 && !was_over)
        log_write(keeper->log, LOG_warning,
                  "checkpoints take %lld bytes, more than their budget of "
                  "%lld, and are all kept or in use",
                  (long long)look->holding.bytes, (long long)look->budget);
}

static void do_look(struct keeper *keeper)
{
    struct look look = {.removed = 0};
    struct error error;
    if (take_stock(keeper, &look, &error)) {
        look.budget = budget(keeper, look.holding.bytes);
        forget_lost(keeper, &look);
        remove_some(keeper, &look);
        note(keeper, &look);
    } else {
        log_write(keeper->log, LOG_warning, "checkpoints stay as they are: %s",
                  error.text);
    }
    holding_release(&look.holding);
}

/* The thread. */

/* Until something is due, and `rest` is over. */
static bool wait_for_work(struct keeper *keeper, double rest)
{
    struct timespec until = {.tv_sec = (time_t)rest};
    until.tv_nsec = (long)((rest - (double)until.tv_sec) * 1e9);
    pthread_mutex_lock(&keeper->mutex);
    while (!keeper->is_closing && !keeper->is_due)
        pthread_cond_wait(&keeper->changed, &keeper->mutex);
    while (!keeper->is_closing && clock_monotonic() < rest)
        pthread_cond_timedwait(&keeper->changed, &keeper->mutex, &until);
    bool is_closing = keeper->is_closing;
    keeper->had_hidden = keeper->has_hidden;
    keeper->is_due = keeper->has_hidden = false;
    keeper->is_looking = true;
    keeper->room = 0;
    pthread_mutex_unlock(&keeper->mutex);
    return !is_closing;
}

static void *work(void *user)
{
    struct keeper *keeper = user;
    double rest = 0;
    while (wait_for_work(keeper, rest)) {
        double began = clock_monotonic();
        do_look(keeper);
        pthread_mutex_lock(&keeper->mutex);
        keeper->is_looking = false;
        pthread_mutex_unlock(&keeper->mutex);
        double ended = clock_monotonic();
        rest = ended + PAUSE * (ended - began);
    }
    return NULL;
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->mutex);
    free(keeper);
}

struct keeper *keeper_open(const char *database, struct store *store,
                           const struct config *config, const struct log *log,
                           struct error *error)
{
    struct keeper *keeper = xcalloc(1, sizeof *keeper);
    pthread_condattr_t monotonic;
    *keeper = (struct keeper){
        .store = store, .config = config, .log = log, .is_due = true};
    pthread_mutex_init(&keeper->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    keeper->db = db_open(database, DB_READ, error);
    int failure =
        keeper->db ? pthread_create(&keeper->thread, NULL, work, keeper) : 0;
    if (keeper->db && !failure)
        return keeper;
    db_close(keeper->db);
    if (failure)
        error_set(error, ERROR_IO, "no thread for the checkpoints: %s",
                  strerror(failure));
    keeper_free(keeper);
    return NULL;
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->mutex);
    keeper->is_closing = true;
    pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->mutex);
    pthread_join(keeper->thread, NULL);
    db_close(keeper->db); /* before the writer, which then tidies up */
    keeper->db = NULL;
}

/* Outside. */

static void call(struct keeper *keeper, bool is_due)
{
    if (is_due && !keeper->is_due) {
        keeper->is_due = true;
        pthread_cond_signal(&keeper->changed);
    }
    pthread_mutex_unlock(&keeper->mutex);
}

void keeper_saved(struct keeper *keeper, int64_t bytes, bool is_hidden)
{
    pthread_mutex_lock(&keeper->mutex);
    keeper->room -= bytes > 0 ? bytes : 0;
    keeper->has_hidden = keeper->has_hidden || is_hidden;
    call(keeper, bytes < 0 || (keeper->room < 0 && !keeper->is_looking));
}

void keeper_freed(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->mutex);
    call(keeper, keeper->has_hidden || keeper->had_hidden || keeper->is_over);
}

void keeper_look(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->mutex);
    call(keeper, true);
}
