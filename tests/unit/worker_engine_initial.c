/* Initial weights, the random stream and the shuffle, against NumPy's values
 * and what a permutation has to be. */
#include "worker_engine_fixture.h"

#include "worker/engine/initial.h"
#include "worker/engine/order.h"
#include "worker/engine/stream.h"

static void the_stream_is_numpys(void **state)
{
    (void)state;
    struct stream stream;
    stream_init(&stream, 5489);
    assert_int_equal(stream_word(&stream), 3499211612u);
    for (int i = 2; i < 10000; i++)
        stream_word(&stream);
    assert_int_equal(stream_word(&stream), 4123659995u);
    stream_init(&stream, 1); /* np.random.seed(1); np.random.normal(size=3) */
    assert_within(stream_normal(&stream), 1.6243453636632417, 1e-15);
    assert_within(stream_normal(&stream), -0.6117564136500754, 1e-15);
    assert_within(stream_normal(&stream), -0.5281717522634557, 1e-15);
}

static void orthogonal_weights_are_the_published_ones(void **state)
{
    (void)state;
    enum { N = 784 };
    double small[16], trace = 0.0;
    double *weights = malloc(N * N * sizeof *weights);
    assert_non_null(weights);
    assert_true(initial_weights(1, true, 4, small));
    assert_within(small[0], 0.77062242, 5e-9);
    assert_within(small[1], -0.18660991, 5e-9);
    assert_within(small[2], -0.37804738, 5e-9);
    assert_within(small[3], -0.47791003, 5e-9);
    assert_true(initial_weights(1, true, N, weights));
    for (int i = 0; i < N; i++)
        trace += weights[i * (N + 1)];
    assert_within(weights[0], 0.058065211023250, 1e-14);
    assert_within(weights[1], -0.029928334254670, 1e-14);
    assert_within(weights[2], -0.059889131870559, 1e-14);
    assert_within(trace, 2.69549079743, 1e-11);
    free(weights);
}

static void orthogonal_weights_are_orthogonal_at_any_width(void **state)
{
    (void)state;
    double w[33 * 33];
    for (int n = 1; n <= 33; n++) {
        assert_true(initial_weights((uint32_t)n, true, n, w));
        for (int a = 0; a < n; a++)
            for (int b = 0; b < n; b++) {
                double product = 0.0;
                for (int k = 0; k < n; k++)
                    product += w[a * n + k] * w[b * n + k];
                assert_within(product, a == b, 1e-13);
            }
    }
}

static void xavier_weights_are_scaled_normals(void **state)
{
    (void)state;
    double w[16];
    struct stream stream;
    stream_init(&stream, 12);
    assert_true(initial_weights(12, false, 4, w));
    for (int i = 0; i < 16; i++)
        assert_within(w[i], stream_normal(&stream) * 0.5, 0.0);
}

static void the_output_layer_of_a_square_repeats_a_seed(void **state)
{
    (void)state;
    assert_int_equal(initial_seed(7, 0, 3, true), 7);
    assert_int_equal(initial_seed(7, 1, 3, true), 8);
    assert_int_equal(initial_seed(7, 2, 3, true), 8);
    assert_int_equal(initial_seed(7, 1, 2, true), 7);
    assert_int_equal(initial_seed(7, 0, 1, true), 7);
    assert_int_equal(initial_seed(7, 2, 3, false), 9);
    assert_int_equal(initial_seed(4294967230, 64, 65, false), 4294967294u);
}

static void a_shuffle_is_a_permutation_of_its_epoch(void **state)
{
    (void)state;
    enum { ROWS = 1000 };
    int32_t order[ROWS], again[ROWS], next[ROWS], other[ROWS];
    bool is_seen[ROWS] = {false};
    int moved = 0;
    order_shuffle(1, 3, order, ROWS);
    order_shuffle(1, 3, again, ROWS);
    order_shuffle(1, 4, next, ROWS);
    order_shuffle(2, 3, other, ROWS);
    for (int i = 0; i < ROWS; i++) {
        assert_in_range(order[i], 0, ROWS - 1);
        assert_false(is_seen[order[i]]);
        is_seen[order[i]] = true;
        moved += order[i] != i;
    }
    assert_true(moved > ROWS * 9 / 10);
    assert_memory_equal(order, again, sizeof order);
    assert_memory_not_equal(order, next, sizeof order);
    assert_memory_not_equal(order, other, sizeof order);
}

/* A run restored by a later build must go on in the same order. */
static void a_shuffle_never_changes(void **state)
{
    (void)state;
    static const int32_t expected[8] = {3, 7, 6, 2, 4, 5, 1, 0};
    int32_t order[8];
    order_shuffle(1, 0, order, 8);
    assert_memory_equal(order, expected, sizeof order);
    order_shuffle(1, 0, order, 1);
    assert_int_equal(order[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_numpys),
        cmocka_unit_test(orthogonal_weights_are_the_published_ones),
        cmocka_unit_test(orthogonal_weights_are_orthogonal_at_any_width),
        cmocka_unit_test(xavier_weights_are_scaled_normals),
        cmocka_unit_test(the_output_layer_of_a_square_repeats_a_seed),
        cmocka_unit_test(a_shuffle_is_a_permutation_of_its_epoch),
        cmocka_unit_test(a_shuffle_never_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
