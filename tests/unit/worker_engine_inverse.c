/* Errors through the inverse: LU by panels, and Cholesky's shorter way, which
 * must never show in the result. */
#include "worker_engine_fixture.h"

#include <float.h>

#include "worker/engine/initial.h"
#include "worker/engine/stream.h"

enum { SIDE = 180, ROWS = 7 };

/* One system e a = u of n unknowns, in either precision. */
struct system {
    struct backend *backend;
    double epsilon;
    int n;
    void *memory;
    struct matrix a, gram, u, e, spare;
    struct factor factor;
};

static void place(struct system *system, struct layout *layout)
{
    int n = system->n;
    system->a = layout_matrix(layout, n, n);
    system->gram = layout_matrix(layout, n, n);
    system->factor.values = layout_matrix(layout, n, n);
    system->factor.pivots = layout_bytes(layout, (size_t)n * sizeof(int));
    system->factor.scratch = layout_bytes(
        layout, system->backend->scratch_bytes(system->backend, FOR_FACTOR, n));
    system->u = layout_matrix(layout, ROWS, n);
    system->spare = layout_matrix(layout, ROWS, n);
    system->e = matrix_corner(layout_matrix(layout, ROWS, n + 5), ROWS, n);
}

/* `weights` is n x n, times `scale`; u is random.  The backend is closed with
 * the system. */
static void system_open_on(struct system *system, struct backend *backend,
                           int n, const double *weights, double scale)
{
    static double values[SIDE * SIDE];
    struct stream stream;
    struct error error;
    *system = (struct system){.n = n, .backend = backend};
    system->epsilon = backend->element_bytes == sizeof(float)
                          ? (double)FLT_EPSILON
                          : DBL_EPSILON;
    struct layout layout = {.element_bytes = system->backend->element_bytes};
    place(system, &layout);
    system->memory =
        system->backend->allocate(system->backend, layout.bytes, &error);
    layout = (struct layout){layout.element_bytes, system->memory, 0};
    place(system, &layout);
    for (int i = 0; i < n * n; i++)
        values[i] = scale * weights[i];
    system->backend->assign(system->backend, system->a, values);
    stream_init(&stream, 3);
    for (int i = 0; i < ROWS * n; i++)
        values[i] = stream_normal(&stream);
    system->backend->assign(system->backend, system->u, values);
}

static void system_open(struct system *system, const char *precision, int n,
                        const double *weights, double scale)
{
    system_open_on(system, fixture_backend(precision), n, weights, scale);
}

static void system_close(struct system *system)
{
    system->backend->release(system->backend, system->memory);
    system->backend->close(system->backend);
}

static double *doubles(const struct system *system, struct matrix matrix)
{
    struct model model = {.backend = system->backend};
    return matrix_doubles(&model, matrix);
}

/* |e a - u| / |u|, the worst row's. */
static double residual(const struct system *system)
{
    int n = system->n;
    double worst = 0.0;
    double *a = doubles(system, system->a), *u = doubles(system, system->u);
    double *e = doubles(system, system->e);
    for (int i = 0; i < ROWS; i++) {
        double off = 0.0;
        for (int j = 0; j < n; j++) {
            double sum = -u[i * n + j];
            for (int k = 0; k < n; k++)
                sum += e[i * n + k] * a[k * n + j];
            off += sum * sum;
        }
        off = sqrt(off) / norm(u + i * n, (size_t)n);
        worst = off <= worst ? worst : off;
    }
    free(a);
    free(u);
    free(e);
    return worst;
}

static void solve_by_lu(struct system *system)
{
    struct backend *backend = system->backend;
    backend->divide(backend, system->a, (struct matrix){0}, &system->factor,
                    system->u, system->spare, system->e);
}

static void solve_by_gram(struct system *system)
{
    struct backend *backend = system->backend;
    backend->gram(backend, system->a, DIAGONAL_ZERO, system->gram);
    backend->divide(backend, system->a, system->gram, &system->factor,
                    system->u, system->spare, system->e);
}

/* Whether both ways give the same bits, which is to say: one way was taken. */
static bool is_same(struct system *system)
{
    solve_by_gram(system);
    double *by_gram = doubles(system, system->e);
    solve_by_lu(system);
    double *by_lu = doubles(system, system->e);
    size_t bytes = (size_t)ROWS * (size_t)system->n * sizeof *by_lu;
    bool is = memcmp(by_gram, by_lu, bytes) == 0;
    free(by_gram);
    free(by_lu);
    return is;
}

static const char *const precisions[] = {"float32", "float64"};

static void lu_solves_at_every_size(void **state)
{
    static const int sizes[] = {1, 2, 31, 32, 33, 63, 64, 65, 160, 179};
    static double weights[SIDE * SIDE];
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct system system;
        int n = sizes[i % 10];
        assert_true(initial_weights(5, false, n, weights));
        system_open(&system, precisions[i / 10], n, weights, 1.0);
        solve_by_lu(&system);
        assert_within(residual(&system), 0.0, 4000.0 * system.epsilon);
        system_close(&system);
    }
}

