/* wish.h: the run that a job asks for.
 *
 * Equal keys are equal trainings, but only one device class gives the same
 * bits.  So a job gets a run of its key that has all its epochs, wherever they
 * were computed; else one of the class it would run on; else one that has not
 * begun; else one that began on a class that is gone (an upgraded library), for
 * which it waits, because rows of two classes are never mixed and what was
 * computed is not silently computed again; else a new one.  Of several
 * replicas the newest.  A fresh job gets the next replica.
 */
#ifndef DAEMON_WISH_H
#define DAEMON_WISH_H

#include "daemon/operation.h"
#include "schema/key.h"

struct wish {
    struct settings settings; /* canonical */
    const struct dataset_shape *shape;
    struct key key;
    struct demand demand;
    const struct place *places; /* where it may run, and others */
    int place_count;
    /* Of a fresh job: runs from this id on are of its own submission; 0: it is
     * not fresh. */
    int64_t fresh_from;
    char label[256]; /* of the settings as they take effect */
};

struct found_run {
    int64_t id;             /* 0: none, in a dry run */
    int64_t epochs_done;    /* -1: not even step 0 */
    int64_t diverged_epoch; /* INT64_MAX: it has not */
    char failure[1000];
    bool is_gone; /* its class has no slot here */
    char device_class[160];
};

/* `first_run`: the id that the submission's first new run gets. */
void wish_init(struct wish *wish, const struct submission *submission,
               int64_t position, int64_t first_run);

/* The run; a new one is stored, unless it is only a dry run. */
bool wish_grant(const struct wish *wish, struct store *store, bool dry_run,
                struct found_run *run, struct error *error);

#endif
