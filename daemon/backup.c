#include "daemon/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/db.h"
#include "daemon/tables.h"
#include "schema/memory.h"
#include "schema/paths.h"

static bool fail(const char *verb, const char *file, struct error *error)
{
    return error_set(error, ERROR_IO, "cannot %s \"%s\": %s", verb, file,
                     strerror(errno));
}

/* By SQLite's header, in which the application is four bytes at 68. */
static bool is_ours(const char *file)
{
    unsigned char head[72];
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool is_read =
        fd >= 0 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head;
    if (fd >= 0)
        close(fd);
    return is_read && memcmp(head, "SQLite format 3", 16) == 0 &&
           (head[68] << 24 | head[69] << 16 | head[70] << 8 | head[71]) ==
               TABLES_APPLICATION;
}

static bool check_target(const struct db *db, const char *file, bool replaces,
                         struct error *error)
{
    struct stat found, used;
    if (file[0] != '/')
        return error_set(error, ERROR_PARAMS,
                         "\"file\" is \"%s\", expected an absolute path", file);
    if (lstat(file, &found) != 0)
        return errno == ENOENT || fail("look at", file, error);
    if (!replaces)
        return error_set(error, ERROR_CONFLICT,
                         "\"%s\" is there already; --force replaces an earlier "
                         "backup",
                         file);
    if (stat(db_path(db), &used) == 0 && used.st_ino == found.st_ino &&
        used.st_dev == found.st_dev)
        return error_set(error, ERROR_CONFLICT, "\"%s\" is the database itself",
                         file);
    return is_ours(file) ||
           error_set(error, ERROR_CONFLICT,
                     "\"%s\" is no database of gaitd, and is not replaced",
                     file);
}

static bool sync_path(const char *path, int64_t *bytes, struct error *error)
{
    struct stat status = {.st_size = 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0 && fstat(fd, &status) == 0;
    if (!is_synced)
        fail("sync", path, error);
    if (fd >= 0)
        close(fd);
    if (bytes)
        *bytes = (int64_t)status.st_size;
    return is_synced;
}

static bool sync_folder(const char *file, struct error *error)
{
    char *copy = xstrdup(file);
    bool is_synced = sync_path(dirname(copy), NULL, error);
    free(copy);
    return is_synced;
}

static bool copy(struct db *db, const char *made, struct error *error)
{
    struct statement *s = db_sql(db, "VACUUM INTO ?");
    bind_text(s, made);
    return statement_run(s, error) ||
           error_prefix(error, "cannot write the backup \"%s\"", made);
}

/* Somebody may have been faster; a link is made only where nothing is. */
static bool put_in_place(const char *made, const char *file, bool replaces,
                         struct error *error)
{
    if (replaces)
        return rename(made, file) == 0 || fail("rename to", file, error);
    if (link(made, file) == 0) {
        unlink(made);
        return true;
    }
    if (errno == EEXIST)
        return error_set(error, ERROR_CONFLICT, "\"%s\" is there already",
                         file);
    /* A file system without links. */
    return rename(made, file) == 0 || fail("rename to", file, error);
}

bool backup_write(struct db *db, const char *file, bool replaces,
                  int64_t *bytes, struct error *error)
{
    char made[PATH_BYTES];
    if (!check_target(db, file, replaces, error))
        return false;
    if (snprintf(made, sizeof made, "%s.XXXXXX", file) >= (int)sizeof made)
        return error_set(error, ERROR_PARAMS, "path \"%.100s...\" is too long",
                         file);
    int fd = mkstemp(made);
    if (fd < 0)
        return fail("make a file beside", file, error);
    close(fd);
    if (copy(db, made, error) && sync_path(made, bytes, error) &&
        put_in_place(made, file, replaces, error))
        return sync_folder(file, error);
    unlink(made);
    return false;
}
