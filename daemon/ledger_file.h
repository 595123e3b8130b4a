/* ledger_file.h: the ledger (ledger.h) as a file: lines, each with its hash.
 *
 *     base <commit>                   the database file alone holds all up to
 * it copying <commit>                pages up to it may have been copied there
 *     commit <commit> <entry> ...     what it changed
 *
 * The first is the file's first line.  A line that is not whole, as a power
 * cut may leave one, ends the file.
 */
#ifndef DAEMON_LEDGER_FILE_H
#define DAEMON_LEDGER_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"
#include "schema/paths.h"

enum { LEDGER_KIND_BYTES = 12, LEDGER_NAME_BYTES = 128 };

/* In the terms of the table `missing` (schema.sql). */
struct ledger_entry {
    int64_t commit;
    char kind[LEDGER_KIND_BYTES];
    char name[LEDGER_NAME_BYTES]; /* without white space; may be empty */
    int64_t item, first, last, count;
};

struct ledger_content {
    int64_t base;     /* -1: there is no ledger */
    int64_t copying;  /* as high as base, or higher */
    int64_t last;     /* commit; base when none is listed */
    int64_t bytes;    /* of whole lines */
    int64_t *commits; /* that are listed */
    int64_t commit_count, commit_room;
    struct ledger_entry *entries;
    int64_t entry_count, entry_room;
};

bool ledger_content_read(struct ledger_content *content, const char *path,
                         struct error *error);
void ledger_content_release(struct ledger_content *content);

struct ledger_file {
    int descriptor; /* -1: there is none */
    char path[PATH_BYTES];
    int64_t bytes;
};

/* Goes on with the file that was read, if there was one. */
bool ledger_file_open(struct ledger_file *file,
                      const struct ledger_content *content,
                      struct error *error);
/* Begins the file anew, with its base. */
bool ledger_file_renew(struct ledger_file *file, int64_t base);
/* Adds a line, to which the hash is added; one that finds no room leaves no
 * trace.  "kind:name:item:first:last:count" is an entry. */
bool ledger_file_add(struct ledger_file *file, const char *line);
void ledger_file_close(struct ledger_file *file);

#endif
