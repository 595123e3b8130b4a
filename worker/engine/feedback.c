#include "worker/engine/feedback.h"

#include <stdlib.h>

#include "worker/engine/initial.h"
#include "worker/engine/step.h"
#include "worker/engine/stream.h"

void feedback_place(struct step *step, int rows, struct layout *layout)
{
    const struct network *network = step->network;
    for (int l = 1; l < network->depth; l++) {
        int n = network->layers[l].width;
        step->own[l] = layout_matrix(layout, rows < n ? rows : n, n);
    }
}

bool feedback_start(struct step *step, const struct settings *settings,
                    struct error *error)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    size_t widest = (size_t)network->layers[0].width;
    double *values = malloc(widest * widest * sizeof *values);
    bool is_done = values != NULL;
    for (int l = 1; is_done && l < network->depth; l++) {
        is_done = initial_weights(stream_seed(settings->seed, -1 - l),
                                  settings_is_orthogonal(settings),
                                  network->layers[l].width, values);
        if (is_done)
            backend->assign(backend, step->own[l], values);
    }
    free(values);
    return is_done || error_set(error, ERROR_MEMORY, "no memory for feedback");
}
