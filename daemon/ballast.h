/* ballast.h: room on the disk for what must not be refused.
 *
 * What workers report has to be stored when the disk is full, and a database
 * cannot even be opened then.  So some room is kept by a file that holds
 * nothing: it is given up when the disk is full, and made again when there is
 * room; and what can be refused is refused while less than the reserve is
 * free.  The reserve is 64 MiB, or a quarter of a disk smaller than four times
 * that; the file has a quarter of the reserve.
 */
#ifndef DAEMON_BALLAST_H
#define DAEMON_BALLAST_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"
#include "schema/paths.h"

struct ballast {
    char folder[PATH_BYTES], path[PATH_BYTES];
    bool is_there;
};

/* In the folder of `database`; makes the file when it is not there and there
 * is room. */
bool ballast_init(struct ballast *ballast, const char *database,
                  struct error *error);
/* Makes the file, if it is not there and more than the reserve is free. */
void ballast_renew(struct ballast *ballast);
/* Gives it up; false when it was not there. */
bool ballast_drop(struct ballast *ballast);
/* Whether more than the reserve is free, with what the database has to `spare`
 * (bytes); ERROR_IO says that it is not. */
bool ballast_check(const struct ballast *ballast, int64_t spare,
                   struct error *error);

#endif
