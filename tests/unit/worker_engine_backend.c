/* What a backend does at the edges: numbers that are not finite, ties, faults,
 * its name, and the snapshot of a backend that is not on the host. */
#include "worker_engine_fixture.h"

#include <float.h>

#include "worker/engine/backend_cpu.h"
#include "worker/engine/snapshot.h"

static struct matrix vector(void *values, int count)
{
    return (struct matrix){values, 1, count, count};
}

enum { ODD = 19 }; /* vector loops have a tail */

/* Values of any precision in the backend's memory, and back. */
static struct update lend_update(struct backend *backend, const void *p,
                                 const void *m, const void *v, const void *g,
                                 int count, int layer)
{
    size_t bytes = (size_t)count * backend->element_bytes;
    return (struct update){
        vector(lend(backend, p, bytes), count),
        vector(lend(backend, m, bytes), count),
        vector(lend(backend, v, bytes), count),
        vector(lend(backend, g, bytes), count),
        layer,
    };
}

static void take_update(struct backend *backend, const struct update *update,
                        void *p, void *m, void *v)
{
    size_t bytes = (size_t)update->value.cols * backend->element_bytes;
    take_back(backend, p, update->value.values, bytes);
    take_back(backend, m, update->m.values, bytes);
    take_back(backend, v, update->v.values, bytes);
    backend->release(backend, update->gradient.values);
}

/* What two updates note, of which only the second, in layer 3, has a gradient
 * g, first moment m and parameter p in the last element, at step 7; then the
 * same at step 8. */
static struct faults faults(float p, float m, float g)
{
    float values[ODD] = {0}, ms[ODD] = {0}, vs[ODD] = {0}, gs[ODD] = {0};
    struct faults noted = {0};
    struct backend *backend = fixture_backend("float32");
    struct update updates[2];
    updates[0] = lend_update(backend, values, ms, vs, gs, ODD, 1);
    values[ODD - 1] = p;
    ms[ODD - 1] = m;
    gs[ODD - 1] = g;
    updates[1] = lend_update(backend, values, ms, vs, gs, ODD, 3);
    struct faults *far = lend(backend, &noted, sizeof noted);
    backend->descend(backend, updates, 2, 1e-3, 7, far);
    updates[1].layer = 0;
    backend->descend(backend, updates, 2, 1e-3, 8, far);
    take_back(backend, &noted, far, sizeof noted);
    for (int i = 0; i < 2; i++)
        take_update(backend, &updates[i], values, ms, vs);
    backend->close(backend);
    for (int l = 0; l < LAYERS_MAX; l++)
        if (l != 3)
            assert_int_equal(noted.flags[l], 0);
    return noted;
}

static void faults_say_what_is_not_finite(void **state)
{
    (void)state;
    assert_int_equal(faults(0.0f, 0.0f, 0.0f).step, 0);
    assert_int_equal(faults(0.0f, 0.0f, 0.0f).flags[3], 0);
    assert_int_equal(faults(1.0f, 1.0f, 1e18f).step, 0);
    assert_int_equal(faults(0.0f, 0.0f, 1e25f).flags[3], FAULT_MOMENT);
    assert_int_equal(faults(0.0f, 0.0f, 1e25f).step, 7);
    assert_int_equal(faults(0.0f, 0.0f, NAN).flags[3],
                     FAULT_GRADIENT | FAULT_MOMENT | FAULT_PARAMETER);
    assert_int_equal(faults(0.0f, 0.0f, INFINITY).flags[3] & FAULT_GRADIENT,
                     FAULT_GRADIENT);
    assert_int_equal(faults(INFINITY, 0.0f, 0.0f).flags[3], FAULT_PARAMETER);
    assert_int_equal(faults(FLT_MAX, -FLT_MAX, 0.0f).flags[3], FAULT_PARAMETER);
}

static void an_update_is_the_published_one(void **state)
{
    (void)state;
    double p = 0.5, m = 0.25, v = 0.04, g = -2.0;
    struct faults noted = {0};
    struct backend *backend = fixture_backend("float64");
    struct update update = lend_update(backend, &p, &m, &v, &g, 1, 0);
    struct faults *far = lend(backend, &noted, sizeof noted);
    backend->descend(backend, &update, 1, 0.1, 1, far);
    take_update(backend, &update, &p, &m, &v);
    take_back(backend, &noted, far, sizeof noted);
    assert_within(m, 0.9 * 0.25 + 0.1 * -2.0, 1e-16);
    assert_within(v, 0.99 * 0.04 + 0.01 * 4.0, 1e-16);
    assert_within(p, 0.5 - 0.1 * m / (1e-8 + sqrt(v)), 1e-16);
    assert_int_equal(noted.step, 0);
    backend->close(backend);
}

