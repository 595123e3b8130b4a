/* What the CPU backend does at the edges: numbers that are not finite, ties,
 * faults, its name, and the snapshot of a backend that is not on the host. */
#include "worker_engine_fixture.h"

#include <float.h>

#include "worker/engine/snapshot.h"

static struct backend *open_backend(const char *precision)
{
    struct error error;
    struct backend *backend = backend_cpu_open(precision, 1, &error);
    assert_non_null(backend);
    return backend;
}

static struct matrix vector(float *values, int count)
{
    return (struct matrix){values, 1, count, count};
}

enum { ODD = 19 }; /* vector loops have a tail */

/* The flags of one update with gradient g, first moment m and parameter p in
 * the last element. */
static uint32_t faults(float p, float m, float g)
{
    float values[ODD] = {0}, ms[ODD] = {0}, vs[ODD] = {0}, gs[ODD] = {0};
    uint32_t flags = 0;
    struct backend *backend = open_backend("float32");
    values[ODD - 1] = p;
    ms[ODD - 1] = m;
    gs[ODD - 1] = g;
    struct update update = {vector(values, ODD), vector(ms, ODD),
                            vector(vs, ODD), vector(gs, ODD)};
    backend->descend(backend, &update, 1e-3, &flags);
    backend->close(backend);
    return flags;
}

static void faults_say_what_is_not_finite(void **state)
{
    (void)state;
    assert_int_equal(faults(0.0f, 0.0f, 0.0f), 0);
    assert_int_equal(faults(1.0f, 1.0f, 1e18f), 0);
    assert_int_equal(faults(0.0f, 0.0f, 1e25f), FAULT_MOMENT);
    assert_int_equal(faults(0.0f, 0.0f, NAN),
                     FAULT_GRADIENT | FAULT_MOMENT | FAULT_PARAMETER);
    assert_int_equal(faults(0.0f, 0.0f, INFINITY) & FAULT_GRADIENT,
                     FAULT_GRADIENT);
    assert_int_equal(faults(INFINITY, 0.0f, 0.0f), FAULT_PARAMETER);
    assert_int_equal(faults(FLT_MAX, -FLT_MAX, 0.0f), FAULT_PARAMETER);
}

static void an_update_is_the_published_one(void **state)
{
    (void)state;
    double p = 0.5, m = 0.25, v = 0.04, g = -2.0;
    uint32_t flags = 0;
    struct backend *backend = open_backend("float64");
    struct update update = {
        {&p, 1, 1, 1}, {&m, 1, 1, 1}, {&v, 1, 1, 1}, {&g, 1, 1, 1}};
    backend->descend(backend, &update, 0.1, &flags);
    assert_within(m, 0.9 * 0.25 + 0.1 * -2.0, 1e-16);
    assert_within(v, 0.99 * 0.04 + 0.01 * 4.0, 1e-16);
    assert_within(p, 0.5 - 0.1 * m / (1e-8 + sqrt(v)), 1e-16);
    assert_int_equal(flags, 0);
    backend->close(backend);
}

static void what_is_no_number_stays_none(void **state)
{
    (void)state;
    float z[ODD], bias[ODD] = {0}, e[ODD], delta[ODD];
    struct backend *backend = open_backend("float32");
    for (int i = 0; i < ODD; i++) {
        z[i] = i % 2 ? NAN : -1.0f;
        e[i] = i % 3 ? NAN : 1.0f;
    }
    backend->activate(backend, vector(z, ODD), vector(bias, ODD), 0.1);
    backend->gate(backend, vector(z, ODD), vector(e, ODD), 0.1,
                  vector(delta, ODD));
    for (int i = 0; i < ODD; i++) {
        assert_int_equal(isnan(z[i]) != 0, i % 2);
        assert_int_equal(isnan(delta[i]) != 0, i % 3 != 0);
    }
    backend->close(backend);
}

static void the_first_of_equal_outputs_wins(void **state)
{
    (void)state;
    float y[3][4] = {{0.5f, 1.0f, 1.0f, 0.0f}, {0}, {NAN, 0.0f, 1.0f, 0.0f}};
    uint8_t labels[3] = {1, 0, 3};
    int64_t correct = 5;
    double loss = 1.0;
    struct backend *backend = open_backend("float32");
    backend->score(backend, (struct matrix){y, 2, 4, 4}, labels, &correct,
                   &loss);
    assert_int_equal(correct, 5 + 2);
    assert_within(loss, 1.0 + 1.25 + 1.0, 1e-12);
    backend->score(backend, (struct matrix){y, 3, 4, 4}, labels, &correct,
                   &loss);
    assert_true(isnan(loss));
    backend->close(backend);
}

static void a_singular_matrix_gives_no_finite_error(void **state)
{
    (void)state;
    double a[4] = {1.0, 2.0, 2.0, 4.0}, lu[4], e[2] = {1.0, 1.0};
    int pivots[2];
    struct backend *backend = open_backend("float64");
    struct factor factor = {{lu, 2, 2, 2}, pivots};
    backend->factor(backend, (struct matrix){a, 2, 2, 2}, &factor);
    backend->solve(backend, &factor, (struct matrix){e, 1, 2, 2});
    assert_false(isfinite(e[0]) && isfinite(e[1]));
    backend->close(backend);
}

static void the_device_class_names_library_and_core(void **state)
{
    (void)state;
    char text[100], core[100];
    int major, minor;
    backend_cpu_device_class(text, sizeof text);
    if (sscanf(text, "cpu OpenBLAS-%d.%d%*s %99s", &major, &minor, core) != 3)
        fail_msg("device class is \"%s\"", text);
    assert_string_equal(strrchr(text, ' ') + 1, core);
}

static void too_much_memory_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct backend *backend = open_backend("float32");
    assert_null(backend->allocate(backend, SIZE_MAX / 2 + 1, &error));
    assert_int_equal(error.code, ERROR_MEMORY);
    backend->release(backend, NULL);
    backend->close(backend);
}

/* A device's memory is read and written through copies only. */
static void a_snapshot_copies_what_is_not_on_the_host(void **state)
{
    (void)state;
    struct model model;
    struct settings settings;
    struct error error;
    struct snapshot far, near;
    uint8_t before[16], after[16];
    int widths[2] = {12, 10};
    settings_init(&settings);
    model_open(&model, &settings, widths, 2);
    assert_true(network_start(&model.network, 1, false, &error));
    snapshot_init(&near, &model.network);
    model.backend->is_host = false;
    snapshot_init(&far, &model.network);

    assert_true(snapshot_read(&far, &error));
    assert_true(snapshot_hash(&far, before, &error));
    assert_true(snapshot_hash(&near, after, &error));
    assert_memory_equal(before, after, 16);

    ((float *)far.tensors[far.count - 1].values)[9] = 3.0f;
    assert_true(snapshot_hash(&near, after, &error));
    assert_memory_equal(before, after, 16);
    snapshot_write(&far);
    assert_true(snapshot_hash(&near, after, &error));
    assert_memory_not_equal(before, after, 16);
    snapshot_release(&far);
    snapshot_release(&near);
    model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_say_what_is_not_finite),
        cmocka_unit_test(an_update_is_the_published_one),
        cmocka_unit_test(what_is_no_number_stays_none),
        cmocka_unit_test(the_first_of_equal_outputs_wins),
        cmocka_unit_test(a_singular_matrix_gives_no_finite_error),
        cmocka_unit_test(the_device_class_names_library_and_core),
        cmocka_unit_test(too_much_memory_is_refused),
        cmocka_unit_test(a_snapshot_copies_what_is_not_on_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
