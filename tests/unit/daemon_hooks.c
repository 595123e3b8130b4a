#include "tests/unit/daemon_store_fixture.h"

#include "daemon/hooks.h"

static void check(const char *pattern, const char *expected)
{
    static const struct hook_order order = {
        .sweep = 7,
        .done = 40,
        .failed = 2,
        .cancelled = 1,
        .sweep_name = "a{id}b",
        .owner = "ann",
    };
    char *text = hook_argument(pattern, &order);
    assert_string_equal(text, expected);
    free(text);
}

/* Once: what a name holds is not looked at again. */
static void placeholders_are_replaced(void **state)
{
    (void)state;
    check("", "");
    check("plain $HOME `x`", "plain $HOME `x`");
    check("{sweep}", "a{id}b");
    check("{sweep} ({id}) of {owner}: {done}/{failed}/{cancelled}",
          "a{id}b (7) of ann: 40/2/1");
    check("{}{nothing}{id", "{}{nothing}{id");
    check("{{id}}", "{7}");
    check("{a {id}", "{a 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
