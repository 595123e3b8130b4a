/* tally.h: what a submission came to, and the answer that says so. */
#ifndef DAEMON_TALLY_H
#define DAEMON_TALLY_H

#include "daemon/wish.h"
#include "schema/spec.h"
#include "schema/work.h"

struct tally {
    /* Jobs by what their runs have: nothing, some epochs, all of them, a
     * divergence in the way, a device class that is gone. */
    int64_t fresh, continued, done, failed, waiting;
    int64_t gone_run; /* one of the last kind, and its class */
    char gone_class[160];
};

void tally_add(struct tally *tally, const struct found_run *run,
               int64_t nb_epochs);
/* Sentences about it for the array `notes`. */
void tally_note(const struct tally *tally, const char *classes,
                struct cJSON *notes);

/* A sweep that is there. */
struct sweep_row {
    int64_t id, job_count, first_job, last_job, done, owner_uid;
    char name[SPEC_NAME_BYTES], owner[64];
    char *spec; /* the reader's to free */
    double submitted_at;
    bool is_complete, is_hidden;
};

/* The answer to `submit`; takes `notes`. */
struct cJSON *tally_write(const struct tally *tally,
                          const struct sweep_row *sweep, bool is_existing,
                          struct cJSON *notes);
/* Makes it one to a dry run, whose jobs come to `work`. */
void tally_write_dry(struct cJSON *result, const struct submission *s,
                     const struct work *work);

#endif
