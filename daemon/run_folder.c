#include "daemon/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "schema/memory.h"

static const char suffix[] = ".safetensors";

void run_folder_print(char name[RUN_FOLDER_BYTES], int64_t run, const char *key)
{
    snprintf(name, RUN_FOLDER_BYTES, "%" PRId64 "-%.12s", run, key);
}

bool run_folder_parse(const char *name, int64_t *run, char key[RUN_KEY_BYTES])
{
    char *end, again[RUN_FOLDER_BYTES];
    errno = 0;
    *run = strtoll(name, &end, 10);
    if (errno || *end != '-' || strlen(end + 1) != RUN_KEY_BYTES - 1)
        return false;
    memcpy(key, end + 1, RUN_KEY_BYTES);
    run_folder_print(again, *run, key);
    return strcmp(again, name) == 0;
}

/* Files. */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Only names that a worker would write. */
static bool is_checkpoint(struct run_file *file)
{
    char *end, again[256];
    errno = 0;
    file->step = strtoll(file->name, &end, 10);
    if (errno || *end != '-')
        return false;
    file->attempt = strtoll(end + 1, &end, 10);
    snprintf(again, sizeof again, "%" PRId64 "-%" PRId64 "%s", file->step,
             file->attempt, suffix);
    return !errno && strcmp(again, file->name) == 0;
}

static enum file_kind kind_of(struct run_file *file)
{
    if (strcmp(file->name, "lock") == 0)
        return FILE_LOCK;
    if (ends_with(file->name, ".safetensors.damaged"))
        return FILE_DAMAGED;
    if (ends_with(file->name, ".safetensors.tmp"))
        return FILE_UNFINISHED;
    return is_checkpoint(file) ? FILE_CHECKPOINT : FILE_OTHER;
}

static void add(struct run_files *files, int folder, const char *name)
{
    struct stat status;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status.st_mode))
        return;
    files->items = xrealloc(files->items,
                            (size_t)(files->count + 1) * sizeof *files->items);
    struct run_file *file = &files->items[files->count++];
    *file = (struct run_file){.bytes = (int64_t)status.st_size};
    snprintf(file->name, sizeof file->name, "%s", name);
    file->kind = kind_of(file);
}

bool run_files_list(struct run_files *files, const char *folder,
                    struct error *error)
{
    *files = (struct run_files){0};
    DIR *directory = opendir(folder);
    if (!directory)
        return errno == ENOENT ||
               error_set(error, ERROR_IO, "cannot read the folder \"%s\": %s",
                         folder, strerror(errno));
    struct dirent *item;
    while ((item = readdir(directory)))
        add(files, dirfd(directory), item->d_name);
    closedir(directory);
    return true;
}

void run_files_release(struct run_files *files)
{
    free(files->items);
    *files = (struct run_files){0};
}

static const char begin[] = "{\"__metadata__\":{\"hash\":\"";
enum { LENGTH_BYTES = 8, HASH = 32 };

bool run_file_read(const char *folder, const struct run_file *file,
                   struct saved_checkpoint *saved)
{
    char path[PATH_BYTES], head[LENGTH_BYTES + sizeof begin - 1 + HASH];
    struct error error;
    int fd = path_join(path, folder, file->name, &error)
                 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
                 : -1;
    if (fd < 0)
        return false;
    bool is_whole = pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head;
    close(fd);
    *saved = (struct saved_checkpoint){
        .step = file->step, .attempt = file->attempt, .bytes = file->bytes};
    snprintf(saved->file, sizeof saved->file, "%.63s", file->name);
    if (!is_whole || memcmp(head + LENGTH_BYTES, begin, sizeof begin - 1) != 0)
        return false;
    memcpy(saved->hash, head + sizeof head - HASH, HASH);
    return strspn(saved->hash, "0123456789abcdef") == HASH;
}

/* Hashes the rest of the file. */
static bool add_rest(FILE *file, XXH3_state_t *state)
{
    enum { PIECE = 1 << 16 };
    char *piece = xmalloc(PIECE);
    size_t bytes;
    while ((bytes = fread(piece, 1, PIECE, file)) > 0)
        XXH3_128bits_update(state, piece, bytes);
    free(piece);
    return !ferror(file);
}

/* The file with zeros in place of its hash; `*known`: what stands there. */
static bool hash_file(FILE *file, char known[HASH + 1], char found[HASH + 1])
{
    char head[LENGTH_BYTES + sizeof begin - 1 + HASH];
    if (fread(head, 1, sizeof head, file) != sizeof head)
        return false;
    memcpy(known, head + sizeof head - HASH, HASH);
    known[HASH] = '\0';
    memset(head + sizeof head - HASH, '0', HASH);
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, head, sizeof head);
    bool is_read = add_rest(file, state);
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    for (size_t i = 0; i < sizeof bytes.digest; i++)
        snprintf(found + 2 * i, 3, "%02x", bytes.digest[i]);
    return is_read;
}

bool run_file_check(const char *folder, const struct saved_checkpoint *saved,
                    struct error *error)
{
    char path[PATH_BYTES], known[HASH + 1], found[HASH + 1];
    if (!path_join(path, folder, saved->file, error))
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                         "checkpoint \"%s\" cannot be read: %s", path,
                         strerror(errno));
    bool is_read = hash_file(file, known, found);
    fclose(file);
    if (!is_read)
        return error_set(error, ERROR_CORRUPT, "checkpoint \"%s\" is cut off",
                         path);
    if (strcmp(known, found) != 0)
        return error_set(error, ERROR_CORRUPT,
                         "checkpoint \"%s\": its bytes do not match its hash",
                         path);
    return strcmp(known, saved->hash) == 0 ||
           error_set(error, ERROR_CORRUPT,
                     "checkpoint \"%s\": its hash is %s, and gaitd knows %s",
                     path, known, saved->hash);
}

/* The folder as a whole. */

static bool is_same(int lock, const char *path)
{
    struct stat ours, found;
    return fstat(lock, &ours) == 0 && stat(path, &found) == 0 &&
           ours.st_dev == found.st_dev && ours.st_ino == found.st_ino;
}

int run_folder_lock(const char *folder)
{
    char path[PATH_BYTES];
    struct error error;
    int lock = path_join(path, folder, "lock", &error)
                   ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
                   : -1;
    if (lock >= 0 &&
        (flock(lock, LOCK_EX | LOCK_NB) != 0 || !is_same(lock, path))) {
        close(lock);
        lock = -1;
    }
    return lock;
}

void run_folder_unlock(int lock)
{
    close(lock);
}

void run_folder_remove(const char *folder)
{
    char path[PATH_BYTES];
    struct run_files files;
    struct error error;
    bool is_empty = run_files_list(&files, folder, &error);
    for (int i = 0; i < files.count; i++)
        is_empty = is_empty && files.items[i].kind == FILE_LOCK;
    run_files_release(&files);
    if (is_empty && path_join(path, folder, "lock", &error)) {
        unlink(path);
        rmdir(folder);
    }
}
