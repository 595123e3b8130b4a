/* selftest_system.c: errors through the inverse: sizes around a warp's and a
 * block's, matrices near to singular, and TF32, which must not show.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/memory.h"
#include "worker/engine/device.h"
#include "worker/engine/initial.h"
#include "worker/engine/system.h"
#include "worker/selftest_inside.h"

enum { WIDE = SELFTEST_WIDTH, TF32_CAPABILITY = 80 };

/* a = p diag(1 .. 1 / condition) q of orthogonal p and q. */
static bool draw_conditioned(int n, double condition, double *a)
{
    size_t count = (size_t)n * (size_t)n;
    double *p = xcalloc(count, sizeof *p), *q = xcalloc(count, sizeof *q);
    bool is_drawn =
        initial_weights(5, true, n, p) && initial_weights(6, true, n, q);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            a[i * n + j] = 0.0;
            for (int k = 0; k < n; k++)
                a[i * n + j] += p[i * n + k] * q[k * n + j] *
                                pow(condition, -k / (n - 1.0));
        }
    free(p);
    free(q);
    return is_drawn;
}

/* A factor is rounded to ten bits in products, and in nothing else. */
static void check_product(struct selftest *test, struct system *system)
{
    struct backend *backend = system->backend;
    backend->product(backend, -1.0, system->e, PLAIN, system->a, PLAIN, 0.0,
                     system->spare);
    double off = backend->norm(backend, 1.0, system->u, 1.0, system->spare) /
                 backend->norm(backend, 1.0, system->u, 0.0, system->u);
    selftest_report(test, "a product", off, 2e-3);
    printf("  %-44s %s\n", test->where,
           off > 1e-5 ? "(its factors are rounded)"
                      : "(cuBLAS has chosen not to round its factors)");
}

/* `a` is NULL where there was no memory to draw it. */
static void check(struct selftest *test, const struct settings *settings, int n,
                  double epsilons, const double *a)
{
    struct error error = {ERROR_MEMORY, "no memory for a matrix"};
    struct system system;
    struct backend *backend =
        a ? device_backend(test->gpu, settings, &error) : NULL;
    bool is_open = backend && system_open(&system, backend, n, a, 1.0, &error);
    if (is_open) {
        system_solve(&system);
        selftest_report(test, "solved", system_residual(&system),
                        epsilons * system.epsilon);
        if (settings->tf32)
            check_product(test, &system);
    }
    if (!is_open || !backend->check(backend, &error))
        selftest_fail(test, &error);
    if (is_open)
        system_close(&system);
    if (backend)
        backend->close(backend);
}

static void check_sizes(struct selftest *test, const struct settings *settings,
                        double *a)
{
    static const int sizes[] = {1, 2, 31, 32, 33, 65, 179};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        selftest_case(test, "%s, %d unknowns", settings->precision, sizes[i]);
        check(test, settings, sizes[i], 4000.0,
              initial_weights(5, false, sizes[i], a) ? a : NULL);
    }
}

static void check_conditions(struct selftest *test,
                             const struct settings *settings, double *a)
{
    enum { N = 65 };
    static const double conditions[] = {1.0, 1e2, 1e4, 1e8, 1e12};
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        double condition = conditions[i];
        if (condition * selftest_epsilon(settings->precision) > 0.01)
            return;
        selftest_case(test, "%s, condition %.0e", settings->precision,
                      condition);
        check(test, settings, N, 16.0 + condition,
              draw_conditioned(N, condition, a) ? a : NULL);
    }
}

/* Not refined it would be off by 120 epsilons. */
static void check_orthogonal(struct selftest *test,
                             const struct settings *settings, double *a)
{
    selftest_case(test, "%s%s, %d unknowns, orthogonal", settings->precision,
                  settings->tf32 ? " and TF32" : "", WIDE);
    check(test, settings, WIDE, 20.0,
          initial_weights(1, true, WIDE, a) ? a : NULL);
}

void selftest_systems(struct selftest *test)
{
    double *a = xcalloc(WIDE * WIDE, sizeof *a);
    for (int p = 0; p < 2; p++) {
        struct settings settings =
            selftest_settings("BP", selftest_precisions[p]);
        check_sizes(test, &settings, a);
        check_conditions(test, &settings, a);
        check_orthogonal(test, &settings, a);
    }
    struct settings settings = selftest_settings("BP", "float32");
    settings.tf32 = true;
    if (device_info(test->gpu)->capability >= TF32_CAPABILITY)
        check_orthogonal(test, &settings, a);
    free(a);
}
