#include "worker/dataset.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "worker/hash.h"
#include "worker/safetensors.h"

static const char format_name[] = "gaitd-dataset-1";

static const char *const tensor_names[IMPORT_PARTS] = {
    "train.pixels", "train.labels", "test.pixels", "test.labels"};

/* --- identity --------------------------------------------------------------
 */

static void update_number(XXH3_state_t *state, int64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)number >> 8 * i);
    XXH3_128bits_update(state, bytes, sizeof bytes);
}

static void update_rows(XXH3_state_t *state, const struct row_set *set,
                        int width)
{
    XXH3_128bits_update(state, set->pixels, (size_t)set->rows * (size_t)width);
    XXH3_128bits_update(state, set->labels, (size_t)set->rows);
}

static void make_digest(const struct data *data, char digest[HASH_HEX_BYTES])
{
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    update_number(state, data->train.rows);
    update_number(state, data->test.rows);
    update_number(state, data->width);
    update_rows(state, &data->train, data->width);
    update_rows(state, &data->test, data->width);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    hash_print(canonical.digest, digest);
}

static bool name_file(char path[PATH_BYTES], const char *cache,
                      const char *digest, struct error *error)
{
    char name[64];
    snprintf(name, sizeof name, "%.32s.safetensors", digest);
    return path_join(path, cache, name, error);
}

/* --- reading ---------------------------------------------------------------
 */

static bool find_rows(const struct safetensors *file, int part,
                      struct row_set *set, int64_t *width)
{
    const struct safetensor *pixels =
        safetensors_find(file, tensor_names[part]);
    const struct safetensor *labels =
        safetensors_find(file, tensor_names[part + 1]);
    if (!pixels || !labels || strcmp(pixels->dtype, "U8") != 0 ||
        strcmp(labels->dtype, "U8") != 0 || pixels->dimensions != 2 ||
        labels->dimensions != 1 || pixels->shape[0] != labels->shape[0] ||
        pixels->shape[1] < 1 || pixels->shape[1] > INT32_MAX)
        return false;
    *set = (struct row_set){pixels->values, labels->values, pixels->shape[0]};
    *width = pixels->shape[1];
    return true;
}

static bool read_data(const struct file_view *view, struct data *data,
                      struct error *error)
{
    struct safetensors file;
    if (!safetensors_init(&file, view->bytes, view->size, error))
        return false;
    int64_t width = 0, test_width = 0;
    bool is_good =
        strcmp(safetensors_text(&file, "format"), format_name) == 0 &&
        find_rows(&file, TRAIN_IMAGES, &data->train, &width) &&
        find_rows(&file, TEST_IMAGES, &data->test, &test_width) &&
        width == test_width;
    data->width = (int)width;
    safetensors_release(&file);
    return is_good ||
           error_set(error, ERROR_CORRUPT, "not a data set of this program");
}

/* Maps what the cache has; false also when it is damaged. */
static bool open_cached(struct dataset *dataset, const char *cache,
                        const char *digest, struct error *error)
{
    *dataset = (struct dataset){0};
    struct data *data = &dataset->data;
    struct dataset_shape *shape = &dataset->shape;
    if (!name_file(dataset->file, cache, digest, error) ||
        !file_map(&dataset->view, dataset->file, error))
        return false;
    if (read_data(&dataset->view, data, error)) {
        make_digest(data, shape->digest);
        shape->train_rows = data->train.rows;
        shape->test_rows = data->test.rows;
        shape->width = data->width;
        if (strcmp(shape->digest, digest) == 0)
            return true;
        error_set(error, ERROR_CORRUPT, "its contents are damaged");
    }
    error_prefix(error, "\"%s\"", dataset->file);
    dataset_close(dataset);
    return false;
}

/* --- writing ---------------------------------------------------------------
 */

static struct data as_data(const struct import *import)
{
    const struct array *parts = import->parts;
    return (struct data){
        .train = {parts[TRAIN_IMAGES].values, parts[TRAIN_LABELS].values,
                  parts[TRAIN_IMAGES].rows},
        .test = {parts[TEST_IMAGES].values, parts[TEST_LABELS].values,
                 parts[TEST_IMAGES].rows},
        .width = (int)parts[TRAIN_IMAGES].width,
    };
}

