/* file.h: the few things done to files that the standard library leaves out.
 */
#ifndef WORKER_FILE_H
#define WORKER_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "schema/error.h"

/* A whole file in memory, read-only. */
struct file_view {
    const uint8_t *bytes;
    size_t size;
};

/* Makes a folder of mode 0700, and the folders it is in; it may be there. */
bool file_make_folder(const char *path, struct error *error);

/* Makes what was renamed or removed in a folder durable. */
bool file_sync_folder(const char *path, struct error *error);

/* Writes all of it; `path` is for the error's text. */
bool file_write(int fd, const void *bytes, size_t size, const char *path,
                struct error *error);

/* Maps a file, shared by all who do.  ERROR_NOT_FOUND when there is none.
 * Nobody may shorten it meanwhile: files here are replaced, never changed. */
bool file_map(struct file_view *view, const char *path, struct error *error);
void file_unmap(struct file_view *view); /* may be empty */

#endif
