/* A zip file is read from its end: the end record says where the directory
 * is, the directory where the members are.  Sizes in a member's own header
 * are not used (NumPy leaves them to a zip64 field there). */
#include "worker/npz.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "worker/file.h"

enum {
    END_BYTES = 22, /* of the end record, without its comment */
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    COMMENT_BYTES_MAX = 65535,
    STORED = 0,
    DEFLATED = 8,
    DEFLATE_RATIO_MAX = 1032, /* deflate cannot pack better */
    NPY_DIMENSIONS_MAX = 8,
};

static const char member_name[] = "arr_0.npy";

struct archive {
    const char *path;
    struct file_view view;
    struct error *error;
};

struct member {
    int method;
    uint32_t crc;
    size_t packed_bytes, bytes;
    const uint8_t *packed;
};

/* What a .npy header says. */
struct npy {
    char type[16];
    bool is_fortran;
    int dimensions;
    int64_t shape[NPY_DIMENSIONS_MAX];
    const uint8_t *values;
    size_t bytes;
};

__attribute__((format(printf, 2, 3))) static void
say_corrupt(const struct archive *archive, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(archive->error, ERROR_CORRUPT, "\"%s\": %s", archive->path, text);
}

/* A macro, for static analysis to see that it is false. */
#define corrupt(archive, ...) (say_corrupt(archive, __VA_ARGS__), false)

static bool out_of_memory(const struct archive *archive, size_t bytes)
{
    error_set(archive->error, ERROR_MEMORY,
              "out of memory: %zu bytes for \"%s\"", bytes, archive->path);
    return false;
}

static bool too_large(const struct archive *archive, const char *what)
{
    error_set(archive->error, ERROR_TOO_LARGE, "\"%s\": larger than %s",
              archive->path, what);
    return false;
}

static uint32_t little16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

static uint32_t little32(const uint8_t *bytes)
{
    return little16(bytes) | little16(bytes + 2) << 16;
}

static const uint8_t *find_end(const struct file_view *view)
{
    if (view->size < END_BYTES)
        return NULL;
    size_t most = view->size - END_BYTES;
    size_t least = most > COMMENT_BYTES_MAX ? most - COMMENT_BYTES_MAX : 0;
    for (size_t at = most;; at--) {
        if (memcmp(view->bytes + at, "PK\5\6", 4) == 0)
            return view->bytes + at;
        if (at == least)
            return NULL;
    }
}

/* Where the member's bytes are, from the header in front of them. */
static bool locate(const struct archive *archive, size_t offset,
                   struct member *member)
{
    const struct file_view *view = &archive->view;
    if (offset > view->size || view->size - offset < LOCAL_BYTES ||
        memcmp(view->bytes + offset, "PK\3\4", 4) != 0)
        return corrupt(archive, "broken zip file: no header of \"%s\"",
                       member_name);
    const uint8_t *header = view->bytes + offset;
    size_t start =
        offset + LOCAL_BYTES + little16(header + 26) + little16(header + 28);
    if (start > view->size || view->size - start < member->packed_bytes)
        return corrupt(archive, "truncated zip file: \"%s\" ends after it",
                       member_name);
    member->packed = view->bytes + start;
    return true;
}

static bool is_member(const uint8_t *entry)
{
    return little16(entry + 28) == sizeof member_name - 1 &&
           memcmp(entry + ENTRY_BYTES, member_name, sizeof member_name - 1) ==
               0;
}

static bool read_entry(const struct archive *archive, const uint8_t *entry,
                       struct member *member)
{
    if (little16(entry + 8) & 1)
        return corrupt(archive, "\"%s\" is encrypted", member_name);
    member->method = (int)little16(entry + 10);
    member->crc = little32(entry + 16);
    member->packed_bytes = little32(entry + 20);
    member->bytes = little32(entry + 24);
    if (member->bytes == UINT32_MAX || member->packed_bytes == UINT32_MAX)
        return too_large(archive, "4 GiB");
    return locate(archive, little32(entry + 42), member);
}

