/* backend_cuda_algebra.cu: products by cuBLAS, solves and singular values by
 * cuSOLVER.
 *
 * To both, whose matrices are column-major, a matrix is its transpose, so a
 * product is asked for with its factors exchanged, and the rows of e are the
 * right-hand sides of a^T e^T = u^T: nothing is transposed.
 *
 * Errors always go through LU, refined once: whether Cholesky's shorter way
 * would have done is known only after a wait.
 */
#include "worker/engine/backend_cuda.cuh"

/* The libraries' names for one precision. */
template <class REAL> struct library;

#define LIBRARY(REAL, letter)                                                  \
    template <> struct library<REAL> {                                         \
        static cublasStatus_t product(struct gpu *gpu, cublasOperation_t b_is, \
                                      cublasOperation_t a_is, REAL alpha,      \
                                      struct matrix a, struct matrix b,        \
                                      REAL beta, struct matrix c, int inner)   \
        {                                                                      \
            return cublas##letter##gemm(                                       \
                gpu->blas, b_is, a_is, c.cols, c.rows, inner, &alpha,          \
                (const REAL *)b.values, b.stride, (const REAL *)a.values,      \
                a.stride, &beta, (REAL *)c.values, c.stride);                  \
        }                                                                      \
        static cusolverStatus_t factor_room(struct gpu *gpu, struct matrix a,  \
                                            int *count)                        \
        {                                                                      \
            return cusolverDn##letter##getrf_bufferSize(                       \
                gpu->solver, a.rows, a.rows, (REAL *)a.values, a.stride,       \
                count);                                                        \
        }                                                                      \
        static cusolverStatus_t factor(struct gpu *gpu,                        \
                                       const struct factor *to)                \
        {                                                                      \
            struct matrix a = to->values;                                      \
            return cusolverDn##letter##getrf(                                  \
                gpu->solver, a.rows, a.rows, (REAL *)a.values, a.stride,       \
                (REAL *)to->scratch, to->pivots, gpu->info);                   \
        }                                                                      \
        static cusolverStatus_t                                                \
        solve(struct gpu *gpu, const struct factor *by, struct matrix e)       \
        {                                                                      \
            struct matrix a = by->values;                                      \
            return cusolverDn##letter##getrs(                                  \
                gpu->solver, CUBLAS_OP_N, a.rows, e.rows,                      \
                (const REAL *)a.values, a.stride, by->pivots,                  \
                (REAL *)e.values, e.stride, gpu->info);                        \
        }                                                                      \
        static cusolverStatus_t singular_room(struct gpu *gpu, int n,          \
                                              int *count)                      \
        {                                                                      \
            return cusolverDn##letter##gesvd_bufferSize(gpu->solver, n, n,     \
                                                        count);                \
        }                                                                      \
        static cusolverStatus_t singular(struct gpu *gpu, struct matrix a,     \
                                         REAL *values, int count)              \
        {                                                                      \
            int n = a.rows;                                                    \
            return cusolverDn##letter##gesvd(                                  \
                gpu->solver, 'N', 'N', n, n, (REAL *)a.values, a.stride,       \
                values, NULL, n, NULL, n, values + n, count, NULL, gpu->info); \
        }                                                                      \
    };
LIBRARY(float, S)
LIBRARY(double, D)

static cublasOperation_t as_cublas(enum orientation orientation)
{
    return orientation == TRANSPOSED ? CUBLAS_OP_T : CUBLAS_OP_N;
}

