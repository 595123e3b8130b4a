#include "worker/checkpoint.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/memory.h"
#include "schema/message.h"
#include "schema/paths.h"
#include "worker/file.h"
#include "worker/safetensors.h"

static const char format_name[] = "gaitd-checkpoint-1";
static const char suffix[] = ".safetensors";
static const char unfinished[] = ".tmp";

/* --- the folder ------------------------------------------------------------
 */

struct entry {
    char name[CHECKPOINT_NAME_BYTES];
    int64_t step, attempt;
};

struct listing {
    struct entry *entries; /* the newest first */
    int count;
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void print_name(char name[CHECKPOINT_NAME_BYTES], int64_t step,
                       int64_t attempt)
{
    snprintf(name, CHECKPOINT_NAME_BYTES, "%" PRId64 "-%" PRId64 "%s", step,
             attempt, suffix);
}

/* Only names that we would write ourselves. */
static bool parse_name(const char *name, struct entry *entry)
{
    char *end;
    errno = 0;
    entry->step = strtoll(name, &end, 10);
    if (errno || *end != '-')
        return false;
    entry->attempt = strtoll(end + 1, &end, 10);
    print_name(entry->name, entry->step, entry->attempt);
    return !errno && entry->step >= 0 && entry->attempt >= 0 &&
           strcmp(entry->name, name) == 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->step != y->step)
        return x->step < y->step ? 1 : -1;
    return (x->attempt < y->attempt) - (x->attempt > y->attempt);
}

static bool list(struct listing *listing, const char *folder, bool is_sweeping,
                 struct error *error)
{
    *listing = (struct listing){0};
    DIR *directory = opendir(folder);
    if (!directory)
        return error_set(error, ERROR_IO, "cannot read the folder \"%s\": %s",
                         folder, strerror(errno));
    struct dirent *item;
    while ((item = readdir(directory))) {
        struct entry entry;
        if (is_sweeping && ends_with(item->d_name, unfinished))
            unlinkat(dirfd(directory), item->d_name, 0);
        if (!parse_name(item->d_name, &entry))
            continue;
        listing->entries =
            xrealloc(listing->entries,
                     (size_t)(listing->count + 1) * sizeof *listing->entries);
        listing->entries[listing->count++] = entry;
    }
    closedir(directory);
    if (listing->count)
        qsort(listing->entries, (size_t)listing->count,
              sizeof *listing->entries, newest_first);
    return true;
}

static void prune(const char *folder, const char *just_written, cJSON *removed)
{
    struct listing listing;
    struct error error;
    char path[PATH_BYTES];
    if (!list(&listing, folder, false, &error))
        return; /* it was saved all the same */
    for (int i = CHECKPOINTS_KEPT; i < listing.count; i++) {
        const char *name = listing.entries[i].name;
        if (strcmp(name, just_written) != 0 &&
            path_join(path, folder, name, &error) && unlink(path) == 0)
            cJSON_AddItemToArray(removed, cJSON_CreateString(name));
    }
    free(listing.entries);
}

/* --- writing ---------------------------------------------------------------
 */

static void add_integer(cJSON *metadata, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    cJSON_AddStringToObject(metadata, name, text);
}

static cJSON *write_metadata(const struct checkpoint *checkpoint)
{
    cJSON *metadata = cJSON_CreateObject();
    char seconds[32];
    char *rows = rows_print(&checkpoint->rows);
    snprintf(seconds, sizeof seconds, "%.17g", checkpoint->progress.seconds);
    cJSON_AddStringToObject(metadata, "format", format_name);
    cJSON_AddStringToObject(metadata, "key", checkpoint->key);
    add_integer(metadata, "attempt", checkpoint->attempt);
    add_integer(metadata, "step", checkpoint->progress.step);
    add_integer(metadata, "evaluated_step",
                checkpoint->progress.evaluated_step);
    add_integer(metadata, "committed_step", checkpoint->committed_step);
    cJSON_AddStringToObject(metadata, "seconds", seconds);
    cJSON_AddStringToObject(metadata, "state_hash", checkpoint->state_hash);
    cJSON_AddStringToObject(metadata, "rows", rows);
    free(rows);
    return metadata;
}

static struct safetensor as_safetensor(const struct tensor *tensor)
{
    return (struct safetensor){
        .name = tensor->name,
        .dtype = tensor->dtype,
        .dimensions = tensor->shape[1] ? 2 : 1,
        .shape = {tensor->shape[0], tensor->shape[1]},
        .values = tensor->values,
        .bytes = tensor->bytes,
    };
}

static bool write_tensors(struct checkpoint *checkpoint, int fd,
                          const char *path, const struct tensor *tensors,
                          int count, struct error *error)
{
    struct safetensor *list = xcalloc((size_t)count, sizeof *list);
    for (int i = 0; i < count; i++)
        list[i] = as_safetensor(&tensors[i]);
    cJSON *metadata = write_metadata(checkpoint);
    bool is_written =
        safetensors_write(fd, path, metadata, list, count, checkpoint->hash,
                          &checkpoint->bytes, error);
    cJSON_Delete(metadata);
    free(list);
    return is_written;
}

