#include "worker/engine/system.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/stream.h"

static void place(struct system *system, struct layout *layout)
{
    struct backend *backend = system->backend;
    int n = system->n;
    system->a = layout_matrix(layout, n, n);
    system->gram = layout_matrix(layout, n, n);
    system->factor.values = layout_matrix(layout, n, n);
    system->factor.pivots = layout_bytes(layout, (size_t)n * sizeof(int));
    system->factor.scratch =
        layout_bytes(layout, backend->scratch_bytes(backend, FOR_FACTOR, n));
    system->u = layout_matrix(layout, SYSTEM_ROWS, n);
    system->spare = layout_matrix(layout, SYSTEM_ROWS, n);
    system->e = matrix_corner(layout_matrix(layout, SYSTEM_ROWS, n + 5),
                              SYSTEM_ROWS, n);
}

static bool allocate(struct system *system, struct error *error)
{
    struct backend *backend = system->backend;
    struct layout layout = {.element_bytes = backend->element_bytes};
    place(system, &layout);
    system->memory = backend->allocate(backend, layout.bytes, error);
    layout = (struct layout){backend->element_bytes, system->memory, 0};
    place(system, &layout);
    return system->memory;
}

static bool fill(struct system *system, const double *weights, double scale,
                 struct error *error)
{
    struct backend *backend = system->backend;
    struct stream stream;
    int n = system->n, most = n > SYSTEM_ROWS ? n : SYSTEM_ROWS;
    double *values = malloc((size_t)n * (size_t)most * sizeof *values);
    if (!values)
        return error_set(error, ERROR_MEMORY, "no memory for a system");
    for (int i = 0; i < n * n; i++)
        values[i] = scale * weights[i];
    backend->assign(backend, system->a, values);
    stream_init(&stream, 3);
    for (int i = 0; i < SYSTEM_ROWS * n; i++)
        values[i] = stream_normal(&stream);
    backend->assign(backend, system->u, values);
    free(values);
    return true;
}

bool system_open(struct system *system, struct backend *backend, int n,
                 const double *weights, double scale, struct error *error)
{
    *system = (struct system){.backend = backend, .n = n};
    system->epsilon = backend->element_bytes == sizeof(float)
                          ? (double)FLT_EPSILON
                          : DBL_EPSILON;
    if (allocate(system, error) && fill(system, weights, scale, error))
        return true;
    system_close(system);
    return false;
}

void system_close(struct system *system)
{
    system->backend->release(system->backend, system->memory);
    system->memory = NULL;
}

void system_solve(struct system *system)
{
    struct backend *backend = system->backend;
    backend->divide(backend, system->a, (struct matrix){0}, &system->factor,
                    system->u, system->spare, system->e);
}

void system_solve_by_gram(struct system *system)
{
    struct backend *backend = system->backend;
    backend->gram(backend, system->a, DIAGONAL_ZERO, system->gram);
    backend->divide(backend, system->a, system->gram, &system->factor,
                    system->u, system->spare, system->e);
}

static double row_residual(const double *a, const double *u, const double *e,
                           int n)
{
    double off = 0.0, norm = 0.0;
    for (int j = 0; j < n; j++) {
        double sum = -u[j];
        for (int k = 0; k < n; k++)
            sum += e[k] * a[k * n + j];
        off += sum * sum;
        norm += u[j] * u[j];
    }
    return sqrt(off / norm);
}

static double worst_residual(const double *a, const double *u, const double *e,
                             int n)
{
    double worst = 0.0;
    for (int i = 0; i < SYSTEM_ROWS && !isnan(worst); i++) {
        double off = row_residual(a, u + i * n, e + i * n, n);
        worst = off <= worst ? worst : off;
    }
    return worst;
}

double system_residual(const struct system *system)
{
    struct backend *backend = system->backend;
    double *a = matrix_doubles(backend, system->a);
    double *u = matrix_doubles(backend, system->u);
    double *e = matrix_doubles(backend, system->e);
    double worst = a && u && e ? worst_residual(a, u, e, system->n) : NAN;
    free(a);
    free(u);
    free(e);
    return worst;
}

bool system_is_same(struct system *system)
{
    size_t bytes = SYSTEM_ROWS * (size_t)system->n * sizeof(double);
    system_solve_by_gram(system);
    double *by_gram = matrix_doubles(system->backend, system->e);
    system_solve(system);
    double *by_lu = matrix_doubles(system->backend, system->e);
    bool is = by_gram && by_lu && memcmp(by_gram, by_lu, bytes) == 0;
    free(by_gram);
    free(by_lu);
    return is;
}
