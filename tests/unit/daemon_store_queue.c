/* Priorities, owners' turns, limits. */
#include "tests/unit/daemon_queue_fixture.h"

static void higher_priorities_go_first(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    struct caller root = {.uid = 0, .name = "root", .is_operator = true};
    queue_sweep(loop, &ann, "low", 1, "{'priority': -5}");
    int64_t plain = queue_sweep(loop, &ann, "plain", 2, "{}");
    int64_t high = queue_sweep(loop, &root, "high", 1, "{'priority': 5}");
    queue_slots(loop, 0, 1);
    const int64_t order[] = {high, plain, plain + 1, 1};
    for (int i = 0; i < 4; i++) {
        queue_dispatched(loop, i + 1);
        assert_int_equal(last_dispatch(loop)->job, order[i]);
        queue_finish(loop, order[i]);
    }
    loop_end(loop);
}

/* One slot: strictly in turn, however many jobs each has. */
static void owners_take_turns(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann(), bob = caller_bob();
    int64_t a = queue_sweep(loop, &ann, "a", 4, "{}");
    int64_t b = queue_sweep(loop, &bob, "b", 2, "{}");
    queue_slots(loop, 0, 1);
    const int64_t order[] = {a, b, a + 1, b + 1, a + 2, a + 3};
    for (int i = 0; i < 6; i++) {
        queue_dispatched(loop, i + 1);
        assert_int_equal(last_dispatch(loop)->job, order[i]);
        queue_finish(loop, order[i]);
    }
    loop_end(loop);
}

/* Whoever has long jobs does not gather the slots: bob's end again and again,
 * and bob gets the slot back each time. */
static void slots_are_shared_in_halves(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann(), bob = caller_bob();
    int64_t a = queue_sweep(loop, &ann, "a", 10, "{}");
    queue_slots(loop, 0, 4);
    queue_dispatched(loop, 4);
    int64_t b = queue_sweep(loop, &bob, "b", 10, "{}");
    queue_finish(loop, a);
    queue_finish(loop, a + 1);
    queue_dispatched(loop, 6);
    assert_int_equal(loop->dispatches[4].job, b);
    assert_int_equal(loop->dispatches[5].job, b + 1);
    for (int i = 0; i < 4; i++) {
        queue_finish(loop, b + i);
        queue_dispatched(loop, 7 + i);
        assert_int_equal(last_dispatch(loop)->job, b + 2 + i);
    }
    loop_end(loop);
}

/* Turns outlast the daemon. */
static void turns_are_remembered(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann(), bob = caller_bob();
    int64_t a = queue_sweep(loop, &ann, "a", 3, "{}");
    int64_t b = queue_sweep(loop, &bob, "b", 3, "{}");
    queue_slots(loop, 0, 1);
    queue_dispatched(loop, 1);
    assert_int_equal(last_dispatch(loop)->job, a);
    store_close(loop->store);
    loop->dispatch_count = 0;
    struct error error;
    assert_non_null(loop_open_store(loop, &error));
    queue_slots(loop, 0, 1);
    queue_dispatched(loop, 1);
    assert_int_equal(last_dispatch(loop)->job, b);
    loop_end(loop);
}

static void a_sweep_keeps_to_its_limit(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    int64_t a = queue_sweep(loop, &ann, "a", 5, "{'max_running': 2}");
    int64_t b = queue_sweep(loop, &ann, "b", 3, "{}");
    queue_slots(loop, 0, 4);
    queue_dispatched(loop, 4);
    const int64_t order[] = {a, a + 1, b, b + 1};
    for (int i = 0; i < 4; i++)
        assert_int_equal(loop->dispatches[i].job, order[i]);
    queue_explained(loop, a + 2, 4,
                    "job 3 is queued: 2 of sweep \"a\" run, as many as its "
                    "max_running allows; \"gaitctl limit a N\" changes it");
    queue_finish(loop, b);
    queue_dispatched(loop, 5);
    assert_int_equal(last_dispatch(loop)->job, b + 2);
    queue_finish(loop, b + 1); /* a slot stays free */
    queue_dispatched(loop, 5);
    queue_finish(loop, a);
    queue_dispatched(loop, 6);
    assert_int_equal(last_dispatch(loop)->job, a + 2);
    queue_control(loop, "a", "{'max_running': 'none'}", &ann,
                  "{'changed':0,'already_set':0,'already_final':0}");
    queue_dispatched(loop, 7);
    assert_int_equal(last_dispatch(loop)->job, a + 3);
    loop_end(loop);
}

/* A paused job counts until its worker has ended. */
static void a_slot_counts_until_it_is_free(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 3, "{'max_running': 1}");
    queue_slots(loop, 0, 2);
    queue_dispatched(loop, 1);
    queue_order(loop, ORDER_pause, "1", &ann,
                "{'held':0,'stopping':1,'already_held':0,'already_final':0}");
    queue_dispatched(loop, 1);
    end_attempt(loop, loop->dispatches[0].attempt, OUTCOME_stopped, "");
    queue_dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 2);
    loop_end(loop);
}

