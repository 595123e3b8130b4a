#include "worker/engine/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static void add(struct snapshot *snapshot, int l, const char *part,
                const char *moment, struct matrix matrix)
{
    int i = snapshot->count++;
    struct tensor *tensor = &snapshot->tensors[i];
    bool is_bias = strcmp(part, "bias") == 0;
    snprintf(tensor->name, sizeof tensor->name, "layers.%d.%s%s", l, part,
             moment);
    tensor->dtype = snapshot->backend->dtype;
    tensor->shape[0] = is_bias ? matrix.cols : matrix.rows;
    tensor->shape[1] = is_bias ? 0 : matrix.cols;
    tensor->bytes = (size_t)matrix.rows * (size_t)matrix.cols *
                    snapshot->backend->element_bytes;
    tensor->values = snapshot->backend->is_host ? matrix.values : NULL;
    snapshot->matrices[i] = matrix;
}

void snapshot_init(struct snapshot *snapshot, const struct network *network)
{
    *snapshot = (struct snapshot){.backend = network->backend};
    for (int l = 0; l < network->depth; l++) {
        add(snapshot, l, "weight", "", network->layers[l].weight.value);
        add(snapshot, l, "bias", "", network->layers[l].bias.value);
    }
    for (int l = 0; l < network->depth; l++) {
        add(snapshot, l, "weight", ".m", network->layers[l].weight.m);
        add(snapshot, l, "bias", ".m", network->layers[l].bias.m);
    }
    for (int l = 0; l < network->depth; l++) {
        add(snapshot, l, "weight", ".v", network->layers[l].weight.v);
        add(snapshot, l, "bias", ".v", network->layers[l].bias.v);
    }
}

void snapshot_release(struct snapshot *snapshot)
{
    free(snapshot->mirror);
    snapshot->mirror = NULL;
}

/* Parameters and moments lie together, so the copy is one. */
static bool make_mirror(struct snapshot *snapshot)
{
    const struct matrix *first = &snapshot->matrices[0];
    const struct matrix *last = &snapshot->matrices[snapshot->count - 1];
    const struct tensor *end = &snapshot->tensors[snapshot->count - 1];
    const char *from = first->values;
    snapshot->bytes = (size_t)((const char *)last->values - from) + end->bytes;
    snapshot->mirror = malloc(snapshot->bytes);
    for (int i = 0; snapshot->mirror && i < snapshot->count; i++) {
        const char *at = snapshot->matrices[i].values;
        snapshot->tensors[i].values = (char *)snapshot->mirror + (at - from);
    }
    return snapshot->mirror != NULL;
}

bool snapshot_read(struct snapshot *snapshot, struct error *error)
{
    struct backend *backend = snapshot->backend;
    if (backend->is_host)
        return true;
    if (!snapshot->mirror && !make_mirror(snapshot))
        return error_set(error, ERROR_MEMORY, "no memory to copy a network");
    backend->copy_out(backend, snapshot->mirror, snapshot->matrices[0].values,
                      snapshot->bytes);
    return backend->check(backend, error);
}

void snapshot_write(struct snapshot *snapshot)
{
    struct backend *backend = snapshot->backend;
    if (snapshot->mirror)
        backend->copy_in(backend, snapshot->matrices[0].values,
                         snapshot->mirror, snapshot->bytes);
}

bool snapshot_hash(const struct snapshot *snapshot, uint8_t hash[16],
                   struct error *error)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return error_set(error, ERROR_MEMORY, "no memory for a hash");
    XXH3_128bits_reset(state);
    for (int i = 0; i < snapshot->count; i++)
        XXH3_128bits_update(state, snapshot->tensors[i].values,
                            snapshot->tensors[i].bytes);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(hash, canonical.digest, sizeof canonical.digest);
    XXH3_freeState(state);
    return true;
}
