#include <stdlib.h>

#include "worker/engine/backend.h"

static double element(const void *raw, size_t element_bytes, size_t at)
{
    return element_bytes == sizeof(float) ? (double)((const float *)raw)[at]
                                          : ((const double *)raw)[at];
}

double *matrix_doubles(struct backend *backend, struct matrix matrix)
{
    size_t rows = (size_t)matrix.rows, cols = (size_t)matrix.cols;
    size_t stride = (size_t)matrix.stride, size = backend->element_bytes;
    size_t span = (rows - 1) * stride + cols;
    double *doubles = calloc(rows * cols, sizeof *doubles);
    void *raw = malloc(span * size);
    if (!doubles || !raw) {
        free(doubles);
        free(raw);
        return NULL;
    }
    backend->copy_out(backend, raw, matrix.values, span * size);
    for (size_t i = 0; i < rows * cols; i++)
        doubles[i] = element(raw, size, i / cols * stride + i % cols);
    free(raw);
    return doubles;
}