/* Rows in descending order of size from below: every pivot is far down. */
static void lu_pivots_across_panels(void **state)
{
    static double weights[SIDE * SIDE];
    (void)state;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            weights[i * SIDE + j] =
                i + j == SIDE - 1 ? 1.0 : 1e-9 * cos(i * SIDE + j);
    for (int p = 0; p < 2; p++) {
        struct system system;
        system_open(&system, precisions[p], SIDE, weights, 1.0);
        solve_by_lu(&system);
        assert_within(residual(&system), 0.0, 4.0 * system.epsilon);
        system_close(&system);
    }
}

static void near_orthogonal_weights_take_the_short_way(void **state)
{
    static double weights[SIDE * SIDE];
    (void)state;
    assert_true(initial_weights(5, true, SIDE, weights));
    for (int i = 0; i < SIDE * SIDE; i++)
        weights[i] += 1e-3 * sin(i);
    for (int p = 0; p < 2; p++) {
        struct system system;
        system_open(&system, precisions[p], SIDE, weights, 1.0);
        assert_int_equal(is_same(&system), !fixture_is_cpu());
        solve_by_gram(&system);
        assert_within(residual(&system), 0.0, 64.0 * system.epsilon);
        system_close(&system);
    }
}

/* Xavier weights are far from orthogonal; the squares of huge ones overflow;
 * zeros have no inverse. */
static void others_are_solved_as_ever(void **state)
{
    static double xavier[SIDE * SIDE], orthogonal[SIDE * SIDE];
    static const double scales[] = {1.0, 1e19, 1e20, 1e25, 0.0, NAN};
    (void)state;
    assert_true(initial_weights(5, false, SIDE, xavier));
    assert_true(initial_weights(5, true, SIDE, orthogonal));
    for (int i = 0; i < 6; i++) {
        struct system system;
        system_open(&system, "float32", SIDE, i ? orthogonal : xavier,
                    scales[i]);
        assert_true(is_same(&system));
        system_close(&system);
    }
}

/* A residual that is not LU's is not accepted: here the Gram matrix is that of
 * another matrix. */
static void the_residual_is_that_of_the_system(void **state)
{
    static double weights[SIDE * SIDE];
    struct system system;
    (void)state;
    assert_true(initial_weights(5, true, SIDE, weights));
    system_open(&system, "float32", SIDE, weights, 1.0);
    struct backend *backend = system.backend;
    backend->gram(backend, system.a, DIAGONAL_ZERO, system.gram);
    float *wrong = (float *)system.gram.values + 3 * SIDE + 5, element;
    backend->copy_out(backend, &element, wrong, sizeof element);
    element += 1e-3f;
    backend->copy_in(backend, wrong, &element, sizeof element);
    backend->divide(backend, system.a, system.gram, &system.factor, system.u,
                    system.spare, system.e);
    double *got = doubles(&system, system.e);
    solve_by_lu(&system);
    double *expected = doubles(&system, system.e);
    assert_memory_equal(got, expected, ROWS * SIDE * sizeof *got);
    free(got);
    free(expected);
    system_close(&system);
}

/* A product with TF32 is off by 5e-4; errors are not.  The replacement
 * libraries are told that it is meant. */
static void errors_are_as_exact_with_tf32(void **state)
{
    static double weights[SIDE * SIDE];
    struct settings settings;
    struct error error;
    struct system system;
    (void)state;
    if (device_info(fixture_device())->capability < 80) /* has no TF32 */
        skip();
    settings_init(&settings);
    snprintf(settings.precision, sizeof settings.precision, "float32");
    settings.tf32 = true;
    setenv("CUDASHIM_TF32", "1", 1);
    struct backend *backend =
        device_backend(fixture_device(), &settings, &error);
    assert_non_null(backend);
    assert_true(initial_weights(5, true, SIDE, weights));
    system_open_on(&system, backend, SIDE, weights, 1.0);
    solve_by_lu(&system);
    assert_within(residual(&system), 0.0, 64.0 * system.epsilon);
    backend->product(backend, 1.0, system.u, PLAIN, system.a, PLAIN, 0.0,
                     system.e);
    double *rounded = doubles(&system, system.e);
    double by_hand = 0.0, *u = doubles(&system, system.u);
    double *a = doubles(&system, system.a);
    for (int k = 0; k < SIDE; k++)
        by_hand += u[k] * a[k * SIDE];
    if (fabs(rounded[0] - by_hand) < 1e-6)
        fail_msg("a product with TF32 is %.9g, and exactly it is %.9g: it was "
                 "not rounded",
                 rounded[0], by_hand);
    free(rounded);
    free(a);
    free(u);
    system_close(&system);
    unsetenv("CUDASHIM_TF32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lu_solves_at_every_size),
        cmocka_unit_test(lu_pivots_across_panels),
        cmocka_unit_test(near_orthogonal_weights_take_the_short_way),
        cmocka_unit_test(others_are_solved_as_ever),
        cmocka_unit_test(the_residual_is_that_of_the_system),
        cmocka_unit_test(errors_are_as_exact_with_tf32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
