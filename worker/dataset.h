/* dataset.h: a data set's bytes, unpacked once and shared by all workers.
 *
 * In the cache a data set is `<digest>.safetensors`: train.pixels and
 * test.pixels (U8, rows x width), train.labels and test.labels (U8, rows).  It
 * is mapped read-only, so a host holds the bytes once.  The digest is checked
 * when it is mapped; files are written beside and renamed, so that several
 * workers may do it at once, and need no sync, since what a power cut leaves
 * of one does not pass the check.
 *
 * The digest: XXH128 over train rows, test rows and width (64 bits each,
 * little-endian), train.pixels, train.labels, test.pixels, test.labels.  It
 * does not depend on how the files were packed.
 */
#ifndef WORKER_DATASET_H
#define WORKER_DATASET_H

#include "schema/error.h"
#include "schema/settings.h"
#include "worker/engine/trainer.h"
#include "worker/file.h"
#include "worker/import.h"

struct dataset {
    struct dataset_shape shape;
    struct data data; /* within the view */
    struct file_view view;
    char file[PATH_BYTES];
    uint64_t used_at; /* for shelves: the larger, the later */
};

/* Reads the data set from its folders, puts it into the cache unless it is
 * there, and maps it.  `files` says where it came from. */
bool dataset_prepare(struct dataset *dataset, const struct dataset_place *place,
                     struct import_file files[IMPORT_PARTS],
                     struct error *error);

/* Maps the data set of that digest from the cache, or prepares it.
 * ERROR_CONFLICT: the folders hold other data by now. */
bool dataset_open(struct dataset *dataset, const struct dataset_place *place,
                  const char *digest, struct error *error);
void dataset_close(struct dataset *dataset);

/* Data sets that stay mapped between jobs. */
enum { SHELF_DATASETS = 8 };
struct shelf {
    struct dataset datasets[SHELF_DATASETS];
    uint64_t uses;
};

/* As dataset_open; what was not used for longest makes room.  The result is
 * the shelf's, and stays until SHELF_DATASETS others have been asked for. */
const struct dataset *shelf_get(struct shelf *shelf,
                                const struct dataset_place *place,
                                const char *digest, struct error *error);
void shelf_release(struct shelf *shelf);

#endif
