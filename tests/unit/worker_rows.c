#include "worker/rows.h"

#include <math.h>

#include "worker_fixture.h"

static void add_samples(struct rows *rows)
{
    for (int i = 0; i < 40; i++) {
        struct evaluation row = {
            .step = 10 * i,
            .epoch = i / 6,
            .train_accuracy = 1 / 3.0,
            .train_loss = 1e-300 / (i + 1),
            .valid_accuracy = NAN,
            .valid_loss = i & 1 ? NAN : 0.1,
            .test_accuracy = nextafter(0.5, 1),
            .test_loss = 123456789.123456789,
            .state_hash = {(uint8_t)i, 0xab, [15] = 0x01},
            .seconds = 0.1 * i,
            .layer_count = i % 3,
            .layers = {{NAN, 1 / 7.0, 1e9, 0.1 * i}, {180, 0, NAN, 3}},
        };
        rows_add(rows, &row);
    }
}

static void assert_same_double(double a, double b)
{
    bool is_same = isnan(b) ? isnan(a) : a == b && signbit(a) == signbit(b);
    if (!is_same)
        fail_msg("%.17g, expected %.17g", a, b);
}

static void come_back_bit_for_bit(void **state)
{
    (void)state;
    struct rows rows = {0}, back;
    struct error error = {0};
    add_samples(&rows);
    char *text = rows_print(&rows);
    if (!rows_init(&back, text, &error))
        fail_msg("%s", error.text);
    assert_int_equal(back.count, rows.count);
    for (int i = 0; i < rows.count; i++) {
        const struct evaluation *a = &back.items[i], *b = &rows.items[i];
        assert_int_equal(a->step, b->step);
        assert_int_equal(a->epoch, b->epoch);
        assert_same_double(a->train_accuracy, b->train_accuracy);
        assert_same_double(a->train_loss, b->train_loss);
        assert_same_double(a->valid_accuracy, b->valid_accuracy);
        assert_same_double(a->valid_loss, b->valid_loss);
        assert_same_double(a->test_accuracy, b->test_accuracy);
        assert_same_double(a->test_loss, b->test_loss);
        assert_same_double(a->seconds, b->seconds);
        assert_memory_equal(a->state_hash, b->state_hash, 16);
        assert_int_equal(a->layer_count, b->layer_count);
        for (int l = 0; l < a->layer_count; l++) {
            const struct diagnostic *x = &a->layers[l], *y = &b->layers[l];
            assert_same_double(x->angle, y->angle);
            assert_same_double(x->off_diagonal, y->off_diagonal);
            assert_same_double(x->condition, y->condition);
            assert_same_double(x->error_rms, y->error_rms);
        }
    }
    free(text);
    rows_release(&rows);
    rows_release(&back);
}

static void drop_what_is_committed(void **state)
{
    (void)state;
    struct rows rows = {0};
    add_samples(&rows);
    assert_int_equal(rows_find(&rows, 120)->step, 120);
    assert_null(rows_find(&rows, 125));
    rows_commit(&rows, -1);
    assert_int_equal(rows.count, 40);
    rows_commit(&rows, 120);
    assert_int_equal(rows.count, 27);
    assert_int_equal(rows.items[0].step, 130);
    assert_null(rows_find(&rows, 120));
    rows_commit(&rows, 100000);
    assert_int_equal(rows.count, 0);
    char *text = rows_print(&rows);
    assert_string_equal(text, "");
    free(text);
    rows_release(&rows);
}

static void refuse_other_text(void **state)
{
    (void)state;
    struct rows rows = {0}, back;
    struct error error = {0};
    add_samples(&rows);
    rows_commit(&rows, 370);
    char *text = rows_print(&rows); /* two lines */
    char *twice = xprintf("%s%s", text, text);
    char *cut = xprintf("%.100s", text);
    assert_true(rows_init(&back, text, &error));
    rows_release(&back);
    assert_false(rows_init(&back, twice, &error));
    assert_string_equal(error.text, "its rows: steps do not increase");
    assert_false(rows_init(&back, cut, &error));
    assert_false(rows_init(&back, "{\"step\":1}", &error));
    assert_string_equal(error.text, "its rows: \"epoch\" is missing");
    assert_null(back.items);
    free(text);
    free(twice);
    free(cut);
    rows_release(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(come_back_bit_for_bit),
        cmocka_unit_test(drop_what_is_committed),
        cmocka_unit_test(refuse_other_text),
    };
    return cmocka_run_group_tests_name("worker_rows", tests, NULL, NULL);
}
