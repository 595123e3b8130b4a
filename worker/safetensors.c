#include "worker/safetensors.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "schema/memory.h"
#include "schema/message.h"
#include "worker/file.h"

enum {
    LENGTH_BYTES = 8,
    ALIGNMENT = 64,
    HEX = HASH_HEX_BYTES - 1,
};

static const char opening[] = "{\"__metadata__\":{\"hash\":\"";
enum { HASH_AT = LENGTH_BYTES + sizeof opening - 1 };

static const struct dtype {
    const char *name;
    size_t bytes;
} dtypes[] = {{"U8", 1}, {"F32", 4}, {"F64", 8}};

static const struct dtype *find_dtype(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

/* --- writing ---------------------------------------------------------------
 */

static cJSON *describe(const struct safetensor *tensor, size_t begin)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "dtype", tensor->dtype);
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
    for (int i = 0; i < tensor->dimensions; i++)
        cJSON_AddItemToArray(shape, json_integer(tensor->shape[i]));
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    cJSON_AddItemToArray(offsets, json_integer((int64_t)begin));
    cJSON_AddItemToArray(offsets,
                         json_integer((int64_t)(begin + tensor->bytes)));
    return entry;
}

/* The length and the header, its hash zeros; the caller's. */
static char *make_header(const cJSON *metadata,
                         const struct safetensor *tensors, int count,
                         size_t *size)
{
    cJSON *header = cJSON_CreateObject();
    cJSON *texts = cJSON_AddObjectToObject(header, "__metadata__");
    cJSON_AddStringToObject(texts, "hash", "00000000000000000000000000000000");
    for (const cJSON *item = metadata->child; item; item = item->next)
        cJSON_AddStringToObject(texts, item->string, item->valuestring);
    size_t begin = 0;
    for (int i = 0; i < count; i++) {
        cJSON_AddItemToObject(header, tensors[i].name,
                              describe(&tensors[i], begin));
        begin += tensors[i].bytes;
    }
    size_t length;
    char *text = json_print(header, &length);
    cJSON_Delete(header);
    *size = (LENGTH_BYTES + length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *bytes = xmalloc(*size);
    memset(bytes, ' ', *size);
    for (int i = 0; i < LENGTH_BYTES; i++)
        bytes[i] = (char)((*size - LENGTH_BYTES) >> 8 * i & 255);
    memcpy(bytes + LENGTH_BYTES, text, length);
    free(text);
    return bytes;
}

static void print_hash(XXH128_hash_t value, char hex[HASH_HEX_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, value);
    hash_print(canonical.digest, hex);
}

bool safetensors_write(int fd, const char *path, const struct cJSON *metadata,
                       const struct safetensor *tensors, int count,
                       char hash[HASH_HEX_BYTES], int64_t *file_bytes,
                       struct error *error)
{
    size_t size;
    char *header = make_header(metadata, tensors, count, &size);
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, header, size);
    for (int i = 0; i < count; i++)
        XXH3_128bits_update(state, tensors[i].values, tensors[i].bytes);
    print_hash(XXH3_128bits_digest(state), hash);
    XXH3_freeState(state);
    memcpy(header + HASH_AT, hash, HEX);
    *file_bytes = (int64_t)size;
    bool is_written = file_write(fd, header, size, path, error);
    for (int i = 0; i < count && is_written; i++) {
        is_written =
            file_write(fd, tensors[i].values, tensors[i].bytes, path, error);
        *file_bytes += (int64_t)tensors[i].bytes;
    }
    free(header);
    return is_written;
}

/* --- reading ---------------------------------------------------------------
 */

static bool header_size(const uint8_t *bytes, size_t size, size_t *length,
                        struct error *error)
{
    if (size < LENGTH_BYTES)
        return error_set(error, ERROR_CORRUPT,
                         "%zu bytes, too few for a safetensors file", size);
    uint64_t value = 0;
    for (int i = LENGTH_BYTES; i-- > 0;)
        value = value << 8 | bytes[i];
    if (value > SAFETENSORS_HEADER_BYTES_MAX || value > size - LENGTH_BYTES)
        return error_set(error, ERROR_CORRUPT,
                         "a header of %llu bytes in a file of %zu",
                         (unsigned long long)value, size);
    *length = (size_t)value;
    return true;
}

/* Bytes of a tensor of this shape, or -1. */
static int64_t shape_bytes(const struct safetensor *tensor, size_t element)
{
    int64_t bytes = (int64_t)element;
    for (int i = 0; i < tensor->dimensions; i++) {
        if (tensor->shape[i] && bytes > JSON_INTEGER_MAX / tensor->shape[i])
            return -1;
        bytes *= tensor->shape[i];
    }
    return bytes;
}

static bool read_list(const cJSON *list, int64_t *numbers, int room, int *count)
{
    *count = 0;
    if (!cJSON_IsArray(list))
        return false;
    for (const cJSON *item = list->child; item; item = item->next) {
        if (*count == room || !json_is_integer(item) || item->valuedouble < 0)
            return false;
        numbers[(*count)++] = (int64_t)item->valuedouble;
    }
    return true;
}

