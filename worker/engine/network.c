#include "worker/engine/network.h"

#include <stdlib.h>

#include "worker/engine/initial.h"

static const double leak = 0.1;

void network_init(struct network *network, struct backend *backend,
                  const int *widths, int depth, int batch_rows, bool is_linear)
{
    *network = (struct network){
        .backend = backend,
        .depth = depth,
        .batch_rows = batch_rows,
        .slope = is_linear ? 1.0 : leak,
    };
    for (int l = 0; l < depth; l++)
        network->layers[l].width = widths[l];
}

void network_place(struct network *network, struct layout *layout)
{
    int rows = network->batch_rows;
    struct layer *first = network->layers, *end = first + network->depth;
    for (struct layer *layer = first; layer < end; layer++) {
        layer->weight.value = layout_matrix(layout, layer->width, layer->width);
        layer->bias.value = layout_matrix(layout, 1, layer->width);
    }
    for (struct layer *layer = first; layer < end; layer++) {
        layer->weight.m = layout_matrix(layout, layer->width, layer->width);
        layer->bias.m = layout_matrix(layout, 1, layer->width);
    }
    for (struct layer *layer = first; layer < end; layer++) {
        layer->weight.v = layout_matrix(layout, layer->width, layer->width);
        layer->bias.v = layout_matrix(layout, 1, layer->width);
    }
    network->input = layout_matrix(layout, rows, first->width);
    network->labels = layout_bytes(layout, (size_t)rows);
    for (struct layer *layer = first; layer < end; layer++) {
        layer->output = layout_matrix(layout, rows, layer->width);
        layer->error = layout_matrix(layout, rows, layer->width);
    }
}

bool network_start(struct network *network, int64_t seed, bool is_orthogonal,
                   struct error *error)
{
    struct backend *backend = network->backend;
    int depth = network->depth;
    int widest = network->layers[0].width;
    bool is_square = widest == network->layers[depth - 1].width;
    double *weights = malloc((size_t)widest * (size_t)widest * sizeof *weights);
    bool is_done = weights != NULL;
    for (int l = 0; is_done && l < depth; l++) {
        const struct layer *layer = &network->layers[l];
        is_done = initial_weights(initial_seed(seed, l, depth, is_square),
                                  is_orthogonal, layer->width, weights);
        if (is_done)
            backend->assign(backend, layer->weight.value, weights);
    }
    free(weights);
    return is_done ||
           error_set(error, ERROR_MEMORY, "no memory for initial weights");
}

void network_apply(const struct network *network, int l, struct matrix input,
                   struct matrix y)
{
    struct backend *backend = network->backend;
    const struct layer *layer = &network->layers[l];
    struct matrix read = matrix_corner(input, input.rows, layer->width);
    struct matrix weight =
        matrix_corner(layer->weight.value, layer->width, y.cols);
    struct matrix bias = matrix_corner(layer->bias.value, 1, y.cols);
    backend->product(backend, 1.0, read, PLAIN, weight, PLAIN, 0.0, y);
    backend->activate(backend, y, bias, network->slope);
}

void network_forward(const struct network *network)
{
    for (int l = 0; l < network->depth; l++)
        network_apply(network, l, network_read(network, l),
                      network->layers[l].output);
}

struct matrix network_read(const struct network *network, int l)
{
    struct matrix y = l ? network->layers[l - 1].output : network->input;
    return matrix_corner(y, y.rows, network->layers[l].width);
}

struct matrix network_error_below(const struct network *network, int l)
{
    struct matrix e = network->layers[l - 1].error;
    return matrix_corner(e, e.rows, network->layers[l].width);
}
