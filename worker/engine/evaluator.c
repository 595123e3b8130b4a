#include "worker/engine/evaluator.h"

#include <math.h>

enum { CHUNK_ROWS = 1000 };

void evaluator_init(struct evaluator *evaluator, const struct network *network)
{
    *evaluator = (struct evaluator){.network = network};
}

void evaluator_place(struct evaluator *evaluator, struct layout *layout)
{
    int widest = evaluator->network->layers[0].width;
    for (int i = 0; i < 2; i++)
        evaluator->outputs[i] = layout_matrix(layout, CHUNK_ROWS, widest);
    evaluator->labels = layout_bytes(layout, CHUNK_ROWS);
}

/* Class outputs of a chunk, rows x CLASSES. */
static struct matrix class_outputs(struct evaluator *evaluator,
                                   const struct source *source, int64_t first,
                                   int rows)
{
    const struct network *network = evaluator->network;
    struct backend *backend = network->backend;
    struct matrix y =
        matrix_shaped(evaluator->outputs[0], rows, network->layers[0].width);
    backend->gather(backend, source, NULL, first, y, evaluator->labels);
    for (int l = 0; l < network->depth; l++) {
        bool is_last = l == network->depth - 1;
        int cols = is_last ? CLASSES : network->layers[l].width;
        struct matrix next =
            matrix_shaped(evaluator->outputs[(l + 1) % 2], rows, cols);
        network_apply(network, l, y, next);
        y = next;
    }
    return y;
}

bool evaluator_score(struct evaluator *evaluator, const struct source *source,
                     int64_t first, int64_t rows,
                     bool (*is_stopped)(void *user), void *user,
                     struct score *score)
{
    struct backend *backend = evaluator->network->backend;
    int64_t correct = 0;
    double loss = 0.0;
    for (int64_t done = 0; done < rows;) {
        int chunk = rows - done < CHUNK_ROWS ? (int)(rows - done) : CHUNK_ROWS;
        struct matrix y = class_outputs(evaluator, source, first + done, chunk);
        backend->score(backend, y, evaluator->labels, &correct, &loss);
        done += chunk;
        if (is_stopped(user))
            return false;
    }
    score->accuracy = rows ? (double)correct / (double)rows : NAN;
    score->loss = rows ? loss / (double)rows : NAN;
    return true;
}
