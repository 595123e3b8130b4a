/* npz.h: NumPy's archives, as numpy.savez and savez_compressed write them and
 * as the authors of KMNIST publish it: a zip file whose member arr_0.npy holds
 * an array of bytes in C order.  Zip64 archives are not read (they begin at
 * 4 GiB), nor encrypted ones.
 */
#ifndef WORKER_NPZ_H
#define WORKER_NPZ_H

#include "schema/error.h"
#include "worker/array.h"

/* Reads images of shape (rows, height, width), or labels of shape (rows,).
 * On failure `array` is empty; else its values are the caller's. */
bool npz_read(const char *path, int dimensions, struct array *array,
              struct error *error);

#endif
