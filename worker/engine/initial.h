/* initial.h: the weights a training starts from, in double precision. */
#ifndef ENGINE_INITIAL_H
#define ENGINE_INITIAL_H

#include <stdbool.h>
#include <stdint.h>

/* Seed of layer `layer` of `depth`: seed + layer; but the output layer of a
 * network of equal widths repeats the last hidden layer's, as published. */
uint32_t initial_seed(int64_t seed, int layer, int depth, bool is_square);

/* Fills `weights` (n x n, row-major).  Orthogonal: Haar-distributed, by
 * Householder reflections as SciPy's ortho_group drew it before 1.10 (Mezzadri
 * 2007).  Otherwise Xavier: standard normal times n^-1/2 (Glorot and Bengio
 * 2010).  The same bits on every CPU.  False: out of memory. */
bool initial_weights(uint32_t seed, bool is_orthogonal, int n, double *weights);

#endif