static void what_is_no_number_stays_none(void **state)
{
    (void)state;
    float z[ODD], bias[ODD] = {0}, e[ODD], delta[ODD];
    struct backend *backend = fixture_backend("float32");
    for (int i = 0; i < ODD; i++) {
        z[i] = i % 2 ? NAN : -1.0f;
        e[i] = i % 3 ? NAN : 1.0f;
    }
    struct matrix far_z = vector(lend(backend, z, sizeof z), ODD);
    struct matrix far_bias = vector(lend(backend, bias, sizeof bias), ODD);
    struct matrix far_e = vector(lend(backend, e, sizeof e), ODD);
    struct matrix far_delta = vector(lend(backend, bias, sizeof bias), ODD);
    backend->activate(backend, far_z, far_bias, 0.1);
    backend->gate(backend, far_z, far_e, 0.1, far_delta);
    take_back(backend, z, far_z.values, sizeof z);
    take_back(backend, delta, far_delta.values, sizeof delta);
    backend->release(backend, far_bias.values);
    backend->release(backend, far_e.values);
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
    struct tally tally = {5, 1.0}, again;
    struct backend *backend = fixture_backend("float32");
    float *far_y = lend(backend, y, sizeof y);
    uint8_t *far_labels = lend(backend, labels, sizeof labels);
    struct tally *far_tally = lend(backend, &tally, sizeof tally);
    backend->score(backend, (struct matrix){far_y, 2, 4, 4}, far_labels,
                   far_tally);
    backend->copy_out(backend, &tally, far_tally, sizeof tally);
    assert_int_equal(tally.correct, 5 + 2);
    assert_within(tally.loss, 1.0 + 1.25 + 1.0, 1e-12);
    backend->score(backend, (struct matrix){far_y, 3, 4, 4}, far_labels,
                   far_tally);
    take_back(backend, &again, far_tally, sizeof again);
    assert_true(isnan(again.loss));
    backend->release(backend, far_y);
    backend->release(backend, far_labels);
    backend->close(backend);
}

static void a_singular_matrix_gives_no_finite_error(void **state)
{
    (void)state;
    double a[4] = {1.0, 2.0, 2.0, 4.0}, e[2] = {1.0, 1.0};
    int pivots[2] = {0};
    struct error error;
    struct backend *backend = fixture_backend("float64");
    struct matrix far_a = {lend(backend, a, sizeof a), 2, 2, 2};
    struct matrix far_e = {lend(backend, e, sizeof e), 1, 2, 2};
    struct factor factor = {
        {lend(backend, a, sizeof a), 2, 2, 2},
        lend(backend, pivots, sizeof pivots),
        backend->allocate(backend,
                          backend->scratch_bytes(backend, FOR_FACTOR, 2) + 1,
                          &error),
    };
    backend->factor(backend, far_a, &factor);
    backend->solve(backend, &factor, far_e);
    take_back(backend, e, far_e.values, sizeof e);
    assert_false(isfinite(e[0]) && isfinite(e[1]));
    backend->release(backend, far_a.values);
    backend->release(backend, factor.values.values);
    backend->release(backend, factor.pivots);
    backend->release(backend, factor.scratch);
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
    struct backend *backend = fixture_backend("float32");
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
    if (!fixture_is_cpu())
        skip();
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

/* There need not be a GPU: libraries read their wishes when they are loaded. */
static void the_environment_has_no_say_in_rounding(void **state)
{
    static const char *const wishes[] = {
        "NVIDIA_TF32_OVERRIDE", "CUBLAS_EMULATE_SINGLE_PRECISION",
        "CUBLAS_EMULATE_DOUBLE_PRECISION", "CUBLAS_EMULATION_STRATEGY"};
    struct error error;
    (void)state;
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
        setenv(wishes[i], "1", 1);
    assert_null(device_open("cuda", "/nowhere/gait-cuda.so", &error));
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
        if (getenv(wishes[i]))
            fail_msg("%s=%s, expected none", wishes[i], getenv(wishes[i]));
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
        cmocka_unit_test(the_environment_has_no_say_in_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
