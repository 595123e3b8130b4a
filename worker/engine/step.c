#include "worker/engine/step.h"

#include "worker/engine/regulariser.h"

void step_init(struct step *step, struct network *network,
               const struct rule *rule, const struct settings *settings)
{
    *step = (struct step){
        .network = network,
        .rule = rule,
        .inverts = settings_inverts(settings),
        .learning_rate = settings->learning_rate,
        .orthogonal_reg = settings->orthogonal_reg,
        .gamma = settings->gamma,
        .orthogonal_form = regulariser_diagonal(settings->orthogonal_form),
    };
}

static struct gradient place_gradient(struct layout *layout, int n)
{
    struct gradient gradient;
    gradient.weight = layout_matrix(layout, n, n);
    gradient.bias = layout_matrix(layout, 1, n);
    return gradient;
}

/* What the widest layer needs, or each, is enough for those above it. */
static void place_gradients(struct step *step, struct layout *layout)
{
    const struct network *network = step->network;
    for (int l = 0; l < network->depth; l++) {
        int n = network->layers[l].width;
        if (l == 0 || !network->backend->is_host) {
            step->gradients[l] = place_gradient(layout, n);
            continue;
        }
        step->gradients[l].weight =
            matrix_shaped(step->gradients[0].weight, n, n);
        step->gradients[l].bias = matrix_shaped(step->gradients[0].bias, 1, n);
    }
}

void step_place(struct step *step, struct layout *layout)
{
    const struct backend *backend = step->network->backend;
    int widest = step->network->layers[0].width;
    step->delta = layout_matrix(layout, step->network->batch_rows, widest);
    place_gradients(step, layout);
    if (step->orthogonal_reg != 0.0)
        step->gram = layout_matrix(layout, widest, widest);
    if (step->inverts) {
        step->factor.values = layout_matrix(layout, widest, widest);
        step->factor.pivots =
            layout_bytes(layout, (size_t)widest * sizeof(int));
        step->factor.scratch = layout_bytes(
            layout, backend->scratch_bytes(backend, FOR_FACTOR, widest));
    }
    for (int i = 0; i < 2 && step->inverts; i++)
        step->moved[i] =
            layout_matrix(layout, step->network->batch_rows, widest);
    step->faults = layout_bytes(layout, sizeof *step->faults);
    if (step->rule->place)
        step->rule->place(step, layout);
}

bool step_start(struct step *step, const struct settings *settings,
                struct error *error)
{
    return !step->rule->start || step->rule->start(step, settings, error);
}

struct matrix step_delta(const struct step *step, int l)
{
    return matrix_shaped(step->delta, step->delta.rows,
                         step->network->layers[l].width);
}

struct matrix step_moved(const struct step *step, int l)
{
    return matrix_shaped(step->moved[0], step->delta.rows,
                         step->network->layers[l].width);
}

void step_solve(struct step *step, int l)
{
    struct backend *backend = step->network->backend;
    struct matrix weight = step->network->layers[l].weight.value;
    struct matrix u = step_moved(step, l), gram = {0};
    struct factor *factor = &step->factor;
    factor->values = matrix_shaped(factor->values, weight.rows, weight.cols);
    if (step->orthogonal_reg != 0.0)
        gram = matrix_shaped(step->gram, weight.rows, weight.cols);
    backend->divide(backend, weight, gram, factor, u,
                    matrix_shaped(step->moved[1], u.rows, u.cols),
                    network_error_below(step->network, l));
}

void step_invert(struct step *step, int l, const struct kink *kink)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    const struct layer *layer = &network->layers[l];
    backend->invert(backend, layer->output, layer->error, network->slope, kink,
                    step_moved(step, l));
    step_solve(step, l);
}

void step_forward(struct step *step)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    struct layer *last = &network->layers[network->depth - 1];
    network_forward(network);
    backend->output_error(backend, last->output, network->labels, CLASSES,
                          last->error);
}

void step_gradient(struct step *step, int l)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    const struct layer *layer = &network->layers[l];
    int n = layer->width;
    struct matrix delta = step_delta(step, l);
    const struct gradient *gradient = &step->gradients[l];

    backend->gate_mean(backend, layer->output, layer->error, network->slope,
                       delta, gradient->bias);
    backend->product(backend, 1.0 / network->batch_rows,
                     network_read(network, l), TRANSPOSED, delta, PLAIN, 0.0,
                     gradient->weight);
    if (step->orthogonal_reg != 0.0)
        regulariser_add(backend, step->orthogonal_reg, step->orthogonal_form,
                        layer->weight.value, matrix_shaped(step->gram, n, n),
                        gradient->weight);
    if (l > 0)
        step->rule->propagate(step, l); /* the regulariser's gram helps it */
}

static struct update update_of(const struct parameter *parameter,
                               struct matrix gradient, int l)
{
    return (struct update){parameter->value, parameter->m, parameter->v,
                           gradient, l};
}

/* Of layers first to end - 1. */
static void descend(struct step *step, int first, int end, uint64_t number)
{
    struct network *network = step->network;
    struct backend *backend = network->backend;
    struct update updates[2 * LAYERS_MAX];
    int count = 0;
    for (int l = first; l < end; l++) {
        const struct layer *layer = &network->layers[l];
        const struct gradient *gradient = &step->gradients[l];
        updates[count++] = update_of(&layer->weight, gradient->weight, l);
        updates[count++] = update_of(&layer->bias, gradient->bias, l);
    }
    backend->descend(backend, updates, count, step->learning_rate, number,
                     step->faults);
}

void step_run(struct step *step, uint64_t number)
{
    struct network *network = step->network;
    bool is_host = network->backend->is_host;
    step_forward(step);
    for (int l = network->depth - 1; l >= 0; l--) {
        step_gradient(step, l);
        if (is_host)
            descend(step, l, l + 1, number);
    }
    if (!is_host)
        descend(step, 0, network->depth, number);
}

void step_faults(const struct step *step, struct faults *faults)
{
    struct backend *backend = step->network->backend;
    backend->copy_out(backend, faults, step->faults, sizeof *faults);
}

void step_forget_faults(struct step *step)
{
    struct backend *backend = step->network->backend;
    backend->clear(backend, step->faults, sizeof *step->faults);
}