static bool find_member(const struct archive *archive, struct member *member)
{
    const struct file_view *view = &archive->view;
    const uint8_t *end = find_end(view);
    if (!end)
        return corrupt(archive, "truncated, or not a zip file");
    size_t size = little32(end + 12), at = little32(end + 16);
    size_t end_offset = (size_t)(end - view->bytes);
    if (at > end_offset || size > end_offset - at)
        return corrupt(archive, "broken zip file: no directory");
    size_t stop = at + size;
    while (stop - at >= ENTRY_BYTES) {
        const uint8_t *entry = view->bytes + at;
        size_t length = ENTRY_BYTES + little16(entry + 28) +
                        little16(entry + 30) + little16(entry + 32);
        if (memcmp(entry, "PK\1\2", 4) != 0 || length > stop - at)
            return corrupt(archive, "broken zip file: damaged directory");
        if (is_member(entry))
            return read_entry(archive, entry, member);
        at += length;
    }
    return corrupt(archive, "has no member \"%s\"", member_name);
}

static bool inflate_member(const struct archive *archive,
                           const struct member *member, uint8_t *to)
{
    z_stream stream = {0};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return out_of_memory(archive, member->packed_bytes);
    stream.next_in = (Bytef *)member->packed;
    stream.avail_in = (uInt)member->packed_bytes;
    stream.next_out = to;
    stream.avail_out = (uInt)member->bytes;
    int code = inflate(&stream, Z_FINISH);
    bool is_whole =
        code == Z_STREAM_END && stream.avail_out == 0 && stream.avail_in == 0;
    inflateEnd(&stream);
    return is_whole || corrupt(archive,
                               "broken zip file: \"%s\" does not "
                               "unpack to its size",
                               member_name);
}

/* The member's bytes, checked, on the heap; NULL on failure. */
static uint8_t *unpack(const struct archive *archive,
                       const struct member *member)
{
    bool is_stored = member->method == STORED;
    if (!is_stored && member->method != DEFLATED) {
        say_corrupt(archive,
                    "\"%s\" is packed by method %d, expected 0 (stored) "
                    "or 8 (deflated)",
                    member_name, member->method);
        return NULL;
    }
    if (is_stored ? member->bytes != member->packed_bytes
                  : member->bytes / DEFLATE_RATIO_MAX > member->packed_bytes) {
        say_corrupt(archive, "broken zip file: wrong size of \"%s\"",
                    member_name);
        return NULL;
    }
    uint8_t *bytes = malloc(member->bytes ? member->bytes : 1);
    if (!bytes) {
        out_of_memory(archive, member->bytes);
        return NULL;
    }
    if (is_stored)
        memcpy(bytes, member->packed, member->bytes);
    else if (!inflate_member(archive, member, bytes))
        goto failed;
    if (crc32_z(0, bytes, member->bytes) == member->crc)
        return bytes;
    say_corrupt(archive, "broken zip file: wrong checksum of \"%s\"",
                member_name);
failed:
    free(bytes);
    return NULL;
}

/* A cursor over the header, a Python dictionary such as
 * {'descr': '|u1', 'fortran_order': False, 'shape': (3, 28, 28), } */
struct cursor {
    const char *at, *end;
};

static void skip_spaces(struct cursor *c)
{
    while (c->at < c->end && isspace((unsigned char)*c->at))
        c->at++;
}

