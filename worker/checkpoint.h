/* checkpoint.h: all of a run's state at a step, in its folder.
 *
 * `<step>-<attempt>.safetensors`: the trainer's tensors under their names, and
 * metadata: format, key, attempt, step, evaluated_step, seconds, state_hash
 * and rows, beside the hash of the file (safetensors.h).  Written beside,
 * synced, renamed, the folder synced: a checkpoint is there whole or not at
 * all.  The caller holds the run's lock.
 */
#ifndef WORKER_CHECKPOINT_H
#define WORKER_CHECKPOINT_H

#include "schema/error.h"
#include "worker/engine/trainer.h"
#include "worker/hash.h"
#include "worker/rows.h"

struct cJSON;

enum {
    CHECKPOINT_NAME_BYTES = 64,
    CHECKPOINTS_KEPT = 2, /* the newest, and the one just written */
};

struct checkpoint {
    char key[HASH_HEX_BYTES]; /* of the run */
    int64_t attempt;          /* that wrote it */
    struct progress progress;
    /* Of the row at evaluated_step; "" before any. */
    char state_hash[HASH_HEX_BYTES];
    struct rows rows; /* not known to be committed */
    /* gaitd has said that the rows up to here are on disk, so those behind it,
     * up to evaluated_step, are in `rows`; -1: none. */
    int64_t committed_step;

    /* Set by checkpoint_save and checkpoint_find. */
    char file[CHECKPOINT_NAME_BYTES]; /* its name within the folder */
    int64_t bytes;
    char hash[HASH_HEX_BYTES];
};

/* What is looked for: the newest checkpoint of the run `key` that leads to
 * step `to_step`, being no further, or further with the row of `to_step` among
 * those it carries; and that leaves no gap behind `stored_step`, the last row
 * at gaitd (-1: none), whose database can be older than the folder. */
struct checkpoint_search {
    const char *folder, *key;
    int64_t to_step, stored_step;
    /* The hashes that gaitd has of files, {file: hash}; may be NULL. */
    const struct cJSON *hashes;
    void *user;
    /* A good file, or none of ours, is passed over. */
    void (*warn)(void *user, const char *text);
    /* A damaged one was set aside. */
    void (*on_damaged)(void *user, const char *file, const char *text);
};

/* Writes the file, drops all but the newest, whose names are added to the
 * array `removed`.  On failure nothing is left. */
bool checkpoint_save(struct checkpoint *checkpoint, const char *folder,
                     const struct tensor *tensors, int count,
                     struct cJSON *removed, struct error *error);

/* Fills `found` (to be released) and the tensors' values, which must be the
 * ones in the file by name, type and shape; false when there is none.  Files
 * that do not read well are renamed to *.damaged; values are touched by a
 * good one only.  What an interrupted writer left is removed. */
bool checkpoint_find(struct checkpoint *found,
                     const struct checkpoint_search *search,
                     const struct tensor *tensors, int count);

void checkpoint_release(struct checkpoint *checkpoint);

#endif
