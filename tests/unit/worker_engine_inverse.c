/* Errors through the inverse: LU by panels, and Cholesky's shorter way, which
 * must never show in the result. */
#include "worker_engine_fixture.h"

#include <float.h>

#include "worker/engine/initial.h"
#include "worker/engine/system.h"

enum { SIDE = 180 };

/* The backend is closed with the system. */
static void open_system_on(struct system *system, struct backend *backend,
                           int n, const double *weights, double scale)
{
    struct error error;
    if (!system_open(system, backend, n, weights, scale, &error))
        fail_msg("%s", error.text);
}

static void open_system(struct system *system, const char *precision, int n,
                        const double *weights, double scale)
{
    open_system_on(system, fixture_backend(precision), n, weights, scale);
}

static void close_system(struct system *system)
{
    system_close(system);
    system->backend->close(system->backend);
}

static double *doubles(const struct system *system, struct matrix matrix)
{
    struct model model = {.backend = system->backend};
    return model_doubles(&model, matrix);
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
        open_system(&system, precisions[i / 10], n, weights, 1.0);
        system_solve(&system);
        assert_within(system_residual(&system), 0.0, 4000.0 * system.epsilon);
        close_system(&system);
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
        open_system(&system, precisions[p], SIDE, weights, 1.0);
        system_solve(&system);
        assert_within(system_residual(&system), 0.0, 4.0 * system.epsilon);
        close_system(&system);
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
        open_system(&system, precisions[p], SIDE, weights, 1.0);
        assert_int_equal(system_is_same(&system), !fixture_is_cpu());
        system_solve_by_gram(&system);
        assert_within(system_residual(&system), 0.0, 64.0 * system.epsilon);
        close_system(&system);
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
        open_system(&system, "float32", SIDE, i ? orthogonal : xavier,
                    scales[i]);
        assert_true(system_is_same(&system));
        close_system(&system);
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
    open_system(&system, "float32", SIDE, weights, 1.0);
    struct backend *backend = system.backend;
    backend->gram(backend, system.a, DIAGONAL_ZERO, system.gram);
    float *wrong = (float *)system.gram.values + 3 * SIDE + 5, element;
    backend->copy_out(backend, &element, wrong, sizeof element);
    element += 1e-3f;
    backend->copy_in(backend, wrong, &element, sizeof element);
    backend->divide(backend, system.a, system.gram, &system.factor, system.u,
                    system.spare, system.e);
    double *got = doubles(&system, system.e);
    system_solve(&system);
    double *expected = doubles(&system, system.e);
    assert_memory_equal(got, expected, SYSTEM_ROWS * SIDE * sizeof *got);
    free(got);
    free(expected);
    close_system(&system);
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
    open_system_on(&system, backend, SIDE, weights, 1.0);
    system_solve(&system);
    assert_within(system_residual(&system), 0.0, 64.0 * system.epsilon);
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
    close_system(&system);
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
