/* snapshot.h: a network's parameters and moments as tensors in host memory.
 *
 * Names and order are those of checkpoints: all parameters, layer by layer,
 * weight before bias; then the first moments, then the second.
 *
 *     layers.0.weight  layers.0.bias  ...  layers.0.weight.m  ...
 */
#ifndef ENGINE_SNAPSHOT_H
#define ENGINE_SNAPSHOT_H

#include <stdint.h>

#include "worker/engine/network.h"
#include "worker/engine/trainer.h"

enum { TENSORS_MAX = LAYERS_MAX * 6 };

struct snapshot {
    struct backend *backend; /* borrowed */
    void *mirror;            /* host copies, for backends that need them */
    size_t bytes;            /* of all, as they lie in the backend's memory */
    int count;
    struct tensor tensors[TENSORS_MAX];
    struct matrix matrices[TENSORS_MAX]; /* what each tensor is of */
};

/* The network must be placed already, and outlive the snapshot. */
void snapshot_init(struct snapshot *snapshot, const struct network *network);
void snapshot_release(struct snapshot *snapshot);

/* Brings `values` up to date; they are the network's own where the backend
 * is on the host.  False: ERROR_MEMORY, or what became of the backend. */
bool snapshot_read(struct snapshot *snapshot, struct error *error);

/* Puts `values` back into the network. */
void snapshot_write(struct snapshot *snapshot);

/* XXH128, canonical, of all bytes of an up-to-date snapshot, in order. */
bool snapshot_hash(const struct snapshot *snapshot, uint8_t hash[16],
                   struct error *error);

#endif
