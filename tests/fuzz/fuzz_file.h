/* fuzz_file.h: an input as a file, for readers that want a path. */
#ifndef TESTS_FUZZ_FILE_H
#define TESTS_FUZZ_FILE_H

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "schema/error.h"
#include "worker/array.h"

/* In memory; the path is good until the descriptor is closed. */
static inline int fuzz_file(const uint8_t *bytes, size_t size, char path[64])
{
    int descriptor = memfd_create("input", MFD_CLOEXEC);
    PROMISE(descriptor >= 0);
    PROMISE(write(descriptor, bytes, size) == (ssize_t)size);
    snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

/* Reads it as images and as labels.  Touches every value that was read; a
 * failure leaves a reason and no values. */
static inline void fuzz_read(const uint8_t *bytes, size_t size,
                             bool (*read)(const char *path, int dimensions,
                                          struct array *array,
                                          struct error *error))
{
    static const int dimensions[] = {ARRAY_IMAGES, ARRAY_LABELS};
    char path[64];
    int descriptor = fuzz_file(bytes, size, path);
    for (int i = 0; i < 2; i++) {
        struct error error = {0};
        struct array array;
        if (read(path, dimensions[i], &array, &error)) {
            unsigned sum = 0;
            PROMISE(array_bytes(&array) >= 0);
            for (int64_t v = 0; v < array_bytes(&array); v++)
                sum += array.values[v];
            PROMISE(sum <= 255 * (uint64_t)array_bytes(&array));
        } else {
            PROMISE(!array.values && error.text[0]);
        }
        array_release(&array);
    }
    close(descriptor);
}

#endif
