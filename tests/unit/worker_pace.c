#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "schema/settings.h"
#include "schema/work.h"
#include "worker/pace.h"

static void assert_seconds(double value, double expected)
{
    if (fabs(value - expected) > 1e-9 * expected)
        fail_msg("%.17g s, expected %.17g s", value, expected);
}

/* 64 layers of 784 units: 60,000 rows in one batch take minutes, and that is
 * known before the first is done. */
static void counted_at_first(void **state)
{
    (void)state;
    struct settings settings;
    struct pace pace;
    settings_init(&settings);
    settings.nb_layers = 63;
    settings.batch_size = 60000;
    pace_init(&pace, &settings, 784);
    double n = 784, batch = 2 * n * n * 60000;
    assert_seconds(pace_expected(&pace), (2 * 64 * batch + 63 * batch) / 1e9);
    settings.batch_size = 1; /* then 1,000 rows of an evaluation are more */
    settings.tower = true;
    snprintf(settings.widths, sizeof settings.widths, "784x10");
    pace_init(&pace, &settings, 784);
    assert_true(pace_expected(&pace) > 0);
}

static void measured_then(void **state)
{
    (void)state;
    struct settings settings;
    struct pace pace;
    settings_init(&settings);
    pace_init(&pace, &settings, 784);
    double counted = pace_expected(&pace);
    pace_start(&pace, 100);
    pace_count(&pace, PACE_CHUNK, 102);
    pace_count(&pace, PACE_CHUNK, 106);
    pace_count(&pace, PACE_ROW, 107);
    assert_seconds(pace_expected(&pace), counted); /* no batch yet */
    pace_count(&pace, PACE_BATCH, 109);
    assert_seconds(pace_expected(&pace), 3); /* the mean chunk */
    pace_start(&pace, 1000);                 /* what was between is no work */
    pace_count(&pace, PACE_BATCH, 1010);
    assert_seconds(pace_expected(&pace), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_at_first),
        cmocka_unit_test(measured_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
