#include "worker/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/paths.h"

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool make_one(const char *path)
{
    return mkdir(path, 0700) == 0 || (errno == EEXIST && is_folder(path));
}

static bool make_all(char *path)
{
    if (make_one(path))
        return true;
    char *slash = errno == ENOENT ? strrchr(path, '/') : NULL;
    if (!slash || slash == path)
        return false;
    *slash = '\0';
    bool made = make_all(path);
    *slash = '/';
    return made && make_one(path);
}

bool file_make_folder(const char *path, struct error *error)
{
    char copy[PATH_BYTES];
    if (strlen(path) >= sizeof copy)
        return error_set(error, ERROR_IO, "path too long: \"%.80s...\"", path);
    memcpy(copy, path, strlen(path) + 1);
    if (make_all(copy))
        return true;
    return error_set(error, ERROR_IO, "cannot make the folder \"%s\": %s", path,
                     strerror(errno));
}

bool file_sync_folder(const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, ERROR_IO, "cannot open \"%s\": %s", path,
                         strerror(errno));
    bool synced = fsync(fd) == 0;
    if (!synced)
        error_set(error, ERROR_IO, "cannot sync \"%s\": %s", path,
                  strerror(errno));
    close(fd);
    return synced;
}

bool file_write(int fd, const void *bytes, size_t size, const char *path,
                struct error *error)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t count = write(fd, at, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set(error, ERROR_IO, "cannot write \"%s\": %s", path,
                             strerror(errno));
        at += count;
        size -= (size_t)count;
    }
    return true;
}

static bool map(struct file_view *view, int fd, const char *path,
                struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_set(error, ERROR_IO, "cannot read \"%s\": %s", path,
                         strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_CORRUPT, "\"%s\": not a file", path);
    if (status.st_size == 0)
        return error_set(error, ERROR_CORRUPT, "\"%s\": is empty", path);
    void *bytes =
        mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return error_set(error, ERROR_IO, "cannot map \"%s\": %s", path,
                         strerror(errno));
    *view = (struct file_view){bytes, (size_t)status.st_size};
    return true;
}

bool file_map(struct file_view *view, const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                         "cannot open \"%s\": %s", path, strerror(errno));
    bool mapped = map(view, fd, path, error);
    close(fd);
    return mapped;
}

void file_unmap(struct file_view *view)
{
    if (view->bytes)
        munmap((void *)view->bytes, view->size);
    *view = (struct file_view){0};
}
