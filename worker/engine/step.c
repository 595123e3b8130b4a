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

void step_place(struct step *step, struct layout *layout)
{
    int widest = step->network->layers[0].width;
    step->delta = layout_matrix(layout, step->network->batch_rows, widest);
    step->weight_gradient = layout_matrix(layout, widest, widest);
    step->bias_gradient = layout_matrix(layout, 1, widest);
    if (step->orthogonal_reg != 0.0)
        step->gram = layout_matrix(layout, widest, widest);
    if (step->inverts) {
        step->factor.values = layout_matrix(layout, widest, widest);
        step->factor.pivots =
            layout_bytes(layout, (size_t)widest * sizeof(int));
    }
    for (int i = 0; i < 2 && step->inverts; i++)
        step->moved[i] =
            layout_matrix(layout, step->network->batch_rows, widest);
    step->flags = layout_bytes(layout, LAYERS_MAX * sizeof(uint32_t));
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
    step->weight_gradient = matrix_shaped(step->weight_gradient, n, n);
    step->bias_gradient = matrix_shaped(step->bias_gradient, 1, n);

    backend->gate(backend, layer->output, layer->error, network->slope, delta);
    backend->product(backend, 1.0 / network->batch_rows,
                     network_read(network, l), TRANSPOSED, delta, PLAIN, 0.0,
                     step->weight_gradient);
    if (step->orthogonal_reg != 0.0)
        regulariser_add(backend, step->orthogonal_reg, step->orthogonal_form,
                        layer->weight.value, matrix_shaped(step->gram, n, n),
                        step->weight_gradient);
    backend->column_mean(backend, delta, step->bias_gradient);
    if (l > 0)
        step->rule->propagate(step, l); /* the regulariser's gram helps it */
}

static void descend(struct step *step, int l, struct parameter *parameter,
                    struct matrix gradient)
{
    struct backend *backend = step->network->backend;
    struct update update = {parameter->value, parameter->m, parameter->v,
                            gradient};
    backend->descend(backend, &update, step->learning_rate, &step->flags[l]);
}

static uint32_t find_fault(struct step *step, int *layer)
{
    struct backend *backend = step->network->backend;
    uint32_t flags[LAYERS_MAX];
    int l = step->network->depth - 1;
    backend->copy_out(backend, flags, step->flags, sizeof flags);
    while (l > 0 && !flags[l])
        l--;
    *layer = l;
    return flags[l];
}

uint32_t step_run(struct step *step, int *layer)
{
    struct network *network = step->network;
    step_forward(step);
    for (int l = network->depth - 1; l >= 0; l--) {
        step_gradient(step, l);
        descend(step, l, &network->layers[l].weight, step->weight_gradient);
        descend(step, l, &network->layers[l].bias, step->bias_gradient);
    }
    return find_fault(step, layer);
}
