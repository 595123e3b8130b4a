/* sibling.h: earlier runs that differ from a new job's in one setting only.
 *
 * Whoever meant to add epochs to a run and gets a new one wants to know what
 * was different.  Said of the first few new jobs of a submission, and looked
 * for among the newest runs, so that it costs the same milliseconds however
 * large the sweep and the database are.
 */
#ifndef DAEMON_SIBLING_H
#define DAEMON_SIBLING_H

#include "daemon/operation.h"
#include "daemon/wish.h"

enum { SIBLINGS_MAX = 4 };

struct siblings {
    int count;
    struct {
        struct settings settings; /* canonical */
        char key[33], digest[33], label[256];
        /* The newest run that comes nearest: how many settings differ, and the
         * last of them; NULL: what is no setting. */
        int64_t run;
        int distance;
        const struct setting *setting;
        char value[SETTING_TEXT_BYTES]; /* its value in that run */
        const char *otherwise;          /* in the place of a setting */
    } job[SIBLINGS_MAX];
};

/* A job whose run is new; not to be called for fresh ones. */
void siblings_add(struct siblings *siblings, const struct wish *wish);

/* Adds a sentence to `notes` for each of them that has a sibling among the
 * runs before `first_run`; settings that the submission varies are passed over,
 * and so is a setting that was named once. */
bool siblings_note(struct siblings *siblings, struct store *store,
                   const struct submission *submission, int64_t first_run,
                   struct cJSON *notes, struct error *error);

#endif
