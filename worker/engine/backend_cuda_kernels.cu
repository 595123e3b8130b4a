/* backend_cuda_kernels.cu: element-wise operations; the only launches. */
#include "worker/engine/backend_cuda.cuh"
#include "worker/engine/cuda_kernels.cuh"

/* Far below what a step of GAIT can be in this precision; see the CPU's. */
static float least_step(float)
{
    return 1e-30f;
}

static double least_step(double)
{
    return 1e-290;
}

/* --- launching ----------------------------------------------------------- */

/* A grid of no blocks is an error to CUDA, and nothing to do for us. */
#define LAUNCH_ONE(gpu, kernel, blocks, ...)                                   \
    do {                                                                       \
        unsigned blocks_ = (blocks);                                           \
        if (blocks_ && gpu_is_well(gpu)) {                                     \
            kernel<<<blocks_, CUDA_THREADS, 0, (gpu)->stream>>>(__VA_ARGS__);  \
            gpu_check(gpu, #kernel, cudaGetLastError());                       \
        }                                                                      \
    } while (0)

/* In the precision REAL. */
#define LAUNCH(gpu, kernel, blocks, ...)                                       \
    do {                                                                       \
        if constexpr (sizeof(REAL) == sizeof(float))                           \
            LAUNCH_ONE(gpu, kernel##_f32, blocks, __VA_ARGS__);                \
        else                                                                   \
            LAUNCH_ONE(gpu, kernel##_f64, blocks, __VA_ARGS__);                \
    } while (0)

static unsigned blocks_for(int count, int each)
{
    return ((unsigned)count + (unsigned)each - 1) / (unsigned)each;
}

/* Elements of a matrix.  Kernels count them with 32 bits, a block over the end
 * included: 0 and a failure when that is not enough. */
static int count_of(struct gpu *gpu, struct matrix a)
{
    int64_t count = (int64_t)a.rows * a.cols;
    if (count <= INT32_MAX - DESCENT_BLOCK)
        return (int)count;
    gpu_fail(gpu, ERROR_TOO_LARGE,
             "a matrix of %d x %d is too large for the CUDA backend", a.rows,
             a.cols);
    return 0;
}

/* One thread for each element of `shape`, which comes first in the arguments.
 */
#define LAUNCH_EACH(gpu, kernel, shape, ...)                                   \
    do {                                                                       \
        int count_ = count_of(gpu, shape);                                     \
        LAUNCH(gpu, kernel, blocks_for(count_, CUDA_THREADS), count_,          \
               (shape).cols, __VA_ARGS__);                                     \
    } while (0)

template <class REAL> static REAL *values(struct matrix a)
{
    return (REAL *)a.values;
}

template <class REAL> static const REAL *constant(struct matrix a)
{
    return (const REAL *)a.values;
}

/* --- operations ---------------------------------------------------------- */

template <class REAL>
void gpu_copy(struct gpu *gpu, struct matrix from, struct matrix to)
{
    LAUNCH_EACH(gpu, k_copy, to, constant<REAL>(from), from.stride,
                values<REAL>(to), to.stride);
}

template <class REAL>
void gpu_add(struct gpu *gpu, struct matrix from, struct matrix to)
{
    LAUNCH_EACH(gpu, k_add, to, constant<REAL>(from), from.stride,
                values<REAL>(to), to.stride);
}

template <class REAL>
void gpu_diagonal(struct gpu *gpu, struct matrix s, bool is_zero)
{
    LAUNCH(gpu, k_diagonal, blocks_for(s.rows, CUDA_THREADS), s.rows,
           values<REAL>(s), s.stride, (int)is_zero);
}

template <class REAL>
double gpu_squares(struct gpu *gpu, double alpha, struct matrix a, double beta,
                   struct matrix b, bool is_off_diagonal)
{
    double partials[CUDA_PARTIALS], sum = 0;
    int count = count_of(gpu, a);
    unsigned blocks = blocks_for(count, CUDA_THREADS);
    if (blocks > CUDA_PARTIALS)
        blocks = CUDA_PARTIALS;
    LAUNCH(gpu, k_squares, blocks, count, a.cols, alpha, constant<REAL>(a),
           a.stride, beta, constant<REAL>(b), b.stride, (int)is_off_diagonal,
           gpu->partials);
    gpu->table.copy_out(&gpu->table, partials, gpu->partials,
                        blocks * sizeof *partials);
    for (unsigned i = 0; i < blocks; i++)
        sum += partials[i];
    return sum;
}

/* The operations in one precision, as the table wants them. */
template <class REAL> struct elements {
    static void gather(struct backend *backend, const struct source *loaded,
                       const int32_t *order, int64_t first, struct matrix x,
                       uint8_t *labels)
    {
        LAUNCH_EACH(gpu_of(backend), k_gather, x, loaded->pixels,
                    loaded->labels, loaded->width, (REAL)loaded->largest, order,
                    (long long)first, values<REAL>(x), x.stride, labels);
    }

    static void activate(struct backend *backend, struct matrix z,
                         struct matrix bias, double slope)
    {
        LAUNCH_EACH(gpu_of(backend), k_activate, z, values<REAL>(z), z.stride,
                    constant<REAL>(bias), (REAL)slope);
    }

    static void gate(struct backend *backend, struct matrix y, struct matrix e,
                     double slope, struct matrix delta)
    {
        LAUNCH_EACH(gpu_of(backend), k_gate, e, constant<REAL>(y), y.stride,
                    constant<REAL>(e), e.stride, (REAL)slope,
                    values<REAL>(delta), delta.stride);
    }

    static void gate_mean(struct backend *backend, struct matrix y,
                          struct matrix e, double slope, struct matrix delta,
                          struct matrix mean)
    {
        LAUNCH(gpu_of(backend), k_gate_mean, blocks_for(e.cols, MEAN_COLS),
               e.rows, e.cols, constant<REAL>(y), y.stride, constant<REAL>(e),
               e.stride, (REAL)slope, values<REAL>(delta), delta.stride,
               values<REAL>(mean));
    }

    static void invert(struct backend *backend, struct matrix y,
                       struct matrix e, double slope, const struct kink *kink,
                       struct matrix u)
    {
        crossing<REAL> by;
        by.step = (REAL)fmax(kink->step, (double)least_step((REAL)0));
        by.reach = (REAL)kink->reach;
        by.gain = (REAL)kink->gain;
        by.inverse = (REAL)(1.0 / slope);
        by.jump = (REAL)(1.0 / slope - 1.0);
        LAUNCH_EACH(gpu_of(backend), k_invert, e, constant<REAL>(y), y.stride,
                    constant<REAL>(e), e.stride, by, values<REAL>(u), u.stride);
    }

    static void difference(struct backend *backend, double alpha,
                           struct matrix a, struct matrix b, struct matrix c)
    {
        LAUNCH_EACH(gpu_of(backend), k_difference, c, (REAL)alpha,
                    constant<REAL>(a), a.stride, constant<REAL>(b), b.stride,
                    values<REAL>(c), c.stride);
    }

    static void retrace(struct backend *backend, struct matrix y,
                        struct matrix t, struct matrix bias, double slope,
                        double gamma, struct matrix z)
    {
        LAUNCH_EACH(gpu_of(backend), k_retrace, z, constant<REAL>(y), y.stride,
                    constant<REAL>(t), t.stride, constant<REAL>(bias),
                    (REAL)gamma, (REAL)(gamma * slope * slope),
                    (REAL)(1.0 / slope), values<REAL>(z), z.stride);
    }

    static void output_error(struct backend *backend, struct matrix y,
                             const uint8_t *labels, int classes,
                             struct matrix e)
    {
        LAUNCH_EACH(gpu_of(backend), k_output_error, e, constant<REAL>(y),
                    y.stride, labels, classes, values<REAL>(e), e.stride);
    }

    static void score(struct backend *backend, struct matrix y,
                      const uint8_t *labels, struct tally *tally)
    {
        LAUNCH(gpu_of(backend), k_score, 1, y.rows, y.cols, constant<REAL>(y),
               y.stride, labels, (long long *)&tally->correct, &tally->loss);
    }

    static unsigned add_part(struct gpu *gpu, const struct update *update,
                             unsigned blocks, descent<REAL> *work)
    {
        int count = count_of(gpu, update->value);
        descent_part<REAL> *part = &work->parts[work->count++];
        part->value = values<REAL>(update->value);
        part->m = values<REAL>(update->m);
        part->v = values<REAL>(update->v);
        part->gradient = constant<REAL>(update->gradient);
        part->size = (unsigned)count;
        part->first_block = blocks;
        part->layer = update->layer;
        return blocks + blocks_for(count, DESCENT_BLOCK);
    }

    /* One launch for every DESCENT_PARTS updates: 31 hidden layers. */
    static void descend(struct backend *backend, const struct update *updates,
                        int count, double rate, uint64_t step,
                        struct faults *faults)
    {
        struct gpu *gpu = gpu_of(backend);
        fault_note note = {(unsigned long long *)&faults->step, faults->flags};
        for (int done = 0; done < count;) {
            descent<REAL> work;
            unsigned blocks = 0;
            work.count = 0;
            while (done < count && work.count < DESCENT_PARTS)
                blocks = add_part(gpu, &updates[done++], blocks, &work);
            LAUNCH(gpu, k_descend, blocks, work, (REAL)rate,
                   (unsigned long long)step, note);
        }
    }

    static void fill(struct backend *table)
    {
        table->gather = gather;
        table->activate = activate;
        table->gate = gate;
        table->gate_mean = gate_mean;
        table->invert = invert;
        table->difference = difference;
        table->retrace = retrace;
        table->output_error = output_error;
        table->score = score;
        table->descend = descend;
    }
};

void gpu_fill_elements(struct backend *table, bool is_double)
{
    if (is_double)
        elements<double>::fill(table);
    else
        elements<float>::fill(table);
}

#define INSTANTIATE(REAL)                                                      \
    template void gpu_copy<REAL>(struct gpu *, struct matrix, struct matrix);  \
    template void gpu_add<REAL>(struct gpu *, struct matrix, struct matrix);   \
    template void gpu_diagonal<REAL>(struct gpu *, struct matrix, bool);       \
    template double gpu_squares<REAL>(struct gpu *, double, struct matrix,     \
                                      double, struct matrix, bool);
INSTANTIATE(float)
INSTANTIATE(double)
