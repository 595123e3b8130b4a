#include "worker/engine/agreement.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "worker/engine/backend.h"
#include "worker/engine/stream.h"

/* What the operations work on: every one finds the same values again. */
enum place {
    Y,       /* B x n */
    E,       /* B x n */
    T,       /* B x n */
    BATCH,   /* B x n: results */
    SPARE,   /* B x n */
    WEIGHT,  /* n x n, nearly orthogonal: I plus noise */
    GRAM,    /* n x n */
    SQUARE,  /* n x n: results */
    BIAS,    /* 1 x n */
    ROW,     /* 1 x n: results */
    MOMENT,  /* n x n */
    SECOND,  /* n x n: not negative */
    NUMBERS, /* 1 x 2: results that come as numbers */
    PLACES
};

struct side {
    struct backend *backend;
    int rows, n;
    void *memory;
    struct matrix at[PLACES];
    struct factor factor;
    struct singular singular;
    struct tally *tally;
    struct faults *faults;
    uint8_t *labels;  /* B */
    double number[2]; /* results that the host gets */
};

static const double slope = 0.1;

/* --- operations ---------------------------------------------------------- */

static void activate(struct side *s)
{
    s->backend->activate(s->backend, s->at[BATCH], s->at[BIAS], slope);
}

static void gate(struct side *s)
{
    s->backend->gate(s->backend, s->at[Y], s->at[E], slope, s->at[BATCH]);
}

static void gate_mean(struct side *s)
{
    s->backend->gate_mean(s->backend, s->at[Y], s->at[E], slope, s->at[BATCH],
                          s->at[ROW]);
}

static void invert(struct side *s)
{
    struct kink kink = {0.5, slope * slope, slope};
    s->backend->invert(s->backend, s->at[Y], s->at[E], slope, &kink,
                       s->at[BATCH]);
}

static void difference(struct side *s)
{
    s->backend->difference(s->backend, 3.0, s->at[Y], s->at[E], s->at[BATCH]);
}

static void retrace(struct side *s)
{
    s->backend->retrace(s->backend, s->at[Y], s->at[T], s->at[BIAS], slope, 0.3,
                        s->at[BATCH]);
}

static void output_error(struct side *s)
{
    s->backend->output_error(s->backend, s->at[Y], s->labels, CLASSES,
                             s->at[BATCH]);
}

static void descend(struct side *s)
{
    struct update update = {s->at[SQUARE], s->at[MOMENT], s->at[SECOND],
                            s->at[GRAM], 0};
    s->backend->descend(s->backend, &update, 1, 1e-3, 1, s->faults);
}

static void forward(struct side *s)
{
    s->backend->product(s->backend, 1.0, s->at[Y], PLAIN, s->at[WEIGHT], PLAIN,
                        0.0, s->at[BATCH]);
}

static void gradient(struct side *s)
{
    s->backend->product(s->backend, 0.5, s->at[Y], TRANSPOSED, s->at[E], PLAIN,
                        1.0, s->at[SQUARE]);
}

static void backward(struct side *s)
{
    s->backend->product(s->backend, 1.0, s->at[E], PLAIN, s->at[WEIGHT],
                        TRANSPOSED, 0.0, s->at[BATCH]);
}

static void regulariser(struct side *s)
{
    s->backend->gram(s->backend, s->at[WEIGHT], DIAGONAL_LESS_ONE, s->at[GRAM]);
    s->backend->symmetric_product(s->backend, 4.0, s->at[GRAM], s->at[WEIGHT],
                                  1.0, s->at[SQUARE]);
}

static void solve(struct side *s)
{
    s->backend->factor(s->backend, s->at[WEIGHT], &s->factor);
    s->backend->solve(s->backend, &s->factor, s->at[BATCH]);
}

static void divide(struct side *s)
{
    struct matrix none = {0};
    s->backend->divide(s->backend, s->at[WEIGHT], none, &s->factor, s->at[E],
                       s->at[SPARE], s->at[BATCH]);
}

static void score(struct side *s)
{
    struct tally tally;
    struct matrix y = matrix_corner(s->at[Y], s->rows, CLASSES);
    s->backend->clear(s->backend, s->tally, sizeof tally);
    s->backend->score(s->backend, y, s->labels, s->tally);
    s->backend->copy_out(s->backend, &tally, s->tally, sizeof tally);
    s->number[0] = (double)tally.correct;
    s->number[1] = tally.loss;
}

static void norms(struct side *s)
{
    s->number[0] = s->backend->norm(s->backend, 1.0, s->at[Y], -2.0, s->at[E]);
    s->number[1] =
        s->backend->off_diagonal(s->backend, s->at[WEIGHT], s->at[SQUARE]);
}

static void condition(struct side *s)
{
    s->number[0] =
        s->backend->condition(s->backend, s->at[WEIGHT], &s->singular);
    s->number[1] = 0.0;
}

