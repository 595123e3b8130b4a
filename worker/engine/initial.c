/* initial.c: initial weights.
 *
 * The Householder product is 2 n^3 operations, most of the time a run needs to
 * start.  H := -sign (H - (H x) x^T), for one x after the other, acts on each
 * row of H alone, and the vectors x do not depend on H.  So all vectors are
 * drawn first, and rows go through them in groups that stay in the cache.
 */
#include "worker/engine/initial.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/stream.h"
#include "worker/engine/vector.h"

enum {
    LANES = 8, /* partial sums of a dot product, added in a fixed order */
    GROUP = 4, /* rows reflected together */
};

uint32_t initial_seed(int64_t seed, int layer, int depth, bool is_square)
{
    int last = is_square && depth > 1 ? depth - 2 : depth - 1;
    return (uint32_t)(seed + (layer < last ? layer : last));
}

static void xavier(struct stream *stream, int n, double *weights)
{
    double scale = sqrt(2.0 / (n + n));
    for (size_t i = 0; i < (size_t)n * (size_t)n; i++)
        weights[i] = stream_normal(stream) * scale;
}

static double dot(int n, const double *restrict a, const double *restrict b)
{
    double sum = 0.0;
    for (int j = 0; j < n; j++)
        sum += a[j] * b[j];
    return sum;
}

/* Draws the reflection of columns k to n: x over n - k elements, scaled to
 * |x|^2 = 2.  Returns sign(x[0]) as drawn. */
static double draw(struct stream *stream, int length, double *x)
{
    for (int j = 0; j < length; j++)
        x[j] = stream_normal(stream);
    double square = dot(length, x, x), first = x[0];
    double sign = first < 0.0 ? -1.0 : 1.0;
    x[0] += sign * sqrt(square);
    double scale = sqrt((square - first * first + x[0] * x[0]) / 2.0);
    for (int j = 0; j < length; j++)
        x[j] /= scale;
    return sign;
}

/* row . x by LANES partial sums; n is a multiple of LANES. */
static VECTORISED double dot_lanes(int n, const double *restrict x,
                                   const double *restrict row)
{
    double lanes[LANES] = {0.0};
    for (int j = 0; j < n; j += LANES)
        for (int t = 0; t < LANES; t++)
            lanes[t] += row[j + t] * x[j + t];
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/* row := -sign (row - sum x) */
static VECTORISED void reflect(int n, const double *restrict x, double sum,
                               double sign, double *restrict row)
{
    for (int j = 0; j < n; j++)
        row[j] = sign * (sum * x[j] - row[j]);
}

/* Vectors are stored backwards-aligned in rows of `stride`: vector k fills
 * columns k to n, columns from its lane's start to k are 0. */
static void reflect_rows(int n, int stride, const double *vectors,
                         const double *signs, int rows, double *restrict group)
{
    for (int k = 0; k < n; k++) {
        int start = k / LANES * LANES;
        const double *x = vectors + (size_t)k * (size_t)stride + start;
        for (int i = 0; i < rows; i++) {
            double *row = group + (size_t)i * (size_t)stride;
            double kept[LANES];
            memcpy(kept, row + start, sizeof kept);
            double sum = dot_lanes(stride - start, x, row + start);
            reflect(stride - start, x, sum, signs[k], row + start);
            memcpy(row + start, kept, (size_t)(k - start) * sizeof *kept);
        }
    }
}

static bool orthogonal(struct stream *stream, int n, double *weights)
{
    int stride = (n + LANES - 1) / LANES * LANES;
    size_t size = (size_t)n * (size_t)stride;
    double *memory = calloc(size + (size_t)n + (size_t)GROUP * (size_t)stride,
                            sizeof *memory);
    if (!memory)
        return false;
    double *vectors = memory, *signs = vectors + size, *group = signs + n;
    for (int k = 0; k < n; k++)
        signs[k] =
            draw(stream, n - k, vectors + (size_t)k * (size_t)stride + k);
    for (int first = 0; first < n; first += GROUP) {
        int rows = n - first < GROUP ? n - first : GROUP;
        memset(group, 0, (size_t)GROUP * (size_t)stride * sizeof *group);
        for (int i = 0; i < rows; i++)
            group[(size_t)i * (size_t)stride + (size_t)(first + i)] = 1.0;
        reflect_rows(n, stride, vectors, signs, rows, group);
        for (int i = 0; i < rows; i++)
            memcpy(weights + (size_t)(first + i) * (size_t)n,
                   group + (size_t)i * (size_t)stride,
                   (size_t)n * sizeof *weights);
    }
    free(memory);
    return true;
}

bool initial_weights(uint32_t seed, bool is_orthogonal, int n, double *weights)
{
    struct stream stream;
    stream_init(&stream, seed);
    if (is_orthogonal)
        return orthogonal(&stream, n, weights);
    xavier(&stream, n, weights);
    return true;
}
