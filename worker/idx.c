#include "worker/idx.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

enum {
    HEADER_BYTES_MAX = 4 + 4 * ARRAY_IMAGES,
    MAGIC = 0x800, /* bytes; plus the number of dimensions */
    CHUNK_BYTES = 16 << 20,
};

struct reading {
    const char *path;
    gzFile file;
    struct error *error;
};

static bool broken(const struct reading *r)
{
    int code;
    const char *text = gzerror(r->file, &code);
    if (code == Z_ERRNO && errno == EISDIR)
        return error_set(r->error, ERROR_CORRUPT, "\"%s\": not a file",
                         r->path);
    if (code == Z_ERRNO)
        return error_set(r->error, ERROR_IO, "cannot read \"%s\": %s", r->path,
                         strerror(errno));
    if (code == Z_MEM_ERROR)
        return error_set(r->error, ERROR_MEMORY, "out of memory for \"%s\"",
                         r->path);
    size_t length = strlen(r->path); /* zlib puts "<path>: " in front */
    if (code == Z_BUF_ERROR)
        text = "it ends early";
    else if (strncmp(text, r->path, length) == 0 &&
             strncmp(text + length, ": ", 2) == 0)
        text += length + 2;
    return error_set(r->error, ERROR_CORRUPT, "\"%s\": broken gzip data: %s",
                     r->path, text);
}

/* Reads up to `size` bytes; false when the file cannot be read. */
static bool take(const struct reading *r, void *to, size_t size, size_t *count)
{
    *count = 0;
    while (*count < size) {
        size_t wanted = size - *count;
        if (wanted > CHUNK_BYTES)
            wanted = CHUNK_BYTES;
        int got = gzread(r->file, (char *)to + *count, (unsigned)wanted);
        if (got < 0)
            return broken(r);
        if (got == 0)
            break;
        *count += (size_t)got;
    }
    int code;
    gzerror(r->file, &code);
    return code == Z_OK || code == Z_STREAM_END || broken(r);
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
           (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool read_header(const struct reading *r, int dimensions,
                        struct array *array)
{
    uint8_t header[HEADER_BYTES_MAX];
    size_t size = 4 + 4 * (size_t)dimensions, count;
    if (!take(r, header, size, &count))
        return false;
    if (count == 0)
        return error_set(r->error, ERROR_CORRUPT, "\"%s\": is empty", r->path);
    uint32_t magic = count < 4 ? 0 : big_endian(header);
    uint32_t expected = MAGIC + (uint32_t)dimensions;
    if (count >= 4 && magic != expected)
        return error_set(r->error, ERROR_CORRUPT,
                         "\"%s\": magic number 0x%08x, expected 0x%08x (%s)",
                         r->path, magic, expected,
                         dimensions == ARRAY_IMAGES ? "images" : "labels");
    if (count < size)
        return error_set(r->error, ERROR_CORRUPT,
                         "\"%s\": holds %zu bytes, its header alone has %zu",
                         r->path, count, size);
    array->rows = big_endian(header + 4);
    array->width = 1;
    for (int i = 1; i < dimensions; i++) {
        int64_t length = big_endian(header + 4 + 4 * i);
        if (length > 0 && array->width > INT32_MAX / length)
            array->width = -1; /* array_bytes refuses it */
        else
            array->width *= length;
    }
    return true;
}

/* Memory grows with what is really there, whatever the header claims. */
static bool read_values(const struct reading *r, size_t header_bytes,
                        size_t size, struct array *array)
{
    size_t used = 0, room = 0;
    while (used < size) {
        room = room ? 2 * room : CHUNK_BYTES;
        if (room > size)
            room = size;
        uint8_t *grown = realloc(array->values, room);
        if (!grown)
            return error_set(r->error, ERROR_MEMORY,
                             "out of memory: %zu bytes for \"%s\"", room,
                             r->path);
        array->values = grown;
        size_t count;
        if (!take(r, grown + used, room - used, &count))
            return false;
        used += count;
        if (used < room)
            return error_set(r->error, ERROR_CORRUPT,
                             "\"%s\": holds %zu bytes, its header says %zu",
                             r->path, header_bytes + used, header_bytes + size);
    }
    return true;
}

static bool read_end(const struct reading *r, size_t size)
{
    char extra;
    size_t count;
    if (!take(r, &extra, 1, &count))
        return false;
    return count == 0 ||
           error_set(r->error, ERROR_CORRUPT,
                     "\"%s\": holds more than the %zu bytes its header says",
                     r->path, size);
}

static bool read_all(const struct reading *r, int dimensions,
                     struct array *array)
{
    if (!read_header(r, dimensions, array))
        return false;
    int64_t bytes = array_bytes(array);
    if (bytes < 0)
        return error_set(r->error, ERROR_TOO_LARGE,
                         "\"%s\": larger than " ARRAY_LIMITS, r->path);
    size_t header_bytes = 4 + 4 * (size_t)dimensions;
    return read_values(r, header_bytes, (size_t)bytes, array) &&
           read_end(r, header_bytes + (size_t)bytes);
}

bool idx_read(const char *path, int dimensions, struct array *array,
              struct error *error)
{
    *array = (struct array){0};
    errno = 0;
    struct reading r = {path, gzopen(path, "rbe"), error};
    if (!r.file)
        return error_set(error, ERROR_IO, "cannot open \"%s\": %s", path,
                         strerror(errno ? errno : ENOMEM));
    gzbuffer(r.file, 1 << 17);
    bool is_read = read_all(&r, dimensions, array);
    gzclose(r.file);
    if (!is_read)
        array_release(array);
    return is_read;
}