template <class REAL> struct algebra {
    /* What the library wants, and what cuda_scratch_bytes has let aside. */
    static bool fits(struct gpu *gpu, enum purpose purpose, int n, int count)
    {
        size_t bytes = (size_t)count * sizeof(REAL);
        size_t most = cuda_scratch_bytes(purpose, n, sizeof(REAL));
        return bytes <= most ||
               gpu_fail(gpu, ERROR_INTERNAL,
                        "cuSOLVER wants %zu bytes for a matrix of %d x %d, "
                        "expected at most %zu",
                        bytes, n, n, most);
    }

    static void product(struct backend *backend, double alpha, struct matrix a,
                        enum orientation a_is, struct matrix b,
                        enum orientation b_is, double beta, struct matrix c)
    {
        struct gpu *gpu = gpu_of(backend);
        int inner = a_is == TRANSPOSED ? a.rows : a.cols;
        GPU_TRY(gpu, library<REAL>::product(gpu, as_cublas(b_is),
                                            as_cublas(a_is), (REAL)alpha, a, b,
                                            (REAL)beta, c, inner));
    }

    /* A product does twice the work of half of it, and keeps a GPU busier. */
    static void gram(struct backend *backend, struct matrix a,
                     enum diagonal diagonal, struct matrix s)
    {
        product(backend, 1.0, a, PLAIN, a, TRANSPOSED, 0.0, s);
        if (diagonal != DIAGONAL_KEPT)
            gpu_diagonal<REAL>(gpu_of(backend), s, diagonal == DIAGONAL_ZERO);
    }

    static void symmetric_product(struct backend *backend, double alpha,
                                  struct matrix s, struct matrix a, double beta,
                                  struct matrix c)
    {
        product(backend, alpha, s, PLAIN, a, PLAIN, beta, c);
    }

    static void factor(struct backend *backend, struct matrix a,
                       struct factor *to)
    {
        struct gpu *gpu = gpu_of(backend);
        int count = 0;
        gpu_copy<REAL>(gpu, a, to->values);
        if (GPU_TRY(gpu, library<REAL>::factor_room(gpu, to->values, &count)) &&
            fits(gpu, FOR_FACTOR, a.rows, count))
            GPU_TRY(gpu, library<REAL>::factor(gpu, to));
    }

    static void solve(struct backend *backend, const struct factor *by,
                      struct matrix e)
    {
        struct gpu *gpu = gpu_of(backend);
        GPU_TRY(gpu, library<REAL>::solve(gpu, by, e));
    }

    /* What is left of u, never with TF32: a residual that is rounded to 10 bits
     * would make of an exact answer one as rough. */
    static void residual(struct gpu *gpu, struct matrix e, struct matrix a,
                         struct matrix left)
    {
        bool is_rough = gpu->math != CUBLAS_DEFAULT_MATH;
        if (is_rough)
            GPU_TRY(gpu, cublasSetMathMode(gpu->blas, CUBLAS_DEFAULT_MATH));
        product(&gpu->table, -1.0, e, PLAIN, a, PLAIN, 1.0, left);
        if (is_rough)
            GPU_TRY(gpu, cublasSetMathMode(gpu->blas, gpu->math));
    }

    static void divide(struct backend *backend, struct matrix a,
                       struct matrix gram, struct factor *work, struct matrix u,
                       struct matrix spare, struct matrix e)
    {
        struct gpu *gpu = gpu_of(backend);
        (void)gram;
        gpu_copy<REAL>(gpu, u, e);
        factor(backend, a, work);
        solve(backend, work, e);
        gpu_copy<REAL>(gpu, u, spare);
        residual(gpu, e, a, spare);
        solve(backend, work, spare);
        gpu_add<REAL>(gpu, spare, e);
    }

    static double norm(struct backend *backend, double alpha, struct matrix a,
                       double beta, struct matrix b)
    {
        return sqrt(
            gpu_squares<REAL>(gpu_of(backend), alpha, a, beta, b, false));
    }

    static double off_diagonal(struct backend *backend, struct matrix a,
                               struct matrix spare)
    {
        gram(backend, a, DIAGONAL_KEPT, spare);
        return sqrt(
            gpu_squares<REAL>(gpu_of(backend), 1.0, spare, 0.0, spare, true));
    }

    static double condition(struct backend *backend, struct matrix a,
                            struct singular *work)
    {
        struct gpu *gpu = gpu_of(backend);
        int n = a.rows, count = 0, failure = 0;
        REAL *values = (REAL *)work->scratch, first = 0, last = 0;
        gpu_copy<REAL>(gpu, a, work->copy);
        if (!GPU_TRY(gpu, library<REAL>::singular_room(gpu, n, &count)) ||
            !fits(gpu, FOR_SINGULAR, n, n + count))
            return NAN;
        GPU_TRY(gpu, library<REAL>::singular(gpu, work->copy, values, count));
        backend->copy_out(backend, &failure, gpu->info, sizeof failure);
        backend->copy_out(backend, &first, values, sizeof first);
        backend->copy_out(backend, &last, values + n - 1, sizeof last);
        return failure ? NAN : (double)first / (double)last;
    }

    static size_t scratch_bytes(const struct backend *backend,
                                enum purpose purpose, int n)
    {
        (void)backend;
        return cuda_scratch_bytes(purpose, n, sizeof(REAL));
    }

    static void fill(struct backend *table)
    {
        table->scratch_bytes = scratch_bytes;
        table->product = product;
        table->gram = gram;
        table->symmetric_product = symmetric_product;
        table->factor = factor;
        table->solve = solve;
        table->divide = divide;
        table->norm = norm;
        table->off_diagonal = off_diagonal;
        table->condition = condition;
    }
};

void gpu_fill_algebra(struct backend *table, bool is_double)
{
    if (is_double)
        algebra<double>::fill(table);
    else
        algebra<float>::fill(table);
}