static void a_user_keeps_to_the_limit_of_all(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann(), bob = caller_bob();
    int64_t a = queue_sweep(loop, &ann, "a", 3, "{}");
    int64_t b = queue_sweep(loop, &ann, "b", 3, "{'priority': -1}");
    store_limit_users(loop->store, &(struct user_limits){.max_running = 2});
    queue_slots(loop, 0, 4);
    queue_dispatched(loop, 2);
    int64_t c = queue_sweep(loop, &bob, "c", 1, "{'priority': -7}");
    queue_dispatched(loop, 3);
    assert_int_equal(last_dispatch(loop)->job, c);
    queue_finish(loop, a);
    queue_finish(loop, a + 1);
    queue_dispatched(loop, 5);
    assert_int_equal(loop->dispatches[3].job, a + 2);
    assert_int_equal(loop->dispatches[4].job, b);
    loop_end(loop);
}

/* A job of four threads is one job to limits, and four slots to turns. */
static void threads_are_one_job(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann(), bob = caller_bob();
    submit(loop, "r1", "{'threads': 3, " BASE "}");
    store_limit_users(loop->store, &(struct user_limits){.max_running = 2});
    queue_slots(loop, 0, 5);
    queue_dispatched(loop, 1);
    int64_t b = queue_sweep(loop, &bob, "b", 3, "{}");
    int64_t a = queue_sweep(loop, &ann, "a", 3, "{}");
    queue_dispatched(loop, 3);
    assert_int_equal(loop->dispatches[1].job, b);
    assert_int_equal(loop->dispatches[2].job, b + 1);
    queue_finish(loop, b);
    queue_finish(loop, b + 1);
    queue_dispatched(loop, 5);
    assert_int_equal(loop->dispatches[3].job, b + 2);
    assert_int_equal(loop->dispatches[4].job, a);
    loop_end(loop);
}

/* Ann's job needs all slots: bob's, of which there are many, do not keep it
 * from ever finding them free. */
static void several_slots_come_at_last(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller bob = caller_bob();
    int64_t b = queue_sweep(loop, &bob, "b", 20, "{}");
    queue_slots(loop, 0, 2);
    queue_dispatched(loop, 2);
    int64_t a = submit(loop, "r1", "{'threads': 2, " BASE "}");
    queue_explained(loop, a, 2,
                    "job 21 is queued: it comes next, when 2 slots are free at "
                    "once; ann takes turns with 1 other user");
    queue_finish(loop, b + 1);
    queue_dispatched(loop, 2);
    queue_finish(loop, b);
    queue_dispatched(loop, 3);
    assert_int_equal(last_dispatch(loop)->job, a);
    loop_end(loop);
}

/* What keeps one job of a run back does not keep the others back. */
static void a_run_is_trained_for_who_may_go(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    submit(loop, "r1",
           "{'name': 'a', 'base': {" BASE "}, 'axes': {'seed': [1, 2]}}");
    queue_control(loop, "a", "{'max_running': 1}", &ann,
                  "{'changed':0,'already_set':0,'already_final':0}");
    submit(loop, "r2", "{'name': 'b', 'seed': 2, " BASE "}");
    queue_slots(loop, 0, 2);
    queue_dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 3);
    queue_explained(loop, 2, 2,
                    "job 2 is queued: its run is being trained by job 3");
    queue_finish(loop, 3);
    assert_int_equal(loop->changes[loop->change_count - 2].job, 2);
    assert_int_equal(loop->changes[loop->change_count - 2].to, JOB_done);
    loop_end(loop);
}

static void what_is_ahead_is_told(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann(), bob = caller_bob();
    queue_sweep(loop, &ann, "a", 3, "{}");
    int64_t low = queue_sweep(loop, &ann, "low", 3, "{'priority': -1}");
    int64_t bobs = queue_sweep(loop, &bob, "b", 3, "{'priority': -1}");
    queue_explained(loop, 3, 1, "job 3 is queued behind 2 jobs");
    queue_explained(loop, low, 1,
                    "job 4 is queued behind 3 jobs of higher priority; ann "
                    "takes turns with 1 other user");
    queue_explained(loop, bobs + 1, 1,
                    "job 8 is queued behind 3 jobs of higher priority and 1 "
                    "more of bob; bob takes turns with 1 other user");
    queue_explained(loop, 1, 0, "job 1 is queued: this gaitd has no slots");
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(higher_priorities_go_first),
        cmocka_unit_test(owners_take_turns),
        cmocka_unit_test(slots_are_shared_in_halves),
        cmocka_unit_test(turns_are_remembered),
        cmocka_unit_test(a_sweep_keeps_to_its_limit),
        cmocka_unit_test(a_slot_counts_until_it_is_free),
        cmocka_unit_test(a_user_keeps_to_the_limit_of_all),
        cmocka_unit_test(threads_are_one_job),
        cmocka_unit_test(several_slots_come_at_last),
        cmocka_unit_test(a_run_is_trained_for_who_may_go),
        cmocka_unit_test(what_is_ahead_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
