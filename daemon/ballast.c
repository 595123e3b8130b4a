#include "daemon/ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MIB = 1 << 20, RESERVE_MIB = 64 };

struct room {
    int64_t free, reserve; /* bytes */
};

static bool measure(const struct ballast *ballast, struct room *room,
                    struct error *error)
{
    struct statvfs status;
    if (statvfs(ballast->folder, &status) != 0)
        return error_set(error, ERROR_IO, "folder \"%s\": %s", ballast->folder,
                         strerror(errno));
    int64_t total = (int64_t)status.f_blocks * (int64_t)status.f_frsize;
    room->free = (int64_t)status.f_bavail * (int64_t)status.f_frsize;
    room->reserve = (int64_t)RESERVE_MIB * MIB;
    if (room->reserve > total / 4)
        room->reserve = total / 4;
    return true;
}

bool ballast_init(struct ballast *ballast, const char *database,
                  struct error *error)
{
    const char *slash = strrchr(database, '/');
    snprintf(ballast->folder, sizeof ballast->folder, "%.*s",
             slash ? (int)(slash - database) : 1, slash ? database : ".");
    if (!path_join(ballast->path, ballast->folder, "ballast", error))
        return false;
    ballast->is_there = access(ballast->path, F_OK) == 0;
    ballast_renew(ballast);
    return true;
}

static bool fill(const char *path, int64_t bytes)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return false;
    bool is_full = posix_fallocate(file, 0, bytes) == 0;
    return close(file) == 0 && is_full;
}

void ballast_renew(struct ballast *ballast)
{
    struct error ignored; /* without room there is no ballast, until later */
    struct room room;
    if (ballast->is_there || !measure(ballast, &room, &ignored) ||
        room.free < room.reserve + room.reserve / 4)
        return;
    ballast->is_there = fill(ballast->path, room.reserve / 4);
    if (!ballast->is_there)
        unlink(ballast->path);
}

bool ballast_drop(struct ballast *ballast)
{
    bool was_there = ballast->is_there && unlink(ballast->path) == 0;
    ballast->is_there = false;
    return was_there;
}

bool ballast_check(const struct ballast *ballast, int64_t spare,
                   struct error *error)
{
    struct room room;
    if (!measure(ballast, &room, error))
        return false;
    room.free += spare;
    return room.free >= room.reserve ||
           error_set(error, ERROR_IO,
                     "the disk of \"%s\" has %.1f MiB free, and a new sweep "
                     "needs %.1f: what runs goes on; make room and ask again",
                     ballast->folder, (double)room.free / MIB,
                     (double)room.reserve / MIB);
}
