#include "client_fixture.h"

#include <math.h>

#include "client/curves.h"

static void test_groups(void **state)
{
    (void)state;
    struct curves curves = {0};
    struct cJSON *by = cJSON_Parse("[\"algorithm\",\"learning_rate\"]");
    struct cJSON *a =
        cJSON_Parse("{\"algorithm\":\"BP\",\"learning_rate\":0.1,\"seed\":1}");
    struct cJSON *b =
        cJSON_Parse("{\"algorithm\":\"BP\",\"learning_rate\":0.1,\"seed\":2}");
    struct cJSON *c =
        cJSON_Parse("{\"algorithm\":\"BP\",\"learning_rate\":0.01,\"seed\":1}");
    assert_int_equal(curves_find(&curves, by, a), 0);
    assert_int_equal(curves_find(&curves, by, c), 1);
    assert_int_equal(curves_find(&curves, by, b), 0);
    assert_int_equal(curves.count, 2);
    assert_string_equal(curves.curves[0].name, "BP learning_rate=0.1");
    char *settings = printed(curves.curves[1].settings);
    assert_string_equal(settings,
                        "{\"algorithm\":\"BP\",\"learning_rate\":0.01}");
    free(settings);
    curves_release(&curves);
    cJSON_Delete(by);
    cJSON_Delete(a);
    cJSON_Delete(b);
    cJSON_Delete(c);
}

/* Null: a setting without effect on these jobs. */
static void test_names_leave_out_nulls(void **state)
{
    (void)state;
    struct curves curves = {0};
    struct cJSON *by = cJSON_Parse("[\"algorithm\",\"gamma\"]");
    struct cJSON *only = cJSON_Parse("[\"gamma\"]");
    struct cJSON *bp = cJSON_Parse("{\"algorithm\":\"BP\",\"gamma\":null}");
    curves_find(&curves, by, bp);
    curves_find(&curves, only, bp);
    assert_string_equal(curves.curves[0].name, "BP");
    assert_string_equal(curves.curves[1].name, "-");
    char *settings = printed(curves.curves[0].settings);
    assert_string_equal(settings, "{\"algorithm\":\"BP\",\"gamma\":null}");
    free(settings);
    curves_release(&curves);
    cJSON_Delete(by);
    cJSON_Delete(only);
    cJSON_Delete(bp);
}

static void test_means(void **state)
{
    (void)state;
    struct curves curves = {0};
    struct cJSON *by = cJSON_Parse("[]"), *job = cJSON_Parse("{}");
    struct curve *curve = &curves.curves[curves_find(&curves, by, job)];
    const double values[][3] = {{0, 0.1, 0}, {1, 0.5, 0}, {2, 0.9, 0}};
    curve = curves.curves;
    for (int i = 0; i < 3; i++)
        curve_add(curve, values[i][0], values[i][1]);
    curve_add(curve, 1, 0.7);
    curve_add(curve, 0.5, 0.3); /* between two that are there */
    curve_add(curve, 2, NAN);
    assert_int_equal(curve->count, 4);
    assert_true(curve->points[1].x == 0.5);
    assert_float_equal(curve->points[2].mean, 0.6, 1e-12);
    assert_float_equal(curve_point_sd(&curve->points[2]), sqrt(0.02), 1e-12);
    assert_true(isnan(curve_point_sd(&curve->points[0])));
    int64_t least, most;
    curve_counts(curve, &least, &most);
    assert_int_equal(least, 1);
    assert_int_equal(most, 2);
    curves_release(&curves);
    cJSON_Delete(by);
    cJSON_Delete(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_names_leave_out_nulls),
        cmocka_unit_test(test_means),
    };
    return cmocka_run_group_tests_name("client_curves", tests, NULL, NULL);
}
