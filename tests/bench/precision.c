/* precision.c: how exact GAIT-prop's updates are, 784 wide, by layer.
 *
 * `make precision` prints a table: the relative error and the angle of each
 * layer's update, in the engine's exact form and in the published one, against
 * a truth in 113 bits.  The truth is the equation itself (worker/engine/
 * rule_gait.c); tests/unit/worker_engine_exact.c shows in 512 bits, at smaller
 * widths, that without rounding the published form is the same equation.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/backend_cpu.h"
#include "worker/engine/initial.h"
#include "worker/engine/network.h"
#include "worker/engine/step.h"
#include "worker/engine/stream.h"

enum { WIDTH = 784, SIZE = WIDTH * WIDTH, ROWS = 4, DEPTH_MAX = 9 };
static const double leak = 0.1, gamma_step = 1e-3;

/* A network as float32 holds it, so that one truth serves both precisions. */
struct problem {
    int depth;
    uint8_t pixels[ROWS * WIDTH], labels[ROWS];
    double *weights[DEPTH_MAX]; /* n x n */
};

/* The truth: outputs, errors and u in 113 bits, gradients in 64. */
struct truth {
    __float128 y[DEPTH_MAX + 1][ROWS * WIDTH];
    __float128 e[DEPTH_MAX][ROWS * WIDTH];
    long double *gradients[DEPTH_MAX]; /* n x n */
};

struct error_of {
    double relative, degrees;
};

static void *memory(size_t count, size_t bytes)
{
    void *values = calloc(count, bytes);
    if (!values) {
        fprintf(stderr, "precision: out of memory\n");
        exit(1);
    }
    return values;
}

/* --- problems ------------------------------------------------------------ */

/* As much of a picture as of a handwritten digit is not black. */
static void draw_batch(struct problem *problem)
{
    struct stream stream;
    stream_init(&stream, 1);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        uint8_t pixel = (uint8_t)(stream_word(&stream) % 256);
        problem->pixels[i] = stream_word(&stream) % 5 ? 0 : pixel;
    }
    for (int i = 0; i < ROWS; i++)
        problem->labels[i] = (uint8_t)(stream_word(&stream) % CLASSES);
}

static void draw_weights(struct problem *problem, bool is_orthogonal,
                         double noise)
{
    double *other = memory(SIZE, sizeof *other);
    bool is_done = true;
    for (int l = 0; is_done && l < problem->depth; l++) {
        double *w = problem->weights[l];
        uint32_t seed = initial_seed(1, l, problem->depth, true);
        is_done = initial_weights(seed, is_orthogonal, WIDTH, w) &&
                  initial_weights(seed + 100, false, WIDTH, other);
        for (int i = 0; i < SIZE; i++)
            w[i] = (float)(w[i] + noise * other[i]);
    }
    free(other);
    if (!is_done)
        exit(1);
}

/* --- the truth ----------------------------------------------------------- */

static void forward(const struct problem *problem, struct truth *truth)
{
    for (int i = 0; i < ROWS * WIDTH; i++)
        truth->y[0][i] = (__float128)problem->pixels[i] / 255;
    for (int l = 0; l < problem->depth; l++) {
        __float128 *z = truth->y[l + 1];
        memset(z, 0, sizeof truth->y[l + 1]);
        for (int i = 0; i < ROWS * WIDTH; i++) {
            __float128 y = truth->y[l][i];
            const double *w = problem->weights[l] + (i % WIDTH) * WIDTH;
            for (int j = 0; y != 0 && j < WIDTH; j++)
                z[i / WIDTH * WIDTH + j] += y * w[j];
        }
        for (int i = 0; i < ROWS * WIDTH; i++)
            z[i] = z[i] < 0 ? leak * z[i] : z[i];
    }
}

static __float128 inverse(__float128 y)
{
    return y < 0 ? y / leak : y;
}

/* u = (g(y) - g(y - t)) / s with t = s f'^2 e: 113 bits have some to lose,
 * but not 10 a layer; so only where a unit crosses its kink. */
static __float128 through(__float128 y, __float128 e, double step)
{
    __float128 slope = y < 0 ? leak : 1;
    __float128 moved = y - step * slope * slope * e;
    return (y < 0) == (moved < 0) ? slope * e
                                  : (inverse(y) - inverse(moved)) / step;
}

/* r = u - e W, and the largest |r| there is. */
static void residual(const double *w, const __float128 *u, const __float128 *e,
                     double *r)
{
    __float128 row[WIDTH];
    for (int i = 0; i < ROWS; i++) {
        memcpy(row, u + i * WIDTH, sizeof row);
        for (int k = 0; k < WIDTH; k++) {
            __float128 factor = e[i * WIDTH + k];
            for (int j = 0; factor != 0 && j < WIDTH; j++)
                row[j] -= factor * w[k * WIDTH + j];
        }
        for (int j = 0; j < WIDTH; j++)
            r[i * WIDTH + j] = (double)row[j];
    }
}

