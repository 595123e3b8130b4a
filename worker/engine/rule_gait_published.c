/* rule_gait_published.c: GAIT-prop in the arithmetic it was published with
 * (Ahmad, van Gerven and Ambrogioni, 2020).
 *
 *     t[l-1] = (g((1 - c) y + c t[l]) - b[l]) W[l]^-1     c = gamma f'^2
 *     e[l-1] = (y[l] - t[l-1]) / gamma^(layers above)     y = y[l+1]
 *
 * The same numbers as rule_gait.c but for rounding: here each layer's activity
 * is moved by gamma, taken through a whole inverse matrix, subtracted, and
 * divided by gamma, which costs as many digits as 1 / gamma has at every layer
 * (docs/precision.md).  It is kept to reproduce what was published.
 */
#include <stdlib.h>

#include "worker/engine/rule.h"
#include "worker/engine/step.h"

/* In step->own. */
enum {
    TARGET,   /* B x n: t[l], then t[l-1] */
    INPUT,    /* B x n: what would have moved the output, g(...) - b */
    INVERSE,  /* n x n: W[l]^-1 */
    IDENTITY, /* n x n, of any layer's size */
};

static void place(struct step *step, struct layout *layout)
{
    int rows = step->network->batch_rows;
    int widest = step->network->layers[0].width;
    step->own[TARGET] = layout_matrix(layout, rows, widest);
    step->own[INPUT] = layout_matrix(layout, rows, widest);
    step->own[INVERSE] = layout_matrix(layout, widest, widest);
    step->own[IDENTITY] = layout_matrix(layout, widest, widest);
}

static bool start(struct step *step, const struct settings *settings,
                  struct error *error)
{
    (void)settings;
    struct backend *backend = step->network->backend;
    struct matrix identity = step->own[IDENTITY];
    size_t n = (size_t)identity.rows;
    double *values = calloc(n * n, sizeof *values);
    if (!values)
        return error_set(error, ERROR_MEMORY, "no memory for an inverse");
    for (size_t i = 0; i < n; i++)
        values[i * n + i] = 1.0;
    backend->assign(backend, identity, values);
    free(values);
    return true;
}

/* Of e[l-1]: 1 / gamma for each layer from l up, one after the other. */
static double scale_below(const struct step *step, int l)
{
    double scale = 1.0;
    for (int above = l; above < step->network->depth; above++)
        scale /= step->gamma;
    return scale;
}

static struct matrix shaped(const struct step *step, int which, int n)
{
    struct matrix own = step->own[which];
    bool is_square = which == INVERSE;
    return matrix_shaped(own, is_square ? n : own.rows, n);
}

/* By the gate of a slope of 1, which is none. */
static void copy(struct step *step, struct matrix from, struct matrix to)
{
    struct backend *backend = step->network->backend;
    backend->gate(backend, from, from, 1.0, to);
}

static struct matrix invert_weights(struct step *step, int l)
{
    struct backend *backend = step->network->backend;
    struct matrix weight = step->network->layers[l].weight.value;
    struct matrix inverse = shaped(step, INVERSE, weight.rows);
    struct factor *factor = &step->factor;
    factor->values = matrix_shaped(factor->values, weight.rows, weight.rows);
    copy(step, matrix_corner(step->own[IDENTITY], weight.rows, weight.rows),
         inverse);
    backend->factor(backend, weight, factor);
    backend->solve(backend, factor, inverse);
    return inverse;
}

/* The target of units that layer l does not read is where they are. */
static void propagate(struct step *step, int l)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    const struct layer *layer = &network->layers[l];
    const struct layer *below = &network->layers[l - 1];
    struct matrix target = shaped(step, TARGET, layer->width);
    struct matrix input = shaped(step, INPUT, layer->width);
    if (l == network->depth - 1)
        backend->difference(backend, 1.0, layer->output, layer->error, target);
    backend->retrace(backend, layer->output, target, layer->bias.value,
                     network->slope, step->gamma, input);

    target = shaped(step, TARGET, below->width);
    struct matrix read = matrix_corner(target, target.rows, layer->width);
    copy(step, below->output, target);
    backend->product(backend, 1.0, input, PLAIN, invert_weights(step, l), PLAIN,
                     0.0, read);
    backend->difference(backend, scale_below(step, l), network_read(network, l),
                        read, network_error_below(network, l));
}

const struct rule rule_gait_published = {
    .name = "GAIT",
    .propagate = propagate,
    .place = place,
    .start = start,
};
