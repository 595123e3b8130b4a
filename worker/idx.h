/* idx.h: IDX files, the format of MNIST (http://yann.lecun.com/exdb/mnist):
 * a big-endian magic number 0x0000080<dimensions>, a 32-bit size for each
 * dimension, then bytes.  Packed by gzip or not: zlib reads both.
 */
#ifndef WORKER_IDX_H
#define WORKER_IDX_H

#include "schema/error.h"
#include "worker/array.h"

/* Reads images (ARRAY_IMAGES) or labels (ARRAY_LABELS).  On failure (a file
 * that cannot be read, is broken, or is not exactly as long as its header
 * says) `array` is empty; else its values are the caller's. */
bool idx_read(const char *path, int dimensions, struct array *array,
              struct error *error);

#endif
