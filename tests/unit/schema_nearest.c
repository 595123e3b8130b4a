#include "schema_fixture.h"

#include "schema/nearest.h"
#include "schema/settings.h"

static void finds_what_was_meant(void **state)
{
    (void)state;
    static const struct {
        const char *name, *meant;
    } cases[] = {
        {"learning_rte", "learning_rate"},
        {"learning-rate", "learning_rate"},
        {"Learning_Rate", "learning_rate"},
        {"lerning_raet", "learning_rate"},
        {"sede", "seed"},
        {"seeds", "seed"},
        {"gama", "gamma"},
        {"epochs", "nb_epochs"},
        {"nb_epoch", "nb_epochs"},
        {"layers", "nb_layers"},
        {"width", "widths"},
        {"rate", "learning_rate"},
        {"batchsize", "batch_size"},
        {"momentum", NULL},
        {"optimizer", NULL},
        {"lr", NULL},
        {"x", NULL},
        {"", NULL},
        {"a_name_that_is_longer_than_any_setting_could_be", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *found = setting_nearest(cases[i].name);
        const char *meant = cases[i].meant;
        if (!found != !meant || (found && strcmp(found, meant)))
            fail_msg("%s: found %s, expected %s", cases[i].name,
                     found ? found : "none", meant ? meant : "none");
    }
}

static void first_of_equals_wins(void **state)
{
    (void)state;
    struct nearest nearest;
    nearest_init(&nearest, "test");
    nearest_try(&nearest, "text");
    nearest_try(&nearest, "rest");
    assert_string_equal(nearest.word, "text");
    nearest_try(&nearest, "test");
    assert_string_equal(nearest.word, "test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_meant),
        cmocka_unit_test(first_of_equals_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