/* One entry; its bytes must begin where those before it end. */
static bool read_entry(const cJSON *entry, struct safetensor *tensor,
                       const uint8_t *data, size_t data_bytes, size_t *used,
                       struct error *error)
{
    const char *name = entry->string;
    *tensor = (struct safetensor){.name = name};
    int64_t offsets[2];
    int count;
    tensor->dtype = json_text_or(entry, "dtype", "");
    const struct dtype *dtype = find_dtype(tensor->dtype);
    if (!dtype)
        return error_set(error, ERROR_CORRUPT,
                         "tensor \"%.100s\" has dtype \"%.20s\", expected U8, "
                         "F32 or F64",
                         name, tensor->dtype);
    if (!read_list(cJSON_GetObjectItemCaseSensitive(entry, "shape"),
                   tensor->shape, SAFETENSORS_DIMENSIONS_MAX,
                   &tensor->dimensions))
        return error_set(error, ERROR_CORRUPT,
                         "tensor \"%.100s\" has no shape of up to %d sizes",
                         name, SAFETENSORS_DIMENSIONS_MAX);
    if (!read_list(cJSON_GetObjectItemCaseSensitive(entry, "data_offsets"),
                   offsets, 2, &count) ||
        count != 2 || offsets[0] > offsets[1] ||
        (uint64_t)offsets[1] > data_bytes || (size_t)offsets[0] != *used)
        return error_set(error, ERROR_CORRUPT,
                         "tensor \"%.100s\" is not where the one before it "
                         "ends, or not within the file",
                         name);
    tensor->bytes = (size_t)(offsets[1] - offsets[0]);
    if (shape_bytes(tensor, dtype->bytes) != (int64_t)tensor->bytes)
        return error_set(error, ERROR_CORRUPT,
                         "tensor \"%.100s\" has %zu bytes, its shape says %lld",
                         name, tensor->bytes,
                         (long long)shape_bytes(tensor, dtype->bytes));
    tensor->values = data + offsets[0];
    *used = (size_t)offsets[1];
    return true;
}

static bool check_metadata(const cJSON *metadata, struct error *error)
{
    if (!cJSON_IsObject(metadata))
        return error_set(error, ERROR_CORRUPT,
                         "\"__metadata__\" is not an object of texts");
    for (const cJSON *item = metadata->child; item; item = item->next)
        if (!cJSON_IsString(item))
            return error_set(error, ERROR_CORRUPT,
                             "metadata \"%.100s\" is not text", item->string);
    return true;
}

static bool read_header(struct safetensors *out, const uint8_t *data,
                        size_t data_bytes, struct error *error)
{
    size_t used = 0;
    int members = cJSON_GetArraySize(out->header);
    out->tensors = xcalloc((size_t)members + 1, sizeof *out->tensors);
    for (const cJSON *item = out->header->child; item; item = item->next) {
        if (strcmp(item->string, "__metadata__") == 0) {
            if (!check_metadata(item, error))
                return false;
            out->metadata = item;
        } else if (!read_entry(item, &out->tensors[out->count++], data,
                               data_bytes, &used, error)) {
            return false;
        }
    }
    return used == data_bytes ||
           error_set(error, ERROR_CORRUPT, "%zu bytes after the last tensor",
                     data_bytes - used);
}

bool safetensors_init(struct safetensors *out, const void *bytes, size_t size,
                      struct error *error)
{
    *out = (struct safetensors){0};
    size_t length = 0;
    if (!header_size(bytes, size, &length, error))
        return false;
    const uint8_t *start = (const uint8_t *)bytes + LENGTH_BYTES;
    out->header = message_parse((const char *)start, length, error);
    if (!out->header) {
        error->code = ERROR_CORRUPT;
        return error_prefix(error, "its header");
    }
    if (read_header(out, start + length, size - LENGTH_BYTES - length, error))
        return true;
    safetensors_release(out);
    return false;
}

void safetensors_release(struct safetensors *safetensors)
{
    cJSON_Delete(safetensors->header);
    free(safetensors->tensors);
    *safetensors = (struct safetensors){0};
}

bool safetensors_check(const void *bytes, size_t size,
                       char hash[HASH_HEX_BYTES], struct error *error)
{
    const char *text = bytes;
    size_t rest = HASH_AT + HEX;
    static const char zeros[] = "00000000000000000000000000000000";
    if (size < rest ||
        memcmp(text + LENGTH_BYTES, opening, sizeof opening - 1) != 0)
        return error_set(error, ERROR_CORRUPT, "it carries no hash");
    memcpy(hash, text + HASH_AT, HEX);
    hash[HEX] = '\0';
    char found[HASH_HEX_BYTES];
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, text, HASH_AT);
    XXH3_128bits_update(state, zeros, HEX);
    XXH3_128bits_update(state, text + rest, size - rest);
    print_hash(XXH3_128bits_digest(state), found);
    XXH3_freeState(state);
    return strcmp(found, hash) == 0 ||
           error_set(error, ERROR_CORRUPT,
                     "its bytes do not match its hash: damaged");
}

const struct safetensor *safetensors_find(const struct safetensors *in,
                                          const char *name)
{
    for (int i = 0; i < in->count; i++)
        if (strcmp(in->tensors[i].name, name) == 0)
            return &in->tensors[i];
    return NULL;
}

const char *safetensors_text(const struct safetensors *in, const char *name)
{
    return in->metadata ? json_text_or(in->metadata, name, "") : "";
}
