/* import.h: finds a data set's four files and reads them.
 *
 * The table in import.c lists the formats and the names files go by.  Folders
 * are tried in order, in each every format; where a format's training images
 * are, its other files must be too.
 */
#ifndef WORKER_IMPORT_H
#define WORKER_IMPORT_H

#include "schema/error.h"
#include "schema/paths.h"
#include "worker/array.h"

/* Where a data set is to be found, and where it is kept unpacked. */
struct dataset_place {
    const char *name;
    const char *cache; /* a folder */
    int folder_count;
    const char *const *folders;
};

/* Odd parts are labels. */
enum import_part {
    TRAIN_IMAGES,
    TRAIN_LABELS,
    TEST_IMAGES,
    TEST_LABELS,
    IMPORT_PARTS
};

struct import_file {
    char path[PATH_BYTES];
    int64_t bytes;
    double modified; /* seconds since 1970 */
};

struct import {
    struct array parts[IMPORT_PARTS];
    struct import_file files[IMPORT_PARTS];
};

/* Reads and checks all: ERROR_NOT_FOUND says what was looked for where and
 * where to get it, ERROR_CORRUPT which file is wrong and how.  The values are
 * the caller's to release, also after a failure.  Rows count from 0. */
bool import_read(struct import *import, const struct dataset_place *place,
                 struct error *error);
void import_release(struct import *import);

#endif
