/* holding.h: what run_dir holds, and what it is worth (keeper.h).
 *
 * Rows of the table of checkpoints and files in run_dir, brought together:
 * pure bookkeeping but for holding_read, which asks the database.
 */
#ifndef DAEMON_HOLDING_H
#define DAEMON_HOLDING_H

#include "daemon/db.h"
#include "daemon/run_folder.h"

/* In the order in which they are given up; the last one never is. */
enum usefulness {
    USE_NONE,    /* removed whatever the budget */
    USE_DAMAGED, /* set aside */
    USE_OLDER,   /* the run has a newer one */
    USE_OVER,    /* superseded, diverged, or nothing of it is done */
    USE_DONE,    /* could be extended */
    USE_OPEN,    /* a job waits for it, or runs */
    USE_KEPT,
};

/* A file, or the row of one. */
struct held {
    int64_t run;
    char key[RUN_KEY_BYTES];
    struct run_file file;
    enum usefulness use;
    double seconds; /* that it takes to compute again; 0: not known */
    bool has_row, has_file;
};

struct holding {
    struct held *items;
    int64_t count, capacity;
    int64_t row_count; /* the first ones, by run and name */
    int64_t bytes;     /* of the files */
};

/* All rows. */
bool holding_read(struct holding *holding, struct db *db, struct error *error);
/* A file of a run's folder: the row's, or one more of no use; returns it.
 * Valid until the next one is added. */
struct held *holding_add_file(struct holding *holding, int64_t run,
                              const char *key, const struct run_file *file);
/* Whether somebody has asked for the run's to be kept, as of now: what was read
 * may be older. */
bool holding_is_kept(struct db *db, int64_t run, bool *is_kept,
                     struct error *error);
/* Those to be given up first come first; rows are not found any more. */
void holding_sort(struct holding *holding);
void holding_release(struct holding *holding);

#endif
