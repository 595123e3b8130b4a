#include "worker/engine/diagnostics.h"

#include <math.h>

#define DEGREES (180.0 / 3.14159265358979323846)

void diagnostics_init(struct diagnostics *diagnostics, const struct step *step)
{
    *diagnostics = (struct diagnostics){.step = step};
}

void diagnostics_place(struct diagnostics *diagnostics, struct layout *layout)
{
    const struct network *network = diagnostics->step->network;
    int widest = network->layers[0].width;
    for (int l = 0; l < network->depth; l++)
        diagnostics->deltas[l] = layout_matrix(layout, network->batch_rows,
                                               network->layers[l].width);
    for (int i = 0; i < 2; i++)
        diagnostics->squares[i] = layout_matrix(layout, widest, widest);
    diagnostics->singular.scratch =
        layout_bytes(layout, network->backend->scratch_bytes(
                                 network->backend, FOR_SINGULAR, widest));
}

static double norm(struct backend *backend, struct matrix a)
{
    return backend->norm(backend, 1.0, a, 0.0, a);
}

/* Errors of all layers by the step's rule, for the outputs that are there. */
static void send_errors(struct step *step)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    const struct layer *last = &network->layers[network->depth - 1];
    backend->output_error(backend, last->output, network->labels, CLASSES,
                          last->error);
    for (int l = network->depth - 1; l > 0; l--) {
        const struct layer *layer = &network->layers[l];
        backend->gate(backend, layer->output, layer->error, network->slope,
                      step_delta(step, l));
        step->rule->propagate(step, l);
    }
}

static void keep_rule(struct diagnostics *diagnostics,
                      struct diagnostic *layers)
{
    struct network *network = diagnostics->step->network;
    struct backend *backend = network->backend;
    for (int l = 0; l < network->depth; l++) {
        const struct layer *layer = &network->layers[l];
        double units = (double)layer->error.rows * layer->error.cols;
        layers[l].error_rms = norm(backend, layer->error) / sqrt(units);
        backend->gate(backend, layer->output, layer->error, network->slope,
                      diagnostics->deltas[l]);
    }
}

static struct matrix square(const struct diagnostics *diagnostics, int i, int l)
{
    int n = diagnostics->step->network->layers[l].width;
    return matrix_shaped(diagnostics->squares[i], n, n);
}

static struct matrix gradient(const struct diagnostics *diagnostics, int i,
                              int l, struct matrix delta)
{
    struct network *network = diagnostics->step->network;
    struct backend *backend = network->backend;
    struct matrix to = square(diagnostics, i, l);
    backend->product(backend, 1.0 / network->batch_rows,
                     network_read(network, l), TRANSPOSED, delta, PLAIN, 0.0,
                     to);
    return to;
}

static double angle_between(struct backend *backend, struct matrix a,
                            struct matrix b)
{
    double to_a = 1.0 / norm(backend, a), to_b = 1.0 / norm(backend, b);
    double apart = backend->norm(backend, to_a, a, -to_b, b);
    double along = backend->norm(backend, to_a, a, to_b, b);
    return DEGREES * 2.0 * atan2(apart, along);
}

/* BP's errors have replaced the rule's in the network. */
static double angle(struct diagnostics *diagnostics, int l)
{
    const struct step *step = diagnostics->step;
    struct network *network = step->network;
    struct backend *backend = network->backend;
    const struct layer *layer = &network->layers[l];
    struct matrix delta = step_delta(step, l);
    backend->gate(backend, layer->output, layer->error, network->slope, delta);
    return angle_between(backend,
                         gradient(diagnostics, 0, l, diagnostics->deltas[l]),
                         gradient(diagnostics, 1, l, delta));
}

static double condition(struct diagnostics *diagnostics, int l)
{
    struct network *network = diagnostics->step->network;
    struct matrix weight = network->layers[l].weight.value;
    struct singular *work = &diagnostics->singular;
    work->copy = square(diagnostics, 0, l);
    return network->backend->condition(network->backend, weight, work);
}

static double or_nan(double value)
{
    return isfinite(value) ? value : NAN;
}

static void measure_layer(struct diagnostics *diagnostics, int l,
                          struct diagnostic *layer)
{
    struct network *network = diagnostics->step->network;
    layer->angle = angle(diagnostics, l);
    layer->off_diagonal = network->backend->off_diagonal(
        network->backend, network->layers[l].weight.value,
        square(diagnostics, 0, l));
    layer->condition = condition(diagnostics, l);
#define MAKE_FINITE(name) layer->name = or_nan(layer->name);
    DIAGNOSTICS(MAKE_FINITE)
}

/* The regulariser is left out by a step that has none.  It shares the working
 * memory of the real one, which keeps nothing there between two updates. */
void diagnostics_measure(struct diagnostics *diagnostics,
                         const struct source *train, struct diagnostic *layers)
{
    struct step rule = *diagnostics->step;
    struct network *network = rule.network;
    rule.orthogonal_reg = 0.0;
    struct step bp = rule;
    bp.rule = &rule_bp;
    network->backend->gather(network->backend, train, NULL, 0, network->input,
                             network->labels);
    network_forward(network);
    send_errors(&rule);
    keep_rule(diagnostics, layers);
    send_errors(&bp);
    for (int l = 0; l < network->depth; l++)
        measure_layer(diagnostics, l, &layers[l]);
}