/* Bounds in epsilons; 0: the same bits. */
static const struct operation {
    const char *name;
    void (*run)(struct side *);
    enum place result;
    double bound;
} operations[] = {
    {"activate", activate, BATCH, 0},
    {"gate", gate, BATCH, 0},
    {"gate_mean", gate_mean, ROW, 16},
    {"invert", invert, BATCH, 0},
    {"difference", difference, BATCH, 0},
    {"retrace", retrace, BATCH, 0},
    {"output_error", output_error, BATCH, 0},
    {"descend", descend, SQUARE, 0},
    {"product, forward", forward, BATCH, 32},
    {"product, gradient", gradient, SQUARE, 32},
    {"product, backward", backward, BATCH, 32},
    {"gram and its product", regulariser, SQUARE, 64},
    {"factor and solve", solve, BATCH, 512},
    {"divide", divide, BATCH, 128},
    {"score", score, NUMBERS, 16},
    {"norms", norms, NUMBERS, 64},
    {"condition", condition, NUMBERS, 4096},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

/* --- operands ------------------------------------------------------------ */

static bool is_batch(enum place place)
{
    return place <= SPARE;
}

static bool is_row(enum place place)
{
    return place == BIAS || place == ROW || place == NUMBERS;
}

static void place(struct side *s, struct layout *layout)
{
    struct backend *backend = s->backend;
    for (enum place p = 0; p < PLACES; p++)
        s->at[p] = layout_matrix(layout,
                                 is_batch(p) ? s->rows
                                 : is_row(p) ? 1
                                             : s->n,
                                 s->n);
    s->factor.values = layout_matrix(layout, s->n, s->n);
    s->factor.pivots = layout_bytes(layout, (size_t)s->n * sizeof(int));
    s->factor.scratch =
        layout_bytes(layout, backend->scratch_bytes(backend, FOR_FACTOR, s->n));
    s->singular.copy = layout_matrix(layout, s->n, s->n);
    s->singular.scratch = layout_bytes(
        layout, backend->scratch_bytes(backend, FOR_SINGULAR, s->n));
    s->tally = layout_bytes(layout, sizeof *s->tally);
    s->faults = layout_bytes(layout, sizeof *s->faults);
    s->labels = layout_bytes(layout, (size_t)s->rows);
}

static bool open_side(struct side *s, struct backend *backend, int rows, int n,
                      struct error *error)
{
    struct layout layout = {.element_bytes = backend->element_bytes};
    *s = (struct side){.backend = backend, .rows = rows, .n = n};
    place(s, &layout);
    s->memory = backend->allocate(backend, layout.bytes, error);
    layout = (struct layout){backend->element_bytes, s->memory, 0};
    place(s, &layout);
    return s->memory != NULL;
}

static size_t size_of(struct matrix a)
{
    return (size_t)a.rows * (size_t)a.cols;
}

/* Halves of small whole numbers are common: equal values, and zeros. */
static double draw(struct stream *stream, enum place place, int i, int j)
{
    double value = stream_normal(stream);
    if (place == SECOND)
        return value * value;
    if (place == WEIGHT)
        return (i == j) + 0.01 * value;
    return i % 7 ? value : round(2.0 * value) / 2.0;
}

static void fill(struct side *s, double *room)
{
    struct stream stream;
    stream_init(&stream, 7);
    for (enum place p = 0; p < PLACES; p++) {
        for (size_t i = 0; i < size_of(s->at[p]); i++)
            room[i] = draw(&stream, p, (int)(i / (size_t)s->n),
                           (int)(i % (size_t)s->n));
        s->backend->assign(s->backend, s->at[p], room);
    }
    for (int i = 0; i < s->rows; i++)
        ((uint8_t *)room)[i] = (uint8_t)(stream_word(&stream) % CLASSES);
    s->backend->copy_in(s->backend, s->labels, room, (size_t)s->rows);
}

/* --- comparing ----------------------------------------------------------- */

/* Widened in place, from the end. */
static void fetch(struct side *s, enum place place, double *to)
{
    size_t count = place == NUMBERS ? 2 : size_of(s->at[place]);
    const float *single = (const float *)to;
    if (place == NUMBERS) {
        to[0] = s->number[0];
        to[1] = s->number[1];
        return;
    }
    s->backend->copy_out(s->backend, to, s->at[place].values,
                         count * s->backend->element_bytes);
    for (size_t i = count; i-- > 0 && s->backend->element_bytes == 4;)
        to[i] = (double)single[i];
}

double agreement_distance(const double *expected, const double *got,
                          size_t count)
{
    double off = 0.0, norm = 0.0;
    for (size_t i = 0; i < count; i++) {
        off += (got[i] - expected[i]) * (got[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    return off == 0.0 ? 0.0 : sqrt(off / norm);
}

static double compare(const struct operation *operation, struct side sides[2],
                      double *rooms[2])
{
    enum place result = operation->result;
    for (int i = 0; i < 2; i++) {
        fill(&sides[i], rooms[i]);
        operation->run(&sides[i]);
        fetch(&sides[i], result, rooms[i]);
    }
    return agreement_distance(rooms[0], rooms[1],
                              result == NUMBERS ? 2
                                                : size_of(sides[0].at[result]));
}

bool agreement_measure(struct backend *expected, struct backend *got, int rows,
                       int n,
                       void (*on_result)(void *user, const struct agreement *),
                       void *user, struct error *error)
{
    struct side sides[2] = {{0}};
    size_t most = (size_t)n * (size_t)(n > rows ? n : rows) + (size_t)rows;
    double *rooms[2] = {calloc(most, sizeof(double)),
                        calloc(most, sizeof(double))};
    double epsilon =
        expected->element_bytes == 4 ? (double)FLT_EPSILON : DBL_EPSILON;
    bool is_done = rooms[0] && rooms[1]
                       ? open_side(&sides[0], expected, rows, n, error) &&
                             open_side(&sides[1], got, rows, n, error)
                       : error_set(error, ERROR_MEMORY, "no memory to compare");
    for (int i = 0; is_done && i < OPERATIONS; i++) {
        struct agreement agreement = {
            operations[i].name,
            compare(&operations[i], sides, rooms),
            operations[i].bound * epsilon,
        };
        is_done = got->check(got, error);
        if (is_done)
            on_result(user, &agreement);
    }
    for (int i = 0; i < 2; i++) {
        if (sides[i].memory)
            sides[i].backend->release(sides[i].backend, sides[i].memory);
        free(rooms[i]);
    }
    return is_done;
}