static bool write_tensors(const struct import *import, int fd, const char *path,
                          const char *digest, struct error *error)
{
    struct safetensor tensors[IMPORT_PARTS];
    for (int part = 0; part < IMPORT_PARTS; part++) {
        const struct array *array = &import->parts[part];
        tensors[part] = (struct safetensor){
            .name = tensor_names[part],
            .dtype = "U8",
            .dimensions = part & 1 ? 1 : 2,
            .shape = {array->rows, array->width},
            .values = array->values,
            .bytes = (size_t)(array->rows * array->width),
        };
    }
    cJSON *metadata = cJSON_CreateObject();
    cJSON_AddStringToObject(metadata, "format", format_name);
    cJSON_AddStringToObject(metadata, "digest", digest);
    char hash[HASH_HEX_BYTES];
    int64_t bytes;
    bool is_written = safetensors_write(fd, path, metadata, tensors,
                                        IMPORT_PARTS, hash, &bytes, error);
    cJSON_Delete(metadata);
    return is_written;
}

static bool write_cached(const struct import *import, const char *path,
                         const char *digest, struct error *error)
{
    char beside[PATH_BYTES + 32];
    snprintf(beside, sizeof beside, "%s.%ld.tmp", path, (long)getpid());
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, ERROR_IO, "cannot write \"%s\": %s", beside,
                         strerror(errno));
    bool is_written = write_tensors(import, fd, beside, digest, error);
    if (close(fd) != 0 && is_written)
        is_written = error_set(error, ERROR_IO, "cannot write \"%s\": %s",
                               beside, strerror(errno));
    if (is_written && rename(beside, path) != 0)
        is_written = error_set(error, ERROR_IO, "cannot rename \"%s\": %s",
                               beside, strerror(errno));
    if (!is_written)
        unlink(beside);
    return is_written;
}

/* Maps the data set in the cache, which is written first if it must be. */
static bool keep(struct dataset *dataset, const struct import *import,
                 const char *cache, const char *digest, struct error *error)
{
    char path[PATH_BYTES];
    if (open_cached(dataset, cache, digest, error))
        return true;
    return file_make_folder(cache, error) &&
           name_file(path, cache, digest, error) &&
           write_cached(import, path, digest, error) &&
           open_cached(dataset, cache, digest, error);
}

/* `expected` may be NULL: any digest. */
static bool prepare(struct dataset *dataset, const struct dataset_place *place,
                    const char *expected,
                    struct import_file files[IMPORT_PARTS], struct error *error)
{
    struct import import;
    bool is_kept = false;
    *dataset = (struct dataset){0};
    if (import_read(&import, place, error)) {
        struct data data = as_data(&import);
        char digest[HASH_HEX_BYTES];
        make_digest(&data, digest);
        if (expected && strcmp(digest, expected) != 0)
            error_set(error, ERROR_CONFLICT,
                      "data set \"%s\" has changed since the job was submitted",
                      place->name);
        else
            is_kept = keep(dataset, &import, place->cache, digest, error);
        if (files)
            memcpy(files, import.files, sizeof import.files);
    }
    import_release(&import);
    return is_kept;
}

bool dataset_prepare(struct dataset *dataset, const struct dataset_place *place,
                     struct import_file files[IMPORT_PARTS],
                     struct error *error)
{
    return prepare(dataset, place, NULL, files, error);
}

bool dataset_open(struct dataset *dataset, const struct dataset_place *place,
                  const char *digest, struct error *error)
{
    uint8_t hash[HASH_BYTES];
    *dataset = (struct dataset){0};
    if (!hash_read(digest, hash))
        return error_set(error, ERROR_PARAMS, "\"%.40s\" is not a digest",
                         digest);
    return open_cached(dataset, place->cache, digest, error) ||
           prepare(dataset, place, digest, NULL, error);
}

void dataset_close(struct dataset *dataset)
{
    file_unmap(&dataset->view);
    *dataset = (struct dataset){0};
}

/* --- the shelf -------------------------------------------------------------
 */

const struct dataset *shelf_get(struct shelf *shelf,
                                const struct dataset_place *place,
                                const char *digest, struct error *error)
{
    struct dataset *oldest = &shelf->datasets[0];
    for (int i = 0; i < SHELF_DATASETS; i++) {
        struct dataset *dataset = &shelf->datasets[i];
        if (strcmp(dataset->shape.digest, digest) == 0 && dataset->view.bytes) {
            dataset->used_at = ++shelf->uses;
            return dataset;
        }
        if (dataset->used_at < oldest->used_at)
            oldest = dataset;
    }
    dataset_close(oldest);
    if (!dataset_open(oldest, place, digest, error))
        return NULL;
    oldest->used_at = ++shelf->uses;
    return oldest;
}

void shelf_release(struct shelf *shelf)
{
    for (int i = 0; i < SHELF_DATASETS; i++)
        dataset_close(&shelf->datasets[i]);
}