static double norm(const double *values, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += values[i] * values[i];
    return sqrt(sum);
}

/* e W = u: a factor in float64, refined by residuals in 113 bits until what is
 * added no longer counts. */
static void solve(struct backend *backend, const double *w, const __float128 *u,
                  __float128 *e)
{
    static double r[ROWS * WIDTH];
    double *lu = memory(SIZE, sizeof *lu), first = 0.0, last;
    int *pivots = memory(WIDTH, sizeof *pivots);
    struct factor factor = {{lu, WIDTH, WIDTH, WIDTH}, pivots, NULL};
    int rounds = 0;
    backend->factor(backend, (struct matrix){(double *)w, WIDTH, WIDTH, WIDTH},
                    &factor);
    memset(e, 0, ROWS * WIDTH * sizeof *e);
    do {
        residual(w, u, e, r);
        backend->solve(backend, &factor,
                       (struct matrix){r, ROWS, WIDTH, WIDTH});
        for (int i = 0; i < ROWS * WIDTH; i++)
            e[i] += r[i];
        last = norm(r, ROWS * WIDTH);
        first = rounds ? first : last;
    } while (++rounds < 20 && last > 1e-22 * first);
    free(pivots);
    free(lu);
    if (rounds == 20) {
        fprintf(stderr, "precision: the truth does not converge\n");
        exit(1);
    }
}

static void gradient(const struct truth *truth, int l, long double *to)
{
    for (int j = 0; j < WIDTH; j++)
        for (int i = 0; i < ROWS; i++) {
            long double y = (long double)truth->y[l][i * WIDTH + j] / ROWS;
            for (int k = 0; k < WIDTH; k++) {
                __float128 out = truth->y[l + 1][i * WIDTH + k];
                __float128 e = truth->e[l][i * WIDTH + k];
                to[j * WIDTH + k] += y * (long double)(out < 0 ? leak * e : e);
            }
        }
}

static void find_truth(struct backend *backend, const struct problem *problem,
                       struct truth *truth)
{
    static __float128 u[ROWS * WIDTH];
    int depth = problem->depth;
    double step = 1.0;
    forward(problem, truth);
    memset(truth->e, 0, sizeof truth->e);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < CLASSES; j++)
            truth->e[depth - 1][i * WIDTH + j] =
                truth->y[depth][i * WIDTH + j] - (j == problem->labels[i]);
    for (int l = depth - 1; l >= 0; l--) {
        memset(truth->gradients[l], 0, SIZE * sizeof *truth->gradients[l]);
        gradient(truth, l, truth->gradients[l]);
        step *= gamma_step;
        for (int i = 0; l > 0 && i < ROWS * WIDTH; i++)
            u[i] = through(truth->y[l + 1][i], truth->e[l][i], step);
        if (l > 0)
            solve(backend, problem->weights[l], u, truth->e[l - 1]);
    }
}

/* --- the engine ---------------------------------------------------------- */

struct engine {
    struct backend *backend;
    struct network network;
    struct step step;
    void *memory;
};

static void place(struct engine *engine, struct layout *layout)
{
    network_place(&engine->network, layout);
    step_place(&engine->step, layout);
}

static void open_engine(struct engine *engine, const struct settings *settings,
                        const struct problem *problem)
{
    struct error error;
    int widths[LAYERS_MAX];
    int depth = settings_widths(settings, WIDTH, widths);
    engine->backend = backend_cpu_open(settings->precision, 1, &error);
    if (!engine->backend)
        exit(1);
    network_init(&engine->network, engine->backend, widths, depth, ROWS, false);
    step_init(&engine->step, &engine->network, rule_choose(settings), settings);
    struct layout layout = {.element_bytes = engine->backend->element_bytes};
    place(engine, &layout);
    engine->memory =
        engine->backend->allocate(engine->backend, layout.bytes, &error);
    layout = (struct layout){layout.element_bytes, engine->memory, 0};
    place(engine, &layout);
    if (!engine->memory || !step_start(&engine->step, settings, &error))
        exit(1);

    struct source source = {problem->pixels, problem->labels, ROWS, WIDTH,
                            255.0};
    for (int l = 0; l < depth; l++)
        engine->backend->assign(engine->backend,
                                engine->network.layers[l].weight.value,
                                problem->weights[l]);
    engine->backend->gather(engine->backend, &source, NULL, 0,
                            engine->network.input, engine->network.labels);
}

static void close_engine(struct engine *engine)
{
    engine->backend->release(engine->backend, engine->memory);
    engine->backend->close(engine->backend);
}