static bool write_file(struct checkpoint *checkpoint, const char *path,
                       const struct tensor *tensors, int count,
                       struct error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, ERROR_IO, "cannot write \"%s\": %s", path,
                         strerror(errno));
    bool is_written =
        write_tensors(checkpoint, fd, path, tensors, count, error);
    if (is_written && fsync(fd) != 0)
        is_written = error_set(error, ERROR_IO, "cannot write \"%s\": %s", path,
                               strerror(errno));
    if (close(fd) != 0 && is_written)
        is_written = error_set(error, ERROR_IO, "cannot write \"%s\": %s", path,
                               strerror(errno));
    return is_written;
}

bool checkpoint_save(struct checkpoint *checkpoint, const char *folder,
                     const struct tensor *tensors, int count,
                     struct cJSON *removed, struct error *error)
{
    char path[PATH_BYTES], beside[PATH_BYTES];
    char name[CHECKPOINT_NAME_BYTES + sizeof unfinished];
    print_name(checkpoint->file, checkpoint->progress.step,
               checkpoint->attempt);
    snprintf(name, sizeof name, "%s%s", checkpoint->file, unfinished);
    if (!path_join(path, folder, checkpoint->file, error) ||
        !path_join(beside, folder, name, error))
        return false;
    bool is_saved = write_file(checkpoint, beside, tensors, count, error);
    if (is_saved && rename(beside, path) != 0)
        is_saved = error_set(error, ERROR_IO, "cannot rename \"%s\": %s",
                             beside, strerror(errno));
    if (!is_saved) {
        unlink(beside);
        return false;
    }
    if (!file_sync_folder(folder, error))
        return false;
    prune(folder, checkpoint->file, removed);
    return true;
}

/* --- reading ---------------------------------------------------------------
 */

static bool get_integer(const struct safetensors *file, const char *name,
                        int64_t *value, struct error *error)
{
    const char *text = safetensors_text(file, name);
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return (*text && !*end && !errno) ||
           error_set(error, ERROR_CORRUPT, "metadata \"%s\" is not a number",
                     name);
}

static bool get_hex(const struct safetensors *file, const char *name,
                    char hex[HASH_HEX_BYTES], struct error *error)
{
    const char *text = safetensors_text(file, name);
    if (strlen(text) >= HASH_HEX_BYTES)
        return error_set(error, ERROR_CORRUPT, "metadata \"%s\" is too long",
                         name);
    memcpy(hex, text, strlen(text) + 1);
    return true;
}

static bool read_metadata(const struct safetensors *file,
                          struct checkpoint *checkpoint, struct error *error)
{
    struct progress *progress = &checkpoint->progress;
    const char *seconds = safetensors_text(file, "seconds");
    char *end;
    if (strcmp(safetensors_text(file, "format"), format_name) != 0)
        return error_set(error, ERROR_CORRUPT, "format \"%.40s\", expected %s",
                         safetensors_text(file, "format"), format_name);
    progress->seconds = strtod(seconds, &end);
    if (!*seconds || *end)
        return error_set(error, ERROR_CORRUPT,
                         "metadata \"seconds\" is not a number");
    return get_hex(file, "key", checkpoint->key, error) &&
           get_hex(file, "state_hash", checkpoint->state_hash, error) &&
           get_integer(file, "attempt", &checkpoint->attempt, error) &&
           get_integer(file, "step", &progress->step, error) &&
           get_integer(file, "evaluated_step", &progress->evaluated_step,
                       error) &&
           get_integer(file, "committed_step", &checkpoint->committed_step,
                       error) &&
           rows_init(&checkpoint->rows, safetensors_text(file, "rows"), error);
}

static bool is_same(const struct safetensor *a, const struct safetensor *b)
{
    return strcmp(a->dtype, b->dtype) == 0 && a->dimensions == b->dimensions &&
           a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1] &&
           a->bytes == b->bytes;
}

/* Checked to the last before the first is copied. */
static bool copy_tensors(const struct safetensors *file,
                         const struct tensor *tensors, int count,
                         struct error *error)
{
    for (int i = 0; i < count; i++) {
        struct safetensor wanted = as_safetensor(&tensors[i]);
        const struct safetensor *there =
            safetensors_find(file, tensors[i].name);
        if (!there || !is_same(there, &wanted))
            return error_set(error, ERROR_CORRUPT,
                             "no tensor \"%s\" of the run's type and shape",
                             tensors[i].name);
    }
    if (file->count != count)
        return error_set(error, ERROR_CORRUPT, "%d tensors, expected %d",
                         file->count, count);
    for (int i = 0; i < count; i++)
        memcpy(tensors[i].values,
               safetensors_find(file, tensors[i].name)->values,
               tensors[i].bytes);
    return true;
}

