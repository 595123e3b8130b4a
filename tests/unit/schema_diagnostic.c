#include "schema_fixture.h"

#include <math.h>

#include "schema/diagnostic.h"
#include "schema/json.h"

static void they_come_back_bit_for_bit(void **state)
{
    (void)state;
    struct diagnostic layers[2] = {{1 / 3.0, 1e-300, NAN, 0.1},
                                   {NAN, 5, INFINITY, 4.0}};
    struct diagnostic back[3];
    struct error error;
    size_t length;
    int count;
    cJSON *object = cJSON_CreateObject();
    diagnostics_write(layers, 2, object);
    char *text = json_print(object, &length);
    assert_string_equal(
        text, "{\"layers\":[{\"angle\":0.3333333333333333,"
              "\"off_diagonal\":1e-300,\"condition\":null,\"error_rms\":0.1},"
              "{\"angle\":null,\"off_diagonal\":5,\"condition\":null,"
              "\"error_rms\":4}]}");
    assert_true(diagnostics_read(object, back, 3, &count, &error));
    assert_int_equal(count, 2);
    assert_true(back[0].angle == 1 / 3.0);
    assert_true(isnan(back[0].condition));
    assert_true(isnan(back[1].condition));
    assert_true(back[1].error_rms == 4);
    free(text);
    cJSON_Delete(object);
}

static void none_is_no_member(void **state)
{
    (void)state;
    struct error error;
    int count = 7;
    cJSON *object = cJSON_CreateObject();
    diagnostics_write(NULL, 0, object);
    assert_null(object->child);
    assert_true(diagnostics_read(object, NULL, 0, &count, &error));
    assert_int_equal(count, 0);
    cJSON_Delete(object);
}

static void others_are_refused(void **state)
{
    (void)state;
#define LAYER                                                                  \
    "{'angle': 1, 'off_diagonal': 1, 'condition': null, 'error_rms': 1}"
    static const char *const cases[][2] = {
        {"{'layers': 3}", "\"layers\" is not a list"},
        {"{'layers': [" LAYER ", {'angle': 1}]}",
         "\"layers\"[1]: \"off_diagonal\" is missing"},
        {"{'layers': [" LAYER ", " LAYER ", " LAYER "]}",
         "\"layers\" has more than 2 items"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct diagnostic layers[2];
        struct error error = {0};
        int count;
        cJSON *object = json(cases[i][0]);
        assert_false(diagnostics_read(object, layers, 2, &count, &error));
        assert_string_equal(error.text, cases[i][1]);
        cJSON_Delete(object);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_come_back_bit_for_bit),
        cmocka_unit_test(none_is_no_member),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
