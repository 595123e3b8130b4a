/* run_folder.h: what is in a run's folder below run_dir.
 *
 * `<run>-<begin of key>/` holds `lock` (a worker's while it touches the run),
 * `<step>-<attempt>.safetensors`, the same with `.damaged` (set aside by a
 * worker) or `.tmp` (being written, or left by one that was killed).  The key
 * is in the name so that a folder left by another database cannot be mistaken
 * for the run's.
 */
#ifndef DAEMON_RUN_FOLDER_H
#define DAEMON_RUN_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store.h"
#include "schema/paths.h"

enum { RUN_FOLDER_BYTES = 40, RUN_KEY_BYTES = 13 };

void run_folder_print(char name[RUN_FOLDER_BYTES], int64_t run,
                      const char *key);
/* False when it is no name of ours. */
bool run_folder_parse(const char *name, int64_t *run, char key[RUN_KEY_BYTES]);

enum file_kind {
    FILE_CHECKPOINT,
    FILE_DAMAGED,
    FILE_UNFINISHED,
    FILE_LOCK,
    FILE_OTHER,
};

struct run_file {
    char name[256];
    enum file_kind kind;
    int64_t bytes;
    int64_t step, attempt; /* of a checkpoint */
};

struct run_files {
    struct run_file *items;
    int count;
};

/* The caller's; a folder that is not there is empty. */
bool run_files_list(struct run_files *files, const char *folder,
                    struct error *error);
void run_files_release(struct run_files *files);

/* Locks a folder that no worker has: its descriptor, -1 when one has, or it
 * cannot be had. */
int run_folder_lock(const char *folder);
void run_folder_unlock(int lock);

/* Removes a locked folder, if it holds nothing but its lock. */
void run_folder_remove(const char *folder);

/* What a checkpoint says of itself, of which only its hash is read; false when
 * it is none. */
bool run_file_read(const char *folder, const struct run_file *file,
                   struct saved_checkpoint *saved);

/* Reads all of it: false when its bytes do not match its hash, or that is not
 * the one that is known. */
bool run_file_check(const char *folder, const struct saved_checkpoint *saved,
                    struct error *error);

#endif
