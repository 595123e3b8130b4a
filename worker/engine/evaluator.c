#include "worker/engine/evaluator.h"

#include <assert.h>
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
    evaluator->tallies =
        layout_bytes(layout, EVALUATOR_PARTS * sizeof(struct tally));
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

static bool add(struct evaluator *evaluator, const struct part *part,
                struct tally *tally, bool (*is_stopped)(void *user), void *user)
{
    struct backend *backend = evaluator->network->backend;
    for (int64_t done = 0; done < part->rows;) {
        int64_t left = part->rows - done;
        int chunk = left < CHUNK_ROWS ? (int)left : CHUNK_ROWS;
        struct matrix y =
            class_outputs(evaluator, part->source, part->first + done, chunk);
        backend->score(backend, y, evaluator->labels, tally);
        done += chunk;
        if (is_stopped(user))
            return false;
    }
    return true;
}

bool evaluator_score(struct evaluator *evaluator, struct part *parts, int count,
                     bool (*is_stopped)(void *user), void *user)
{
    struct backend *backend = evaluator->network->backend;
    struct tally tallies[EVALUATOR_PARTS];
    assert(count <= EVALUATOR_PARTS);
    backend->clear(backend, evaluator->tallies, sizeof tallies);
    for (int i = 0; i < count; i++)
        if (!add(evaluator, &parts[i], &evaluator->tallies[i], is_stopped,
                 user))
            return false;
    backend->copy_out(backend, tallies, evaluator->tallies, sizeof tallies);
    for (int i = 0; i < count; i++) {
        double rows = (double)parts[i].rows;
        parts[i].score = (struct score){
            .accuracy = rows ? (double)tallies[i].correct / rows : NAN,
            .loss = rows ? tallies[i].loss / rows : NAN,
        };
    }
    return true;
}
