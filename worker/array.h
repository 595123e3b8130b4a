/* array.h: bytes read from a data set's file: images, or labels.
 */
#ifndef WORKER_ARRAY_H
#define WORKER_ARRAY_H

#include <stdint.h>
#include <stdlib.h>

enum {
    ARRAY_LABELS = 1, /* dimensions: rows */
    ARRAY_IMAGES = 3, /* dimensions: rows, height, width */
};

/* The largest that is read: 4 GiB of pixels, and row numbers that fit. */
#define ARRAY_BYTES_MAX (INT64_C(1) << 32)
#define ARRAY_ROWS_MAX INT64_C(1000000000)
#define ARRAY_LIMITS "4 GiB of pixels, or than 1000000000 rows"

struct array {
    uint8_t *values; /* rows x width, on the heap */
    int64_t rows;
    int64_t width; /* pixels of an image; 1 for labels */
};

static inline void array_release(struct array *array)
{
    free(array->values);
    *array = (struct array){0};
}

/* rows x width, or -1 when it is over the limits. */
static inline int64_t array_bytes(const struct array *array)
{
    if (array->rows < 0 || array->rows > ARRAY_ROWS_MAX || array->width < 0 ||
        array->width > INT32_MAX)
        return -1;
    int64_t bytes = array->rows * array->width;
    return bytes <= ARRAY_BYTES_MAX ? bytes : -1;
}

#endif
