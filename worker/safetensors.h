/* safetensors.h: named tensors in a file (https://github.com/huggingface/
 * safetensors): the header's length as 8 little-endian bytes, a JSON header
 * {name: {dtype, shape, data_offsets}, "__metadata__": {name: text}}, then
 * the tensors' bytes, row-major, without gaps, in the header's order.
 *
 * Ours start with {"__metadata__":{"hash":"<32 digits>", where the hash is the
 * XXH128 of the whole file with those digits as zeros: damage anywhere is
 * noticed.  The header is padded with spaces so that data start at 64 bytes.
 */
#ifndef WORKER_SAFETENSORS_H
#define WORKER_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "schema/error.h"
#include "worker/hash.h"

struct cJSON;

enum {
    SAFETENSORS_DIMENSIONS_MAX = 4,
    SAFETENSORS_HEADER_BYTES_MAX = 100 << 20,
};

struct safetensor {
    const char *name;
    const char *dtype; /* "U8", "F32" or "F64" */
    int dimensions;
    int64_t shape[SAFETENSORS_DIMENSIONS_MAX];
    const void *values;
    size_t bytes;
};

/* Tensors seen in a file's bytes, which are borrowed. */
struct safetensors {
    struct cJSON *header;         /* owns names and metadata */
    const struct cJSON *metadata; /* may be NULL */
    int count;
    struct safetensor *tensors;
};

/* Writes to an open file at its start; `path` is for the error's text.
 * `metadata` is an object of texts, without "hash"; it is borrowed. */
bool safetensors_write(int fd, const char *path, const struct cJSON *metadata,
                       const struct safetensor *tensors, int count,
                       char hash[HASH_HEX_BYTES], int64_t *file_bytes,
                       struct error *error);

/* Reads any safetensors file of the types above, with every offset checked.
 * ERROR_CORRUPT says what is wrong; `out` is then empty. */
bool safetensors_init(struct safetensors *out, const void *bytes, size_t size,
                      struct error *error);
void safetensors_release(struct safetensors *safetensors);

/* Whether a file of ours is undamaged; gives its hash. */
bool safetensors_check(const void *bytes, size_t size,
                       char hash[HASH_HEX_BYTES], struct error *error);

/* NULL when there is none of that name. */
const struct safetensor *safetensors_find(const struct safetensors *in,
                                          const char *name);

/* The metadata's text of that name, or "". */
const char *safetensors_text(const struct safetensors *in, const char *name);

#endif
