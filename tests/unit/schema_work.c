#include "schema_fixture.h"

#include "schema/work.h"

static const struct dataset_shape shape = {
    .train_rows = 60, .test_rows = 40, .width = 784};
static const struct dataset_shape mnist = {
    .train_rows = 60000, .test_rows = 10000, .width = 784};

static struct work work_of(const char *text, const struct dataset_shape *data)
{
    struct settings settings;
    struct faults faults;
    struct work work;
    cJSON *object = json(text);
    faults_init(&faults);
    assert_true(settings_read(object, &settings, &faults));
    settings_check(&settings, data, &faults);
    assert_faults(&faults, "");
    cJSON_Delete(object);
    work_init(&work, &settings, data);
    return work;
}

static void assert_flops(double got, double expected)
{
    if (!(got > expected * (1 - 1e-12) && got < expected * (1 + 1e-12)))
        fail_msg("%.17g, expected %.17g", got, expected);
}

/* Ten steps of 6 rows an epoch; an evaluation goes through 100 rows. */
#define TINY "'tower': true, 'widths': '20x10', 'batch_size': 6, 'nb_epochs': 2"

/* By hand, for layers of 20 and 10 units:
 * forward 2 (400 + 100) 6 = 6000, gradients 6000, errors 2 100 6 = 1200;
 * a row 2 (20 20 + 10 10) = 1000. */
static void backpropagation(void **state)
{
    (void)state;
    struct work work = work_of("{" TINY "}", &shape);
    assert_flops(work.training_flops, 20 * 13200);
    assert_flops(work.evaluation_flops, 3 * 100 * 1000);
    assert_flops(work.once_flops, 3 * 100 * 1000);
    assert_int_equal(work.evaluations_per_epoch, 1);
    assert_int_equal(work.evaluation_rows, 100);
}

/* The factors 2/3 10^3 for layer 1 alone, the regulariser 3 (20^3 + 10^3). */
static void inverses_and_regulariser(void **state)
{
    (void)state;
    struct work work = work_of("{'algorithm': 'GAIT', " TINY "}", &shape);
    assert_flops(work.training_flops, 20 * (13200 + 2000.0 / 3));
    work =
        work_of("{'algorithm': 'TP', 'orthogonal_reg': 1, " TINY "}", &shape);
    assert_flops(work.training_flops, 20 * (13200 + 2000.0 / 3 + 27000));
    work = work_of("{'orthogonal_reg': 1, " TINY "}", &shape);
    assert_flops(work.training_flops, 20 * (13200 + 27000));
}

/* Forward and two gradients 18000, errors 1200 twice, W W^T 9000 and singular
 * values 8/3 of that; for a rule that inverts, its factors too. */
static void diagnostics_are_evaluation(void **state)
{
    (void)state;
    struct work work = work_of("{'diagnostics': true, " TINY "}", &shape);
    assert_flops(work.training_flops, 20 * 13200);
    assert_flops(work.evaluation_flops, 3 * (100000 + 18000 + 2400 + 33000));
    work =
        work_of("{'diagnostics': true, 'algorithm': 'GAIT', " TINY "}", &shape);
    assert_flops(work.evaluation_flops,
                 3 * (100000 + 18000 + 2400 + 2000.0 / 3 + 33000));
}

/* At batches 4, 7 and 10 of each epoch. */
static void cadence_and_rows(void **state)
{
    (void)state;
    struct work work =
        work_of("{'eval_every': 3, 'eval_offset': 1, " TINY "}", &shape);
    assert_int_equal(work.evaluations_per_epoch, 3);
    assert_flops(work.evaluation_flops, 7 * 100000);
    assert_flops(work.once_flops, 3 * 100000);
    work = work_of("{'train_rows': 30, 'valid_rows': 20, 'test_rows': 10, " TINY
                   "}",
                   &shape);
    assert_int_equal(work.evaluation_rows, 60);
    assert_flops(work.training_flops, 10 * 13200);
}

/* Four hidden layers and the output layer, 784 wide: 1.03 GFLOP a step of BP,
 * 9.5 of GAIT with regulariser, 49 for 10,000 rows. */
static void as_published(void **state)
{
    (void)state;
    static const char bp[] =
        "{'nb_layers': 4, 'nb_epochs': 1, 'eval_every': 10, 'eval_offset': 1}";
    static const char gait[] =
        "{'algorithm': 'GAIT', 'orthogonal_reg': 0.1, 'nb_layers': 4, "
        "'nb_epochs': 1}";
    double square = 614656, cube = 481890304;
    struct work work = work_of(bp, &mnist);
    assert_int_equal(work.evaluations_per_epoch, 100);
    assert_int_equal(work.evaluation_rows, 70000);
    assert_flops(work.training_flops, 1000 * 14 * 2 * square * 60);
    assert_flops(work.evaluation_flops,
                 101 * 70000.0 * (4 * 2 * square + 15680));
    work = work_of(gait, &mnist);
    assert_flops(work.training_flops,
                 1000 * (14 * 2 * square * 60 + 4 * 2 * cube / 3 + 15 * cube));
}

static void evaluations_are_those_of_the_engine(void **state)
{
    (void)state;
    struct settings settings;
    settings_init(&settings);
    for (int64_t steps = 1; steps < 12; steps++)
        for (settings.eval_every = 0; settings.eval_every < 14;
             settings.eval_every++)
            for (settings.eval_offset = 0; settings.eval_offset < 14;
                 settings.eval_offset++) {
                int64_t count = 1; /* the end */
                for (int64_t batch = 1; batch < steps; batch++) {
                    int64_t past = batch - settings.eval_offset;
                    count += settings.eval_every && past > 0 &&
                             past % settings.eval_every == 0;
                }
                assert_int_equal(work_evaluations(&settings, steps), count);
            }
}

static void sums_keep_what_is_common(void **state)
{
    (void)state;
    struct work a = work_of("{" TINY "}", &shape), sum;
    struct work b = work_of("{'eval_every': 3, " TINY "}", &shape);
    work_add(&sum, &a, true);
    work_add(&sum, &a, false);
    assert_int_equal(sum.evaluations_per_epoch, 1);
    work_add(&sum, &b, false);
    work_add(&sum, &a, false);
    assert_int_equal(sum.evaluations_per_epoch, 0);
    assert_int_equal(sum.evaluation_rows, 100);
    assert_flops(sum.training_flops, 4 * a.training_flops);
    assert_flops(sum.once_flops, 4 * a.once_flops);
    assert_flops(sum.evaluation_flops,
                 3 * a.evaluation_flops + b.evaluation_flops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backpropagation),
        cmocka_unit_test(inverses_and_regulariser),
        cmocka_unit_test(diagnostics_are_evaluation),
        cmocka_unit_test(cadence_and_rows),
        cmocka_unit_test(as_published),
        cmocka_unit_test(evaluations_are_those_of_the_engine),
        cmocka_unit_test(sums_keep_what_is_common),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