enum verdict { IS_GOOD, IS_UNFIT, IS_DAMAGED };

/* A good file that this search cannot use is left alone. */
static bool is_fit(const struct checkpoint *found,
                   const struct checkpoint_search *search, struct error *error)
{
    if (strcmp(found->key, search->key) != 0)
        return error_set(error, ERROR_CONFLICT,
                         "it belongs to the run with key %s, expected %s",
                         found->key, search->key);
    if (found->committed_step > search->stored_step)
        return error_set(error, ERROR_CONFLICT,
                         "it carries the rows behind step %" PRId64
                         ", but gaitd has them only up to %" PRId64,
                         found->committed_step, search->stored_step);
    return found->progress.step <= search->to_step ||
           rows_find(&found->rows, search->to_step) ||
           error_set(error, ERROR_CONFLICT,
                     "it is ahead of step %" PRId64
                     " and does not carry its row",
                     search->to_step);
}

/* What is in the file is what its name, and gaitd, say of it. */
static bool is_itself(const struct checkpoint *found,
                      const struct checkpoint_search *search,
                      struct error *error)
{
    char name[CHECKPOINT_NAME_BYTES];
    const char *known = json_text_or(search->hashes, found->file, found->hash);
    print_name(name, found->progress.step, found->attempt);
    if (strcmp(name, found->file) != 0)
        return error_set(error, ERROR_CORRUPT, "it was written as \"%s\"",
                         name);
    return strcmp(known, found->hash) == 0 ||
           error_set(error, ERROR_CORRUPT, "its hash is %s, gaitd knows %.40s",
                     found->hash, known);
}

static enum verdict judge(struct checkpoint *found,
                          const struct checkpoint_search *search,
                          const struct file_view *view,
                          const struct tensor *tensors, int count,
                          struct error *error)
{
    struct safetensors file;
    if (!safetensors_check(view->bytes, view->size, found->hash, error) ||
        !safetensors_init(&file, view->bytes, view->size, error))
        return IS_DAMAGED;
    enum verdict verdict = IS_DAMAGED;
    if (read_metadata(&file, found, error) && is_itself(found, search, error)) {
        if (!is_fit(found, search, error))
            verdict = IS_UNFIT;
        else if (copy_tensors(&file, tensors, count, error))
            verdict = IS_GOOD;
    }
    safetensors_release(&file);
    return verdict;
}

static enum verdict load(struct checkpoint *found,
                         const struct checkpoint_search *search,
                         const char *path, const struct tensor *tensors,
                         int count, struct error *error)
{
    struct file_view view;
    if (!file_map(&view, path, error))
        return error->code == ERROR_NOT_FOUND ? IS_UNFIT : IS_DAMAGED;
    found->bytes = (int64_t)view.size;
    enum verdict verdict = judge(found, search, &view, tensors, count, error);
    file_unmap(&view);
    return verdict;
}

static void put_aside(const struct checkpoint_search *search, const char *path,
                      const char *name, struct error *error)
{
    char aside[PATH_BYTES + 16];
    snprintf(aside, sizeof aside, "%s.damaged", path);
    bool is_renamed = rename(path, aside) == 0;
    error_prefix(error, "checkpoint \"%s\" is damaged and %s", path,
                 is_renamed ? "renamed to *.damaged" : "cannot be renamed");
    search->on_damaged(search->user, name, error->text);
}

static void pass_over(const struct checkpoint_search *search, const char *path,
                      struct error *error)
{
    error_prefix(error, "checkpoint \"%s\" is not used", path);
    search->warn(search->user, error->text);
}

bool checkpoint_find(struct checkpoint *found,
                     const struct checkpoint_search *search,
                     const struct tensor *tensors, int count)
{
    struct listing listing;
    struct error error;
    char path[PATH_BYTES];
    enum verdict verdict = IS_UNFIT;
    if (!list(&listing, search->folder, true, &error)) {
        search->warn(search->user, error.text);
        return false;
    }
    for (int i = 0; i < listing.count && verdict != IS_GOOD; i++) {
        const char *name = listing.entries[i].name;
        *found = (struct checkpoint){0};
        memcpy(found->file, name, sizeof found->file);
        if (!path_join(path, search->folder, name, &error))
            break;
        verdict = load(found, search, path, tensors, count, &error);
        if (verdict == IS_GOOD)
            break;
        checkpoint_release(found);
        if (verdict == IS_DAMAGED)
            put_aside(search, path, name, &error);
        else
            pass_over(search, path, &error);
    }
    free(listing.entries);
    return verdict == IS_GOOD;
}

void checkpoint_release(struct checkpoint *checkpoint)
{
    rows_release(&checkpoint->rows);
}