/* Of the gradient of one layer's weights, as a direction in n^2 dimensions. */
static struct error_of compare(struct engine *engine, int l,
                               const long double *truth)
{
    struct backend *backend = engine->backend;
    bool is_double = backend->element_bytes == sizeof(double);
    char *got = memory(SIZE, backend->element_bytes);
    backend->copy_out(backend, got, engine->step.gradients[l].weight.values,
                      SIZE * backend->element_bytes);
    long double off = 0, squares = 0, truths = 0, between = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < SIZE; i++) {
            long double value = is_double ? ((double *)(void *)got)[i]
                                          : ((float *)(void *)got)[i];
            if (pass == 0) {
                off += (value - truth[i]) * (value - truth[i]);
                squares += value * value;
                truths += truth[i] * truth[i];
            } else {
                value = value / sqrtl(squares) - truth[i] / sqrtl(truths);
                between += value * value;
            }
        }
    free(got);
    long double half = sqrtl(between) / 2;
    return (struct error_of){
        .relative = (double)sqrtl(off / truths),
        .degrees = (double)(2 * asinl(half > 1 ? 1 : half) * 180 / M_PIl),
    };
}

/* Fills errors[l] for each layer. */
static void measure(const struct problem *problem, const struct truth *truth,
                    const char *form, const char *precision,
                    struct error_of errors[DEPTH_MAX])
{
    struct settings settings;
    struct engine engine;
    settings_init(&settings);
    snprintf(settings.algorithm, sizeof settings.algorithm, "GAIT");
    snprintf(settings.gait_form, sizeof settings.gait_form, "%s", form);
    snprintf(settings.precision, sizeof settings.precision, "%s", precision);
    settings.nb_layers = problem->depth - 1;
    settings.gamma = gamma_step;
    open_engine(&engine, &settings, problem);
    step_forward(&engine.step);
    for (int l = problem->depth - 1; l >= 0; l--) {
        step_gradient(&engine.step, l);
        errors[l] = compare(&engine, l, truth->gradients[l]);
    }
    close_engine(&engine);
}

/* --- the table ----------------------------------------------------------- */

static const struct {
    const char *form, *precision;
} variants[] = {
    {"exact", "float32"}, {"exact", "float64"}, {"published", "float64"}};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static const struct {
    const char *name;
    bool is_orthogonal;
    double noise; /* times a Xavier matrix, added */
} starts[] = {{"orthogonal", true, 0.0},
              {"perturbed", true, 0.1},
              {"Xavier", false, 0.0}};

static const int hidden_layers[] = {1, 2, 3, 4, 5, 8};

static void print_head(void)
{
    printf("GAIT-prop, the update of each layer's weights: its error relative "
           "to its norm,\nand the angle by which it is turned, in degrees.\n"
           "%d wide, leaky ReLU, gamma %g, a batch of %d; layer 0 is the "
           "lowest.\n\n"
           "Truth: the same equation, in 113 bits from the pixels on; systems "
           "solved by a\nfloat64 factor and refined with 113-bit residuals "
           "until corrections are below\n1e-22.  Perturbed: orthogonal and a "
           "tenth of a Xavier matrix.  This is about\narithmetic, not about "
           "what was concluded from it.\n\n",
           WIDTH, gamma_step, ROWS);
    printf("%-10s %6s %5s", "start", "hidden", "layer");
    for (int v = 0; v < VARIANTS; v++)
        printf("  %9s %-7s", variants[v].form, variants[v].precision);
    printf("\n");
}

static void print_rows(const char *start, int depth,
                       struct error_of errors[VARIANTS][DEPTH_MAX])
{
    for (int l = depth - 1; l >= 0; l--) {
        printf("%-10s %6d %5d", start, depth - 1, l);
        for (int v = 0; v < VARIANTS; v++) {
            struct error_of e = errors[v][l];
            printf(e.degrees < 0.1 ? "  %8.1e %8.1e" : "  %8.1e %8.1f",
                   e.relative, e.degrees);
        }
        printf("\n");
    }
    fflush(stdout);
}

int main(void)
{
    static struct problem problem;
    static struct truth truth;
    struct error_of errors[VARIANTS][DEPTH_MAX];
    struct error error;
    struct backend *backend = backend_cpu_open("float64", 1, &error);
    if (!backend)
        return 1;
    for (int l = 0; l < DEPTH_MAX; l++) {
        problem.weights[l] = memory(SIZE, sizeof(double));
        truth.gradients[l] = memory(SIZE, sizeof(long double));
    }
    print_head();
    draw_batch(&problem);
    for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++)
        for (size_t h = 0; h < sizeof hidden_layers / sizeof *hidden_layers;
             h++) {
            problem.depth = hidden_layers[h] + 1;
            draw_weights(&problem, starts[s].is_orthogonal, starts[s].noise);
            find_truth(backend, &problem, &truth);
            for (int v = 0; v < VARIANTS; v++)
                measure(&problem, &truth, variants[v].form,
                        variants[v].precision, errors[v]);
            print_rows(starts[s].name, problem.depth, errors);
        }
    for (int l = 0; l < DEPTH_MAX; l++) {
        free(problem.weights[l]);
        free(truth.gradients[l]);
    }
    backend->close(backend);
    return 0;
}