static bool skip(struct cursor *c, const char *word)
{
    skip_spaces(c);
    size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

static bool read_word(struct cursor *c, char *word, size_t room)
{
    size_t length = 0;
    if (!skip(c, "'"))
        return false;
    while (c->at < c->end && *c->at != '\'' && length + 1 < room)
        word[length++] = *c->at++;
    word[length] = '\0';
    return skip(c, "'");
}

static bool read_number(struct cursor *c, int64_t *number)
{
    skip_spaces(c);
    const char *start = c->at;
    *number = 0;
    while (c->at < c->end && isdigit((unsigned char)*c->at)) {
        if (*number > ARRAY_BYTES_MAX)
            return false;
        *number = 10 * *number + (*c->at++ - '0');
    }
    return c->at > start;
}

static bool read_shape(struct cursor *c, struct npy *npy)
{
    npy->dimensions = 0;
    if (!skip(c, "("))
        return false;
    while (!skip(c, ")")) {
        if (npy->dimensions == NPY_DIMENSIONS_MAX ||
            !read_number(c, &npy->shape[npy->dimensions++]))
            return false;
        if (!skip(c, ","))
            return skip(c, ")");
    }
    return true;
}

static bool read_member(struct cursor *c, const char *name, struct npy *npy)
{
    if (strcmp(name, "descr") == 0)
        return read_word(c, npy->type, sizeof npy->type);
    if (strcmp(name, "shape") == 0)
        return read_shape(c, npy);
    if (strcmp(name, "fortran_order") != 0)
        return false;
    npy->is_fortran = skip(c, "True");
    return npy->is_fortran || skip(c, "False");
}

static bool read_dictionary(struct cursor *c, struct npy *npy)
{
    npy->dimensions = -1;
    if (!skip(c, "{"))
        return false;
    while (!skip(c, "}")) {
        char name[16];
        if (!read_word(c, name, sizeof name) || !skip(c, ":") ||
            !read_member(c, name, npy))
            return false;
        if (!skip(c, ",")) {
            if (!skip(c, "}"))
                return false;
            break;
        }
    }
    skip_spaces(c);
    return c->at == c->end && npy->type[0] && npy->dimensions >= 0;
}

static bool read_header(const struct archive *archive, const uint8_t *bytes,
                        size_t size, struct npy *npy)
{
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 ||
        bytes[6] > 3)
        return corrupt(archive, "\"%s\" is not a NumPy array", member_name);
    size_t start = bytes[6] == 1 ? 10 : 12;
    size_t length = bytes[6] == 1 ? little16(bytes + 8) : little32(bytes + 8);
    if (length > size - start)
        return corrupt(archive, "\"%s\" is truncated", member_name);
    const char *text = (const char *)bytes + start;
    struct cursor cursor = {text, text + length};
    if (!read_dictionary(&cursor, npy))
        return corrupt(archive, "the header of \"%s\" is not understood",
                       member_name);
    npy->values = bytes + start + length;
    npy->bytes = size - start - length;
    return true;
}

static void print_shape(const struct npy *npy, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "(");
    for (int i = 0; i < npy->dimensions && used < room; i++)
        used +=
            (size_t)snprintf(text + used, room - used, i ? ", %lld" : "%lld",
                             (long long)npy->shape[i]);
    if (used < room)
        snprintf(text + used, room - used, npy->dimensions == 1 ? ",)" : ")");
}

static bool check(const struct archive *archive, const struct npy *npy,
                  int dimensions, struct array *array)
{
    if (strcmp(npy->type, "|u1") != 0 && strcmp(npy->type, "u1") != 0)
        return corrupt(archive,
                       "values of type \"%s\", expected \"|u1\" "
                       "(bytes)",
                       npy->type);
    if (npy->dimensions != dimensions) {
        char shape[200];
        print_shape(npy, shape, sizeof shape);
        return corrupt(archive, "shape %s, expected %s", shape,
                       dimensions == ARRAY_IMAGES ? "(rows, height, width)"
                                                  : "(rows,)");
    }
    if (npy->is_fortran)
        return corrupt(archive, "stored in Fortran order, expected C order");
    array->rows = npy->shape[0];
    array->width = 1;
    for (int i = 1; i < dimensions; i++) {
        if (npy->shape[i] && array->width > INT32_MAX / npy->shape[i])
            array->width = -1;
        else
            array->width *= npy->shape[i];
    }
    int64_t bytes = array_bytes(array);
    if (bytes < 0)
        return too_large(archive, ARRAY_LIMITS);
    if ((size_t)bytes != npy->bytes)
        return corrupt(archive, "holds %zu values, its shape says %lld",
                       npy->bytes, (long long)bytes);
    return true;
}

static bool read_archive(const struct archive *archive, int dimensions,
                         struct array *array)
{
    struct member member = {0};
    if (!find_member(archive, &member))
        return false;
    uint8_t *bytes = unpack(archive, &member);
    if (!bytes)
        return false;
    struct npy npy = {0};
    if (!read_header(archive, bytes, member.bytes, &npy) ||
        !check(archive, &npy, dimensions, array)) {
        free(bytes);
        return false;
    }
    memmove(bytes, npy.values, npy.bytes);
    array->values = bytes;
    return true;
}

bool npz_read(const char *path, int dimensions, struct array *array,
              struct error *error)
{
    *array = (struct array){0};
    struct archive archive = {path, {0}, error};
    if (!file_map(&archive.view, path, error))
        return false;
    bool is_read = read_archive(&archive, dimensions, array);
    file_unmap(&archive.view);
    if (!is_read)
        *array = (struct array){0};
    return is_read;
}
