#include "schema/work.h"

static double square(double n)
{
    return n * n;
}

static double cube(double n)
{
    return n * n * n;
}

/* FLOPs of a network's parts. */
struct parts {
    double batch;   /* 2 n^2 B over all layers */
    double errors;  /* the same without layer 0: errors go no further */
    double factors; /* of the same layers */
    double cubes;   /* n^3 over all layers */
    double row;     /* of an evaluation */
};

static struct parts count(const struct settings *settings, int width)
{
    int widths[LAYERS_MAX];
    int depth = settings_widths(settings, width, widths);
    struct parts parts = {0};
    for (int l = 0; l < depth; l++) {
        double n = widths[l], last = l == depth - 1 ? CLASSES : n;
        double batch = 2 * square(n) * (double)settings->batch_size;
        parts.batch += batch;
        parts.errors += l ? batch : 0;
        parts.factors += l ? 2 * cube(n) / 3 : 0;
        parts.cubes += cube(n);
        parts.row += 2 * n * last;
    }
    return parts;
}

static double step_flops(const struct settings *settings,
                         const struct parts *parts)
{
    double flops = 2 * parts->batch + parts->errors;
    if (settings_inverts(settings))
        flops += parts->factors;
    if (settings->orthogonal_reg != 0)
        flops += 3 * parts->cubes;
    return flops;
}

static double diagnostics_flops(const struct settings *settings,
                                const struct parts *parts)
{
    double rule =
        parts->errors + (settings_inverts(settings) ? parts->factors : 0);
    double gram = parts->cubes, singular_values = 8.0 / 3 * parts->cubes;
    return 3 * parts->batch + rule + parts->errors + gram + singular_values;
}

int64_t work_evaluations(const struct settings *settings, int64_t steps)
{
    int64_t within = steps - 1 - settings->eval_offset;
    if (!settings->eval_every || within <= 0)
        return 1;
    return within / settings->eval_every + 1;
}

void work_init(struct work *work, const struct settings *settings,
               const struct dataset_shape *shape)
{
    struct parts parts = count(settings, shape->width);
    int64_t trained = settings_train_rows(settings, shape);
    int64_t steps = trained / settings->batch_size;
    int64_t per_epoch = work_evaluations(settings, steps);
    int64_t rows =
        trained + settings->valid_rows + settings_test_rows(settings, shape);
    double evaluation = (double)rows * parts.row;
    if (settings->diagnostics)
        evaluation += diagnostics_flops(settings, &parts);
    double epochs = (double)settings->nb_epochs;
    *work = (struct work){
        .training_flops = epochs * (double)steps * step_flops(settings, &parts),
        .evaluation_flops = (1 + epochs * (double)per_epoch) * evaluation,
        .once_flops = (1 + epochs) * evaluation,
        .evaluations_per_epoch = per_epoch,
        .evaluation_rows = rows,
    };
}

double work_piece(const struct settings *settings, int width,
                  int64_t chunk_rows)
{
    struct parts parts = count(settings, width);
    const double pieces[] = {
        4 * parts.cubes,
        step_flops(settings, &parts),
        (double)chunk_rows * parts.row,
        settings->diagnostics ? diagnostics_flops(settings, &parts) : 0,
    };
    double largest = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        largest = pieces[i] > largest ? pieces[i] : largest;
    return largest;
}

static int64_t common(int64_t a, int64_t b)
{
    return a == b ? a : 0;
}

void work_add(struct work *sum, const struct work *work, bool is_first)
{
    if (is_first) {
        *sum = *work;
        return;
    }
    sum->training_flops += work->training_flops;
    sum->evaluation_flops += work->evaluation_flops;
    sum->once_flops += work->once_flops;
    sum->evaluations_per_epoch =
        common(sum->evaluations_per_epoch, work->evaluations_per_epoch);
    sum->evaluation_rows = common(sum->evaluation_rows, work->evaluation_rows);
}
