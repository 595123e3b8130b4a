/* Controls chosen anew. */
#include "tests/unit/daemon_queue_fixture.h"

static void priorities_change_the_order(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    struct caller root = {.uid = 0, .name = "root", .is_operator = true};
    queue_sweep(loop, &ann, "a", 3, "{}");
    queue_sweep(loop, &ann, "b", 1, "{}");
    queue_control(loop, "1..2", "{'priority': -3}", &ann,
                  "{'changed':2,'already_set':0,'already_final':0}");
    queue_control(loop, "a", "{'priority': -3}", &ann,
                  "{'changed':1,'already_set':2,'already_final':0}");
    queue_control(loop, "2", "{'priority': 0}", &ann,
                  "{'changed':1,'already_set':0,'already_final':0}");
    queue_control(loop, "3", "{'priority': 9}", &root,
                  "{'changed':1,'already_set':0,'already_final':0}");
    queue_slots(loop, 0, 1);
    const int64_t order[] = {3, 2, 4, 1};
    for (int i = 0; i < 4; i++) {
        queue_dispatched(loop, i + 1);
        assert_int_equal(last_dispatch(loop)->job, order[i]);
        queue_finish(loop, order[i]);
    }
    queue_control(loop, "a", "{'priority': 0}", &ann,
                  "{'changed':0,'already_set':0,'already_final':3}");
    loop_end(loop);
}

static void faults_are_told(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 2, "{}");
    static const char *const cases[][3] = {
        {"a", "{}", "\"controls\" is empty: nothing to change"},
        {"a", "{'priority': null}", "\"controls\" is empty: nothing to change"},
        {"a", "{'priority': 1}",
         "priority: 1 is above 0, which only operators may choose"},
        {"a", "{'priority': -101}", "priority: -101 is below -100"},
        {"a", "{'max_runing': 3}",
         "max_runing: unknown control, did you mean \"max_running\"?"},
        {"a", "{'max_running': 0}", "max_running: 0 is below 1"},
        {"1..2", "{'max_running': 3}",
         "max_running: of a whole sweep, and \"1..2\" names jobs"},
        {"a", "{'hold': true}",
         "hold: chosen at submit; \"hold\" and \"release\" change what becomes "
         "of a sweep"},
        {"b", "{'priority': -1}", "no sweep \"b\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        queue_control(loop, cases[i][0], cases[i][1], &ann, cases[i][2]);
    loop_end(loop);
}

static void large_targets_are_done_whole(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 9000, "{}");
    queue_control(loop, "100..8999", "{'priority': -1}", &ann,
                  "{'changed':8900,'already_set':0,'already_final':0}");
    queue_control(loop, "a", "{'priority': -2, 'max_running': 1}", &ann,
                  "{'changed':9000,'already_set':0,'already_final':0}");
    queue_slots(loop, 0, 2);
    queue_dispatched(loop, 1);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priorities_change_the_order),
        cmocka_unit_test(faults_are_told),
        cmocka_unit_test(large_targets_are_done_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
