/* Orders: hold, pause, release, cancel. */
#include "tests/unit/daemon_queue_fixture.h"

#include "daemon/db.h"

static int64_t count(struct loop *loop, const char *sql)
{
    struct error error;
    struct db *db = db_open(loop->path, DB_READ, &error);
    struct statement *s = statement_new(db, sql);
    int64_t value = -1;
    while (statement_next(s))
        value = column_integer(s, 0);
    statement_free(s);
    db_close(db);
    return value;
}

static void held_jobs_wait_until_released(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 3, "{}");
    queue_slots(loop, 0, 1);
    queue_dispatched(loop, 1);
    queue_order(loop, ORDER_hold, "a", &ann,
                "{'held':2,'already_held':0,'running':1,'already_final':0}");
    queue_order(loop, ORDER_hold, "a", &ann,
                "{'held':0,'already_held':2,'running':1,'already_final':0}");
    queue_finish(loop, 1);
    queue_dispatched(loop, 1);
    queue_explained(
        loop, 2, 1,
        "job 2 is held by ann; \"gaitctl release 2\" lets it go on");
    queue_order(loop, ORDER_release, "3", &ann,
                "{'released':1,'already_released':0,'already_final':0}");
    queue_dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 3);
    queue_order(loop, ORDER_release, "a", &ann,
                "{'released':1,'already_released':1,'already_final':1}");
    queue_finish(loop, 3);
    queue_dispatched(loop, 3);
    assert_int_equal(last_dispatch(loop)->job, 2);
    assert_int_equal(count(loop, "SELECT count(*) FROM event WHERE kind IN "
                                 "('held', 'released')"),
                     4);
    loop_end(loop);
}

static void a_sweep_may_begin_held(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 2, "{'hold': true}");
    assert_int_equal(last_change(loop)->to, JOB_held);
    queue_slots(loop, 0, 1);
    queue_dispatched(loop, 0);
    queue_explained(
        loop, 2, 1,
        "job 2 is held by ann; \"gaitctl release 2\" lets it go on");
    queue_order(loop, ORDER_release, "a", &ann,
                "{'released':2,'already_released':0,'already_final':0}");
    queue_dispatched(loop, 1);
    assert_int_equal(count(loop, "SELECT hold FROM sweep"), 0);
    loop_end(loop);
}

/* The slot is in use until the worker has saved; then others get it. */
static void a_paused_job_gives_its_slot_away(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 2, "{}");
    queue_slots(loop, 0, 1);
    queue_dispatched(loop, 1);
    int64_t attempt = last_dispatch(loop)->attempt;
    send_epochs(loop, attempt, -1, 1);
    queue_order(loop, ORDER_pause, "1", &ann,
                "{'held':0,'stopping':1,'already_held':0,'already_final':0}");
    assert_int_equal(loop->stop_count, 1);
    assert_int_equal(loop->stops[0], attempt);
    queue_explained(loop, 1, 1,
                    "job 1 is paused by ann, and its worker saves a "
                    "checkpoint");
    queue_dispatched(loop, 1);
    end_attempt(loop, attempt, OUTCOME_stopped, "");
    queue_dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 2);
    assert_int_equal(count(loop, "SELECT crashes FROM job WHERE id = 1"), 0);
    queue_order(loop, ORDER_release, "1", &ann,
                "{'released':1,'already_released':0,'already_final':0}");
    queue_finish(loop, 2);
    queue_dispatched(loop, 3);
    assert_int_equal(last_dispatch(loop)->job, 1);
    assert_int_equal(last_dispatch(loop)->step, 10);
    queue_finish(loop, 1);
    assert_int_equal(last_change(loop)->to, JOB_done);
    loop_end(loop);
}

/* However it ends after that, it is not counted against the job. */
static void the_end_of_a_paused_attempt_is_not_counted(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 1, "{}");
    queue_slots(loop, 0, 1);
    for (int i = 0; i < 5; i++) {
        queue_dispatched(loop, i + 1);
        queue_order(
            loop, ORDER_pause, "1", &ann,
            "{'held':0,'stopping':1,'already_held':0,'already_final':0}");
        end_attempt(loop, last_dispatch(loop)->attempt, OUTCOME_crashed,
                    "bang");
        queue_order(loop, ORDER_release, "1", &ann,
                    "{'released':1,'already_released':0,'already_final':0}");
    }
    queue_dispatched(loop, 6);
    assert_int_equal(count(loop, "SELECT crashes FROM job"), 0);
    loop_end(loop);
}

/* Released while its worker still saves: the run never has two attempts. */
static void a_resumed_job_waits_for_its_own_worker(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 1, "{}");
    queue_slots(loop, 0, 2);
    queue_dispatched(loop, 1);
    queue_order(loop, ORDER_pause, "a", &ann,
                "{'held':0,'stopping':1,'already_held':0,'already_final':0}");
    queue_order(loop, ORDER_release, "a", &ann,
                "{'released':1,'already_released':0,'already_final':0}");
    queue_dispatched(loop, 1);
    queue_explained(loop, 1, 2,
                    "job 1 is queued: its last worker still saves a "
                    "checkpoint");
    end_attempt(loop, loop->dispatches[0].attempt, OUTCOME_stopped, "");
    queue_dispatched(loop, 2);
    loop_end(loop);
}

/* Two jobs of one run: the other goes on, and what it trains is done for both.
 */
static void a_twin_goes_on(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    submit(loop, "r1", "{'name': 'a', " BASE "}");
    submit(loop, "r2", "{'name': 'b', " BASE "}");
    queue_order(loop, ORDER_hold, "a", &ann,
                "{'held':1,'already_held':0,'running':0,'already_final':0}");
    queue_slots(loop, 0, 1);
    queue_dispatched(loop, 1);
    assert_int_equal(last_dispatch(loop)->job, 2);
    queue_finish(loop, 2);
    assert_int_equal(count(loop, "SELECT count(*) FROM job WHERE "
                                 "state = 'done' AND "
                                 "final_test_accuracy IS NOT NULL"),
                     2);
    loop_end(loop);
}

static void a_diverged_twin_is_not_waited_for(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    submit(loop, "r1", "{'name': 'a', " BASE "}");
    submit(loop, "r2", "{'name': 'b', " BASE "}");
    queue_order(loop, ORDER_hold, "a", &ann,
                "{'held':1,'already_held':0,'running':0,'already_final':0}");
    queue_slots(loop, 0, 1);
    queue_dispatched(loop, 1);
    struct ending ending = {.outcome = OUTCOME_diverged, .diverged_epoch = 1};
    snprintf(ending.message, sizeof ending.message, "loss is nan");
    store_attempt_end(loop->store, last_dispatch(loop)->attempt, &ending);
    WAIT_FOR(loop, loop->closed_count == 1);
    loop_sync(loop);
    assert_int_equal(count(loop, "SELECT count(*) FROM job WHERE "
                                 "state = 'failed' AND reason = 'loss is nan'"),
                     2);
    loop_end(loop);
}

static void others_jobs_are_theirs(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann(), bob = caller_bob();
    queue_sweep(loop, &bob, "b", 2, "{}");
    queue_sweep(loop, &ann, "a", 2, "{}");
    for (int i = 0; i < ORDER_COUNT; i++) {
        queue_order(loop, (enum order_name)i, "a", &bob,
                    "sweep \"a\" belongs to ann");
        queue_order(loop, (enum order_name)i, "1..4", &bob,
                    "job 3 of sweep \"a\" belongs to ann");
    }
    queue_control(loop, "a", "{'priority': -3}", &bob,
                  "sweep \"a\" belongs to ann");
    assert_int_equal(count(loop, "SELECT count(*) FROM job WHERE "
                                 "state = 'queued'"),
                     4);
    loop_end(loop);
}

/* More than go in one piece, half of them held before. */
static void large_targets_are_done_whole(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 1300, "{}");
    queue_slots(loop, 0, 1);
    queue_order(loop, ORDER_hold, "2..651", &ann,
                "{'held':650,'already_held':0,'running':0,'already_final':0}");
    queue_order(loop, ORDER_hold, "a", &ann,
                "{'held':649,'already_held':650,'running':1,"
                "'already_final':0}");
    queue_order(loop, ORDER_release, "a", &ann,
                "{'released':1299,'already_released':1,'already_final':0}");
    assert_int_equal(count(loop, "SELECT count(*) FROM job WHERE is_ready"),
                     1299);
    queue_order(loop, ORDER_pause, "a", &ann,
                "{'held':1299,'stopping':1,'already_held':0,"
                "'already_final':0}");
    queue_order(loop, ORDER_cancel, "a", &ann,
                "{'cancelled':1300,'stopping':0,'already_final':0}");
    queue_order(loop, ORDER_cancel, "a", &ann,
                "{'cancelled':0,'stopping':0,'already_final':1300}");
    assert_int_equal(loop->stop_count, 1);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_jobs_wait_until_released),
        cmocka_unit_test(a_sweep_may_begin_held),
        cmocka_unit_test(a_paused_job_gives_its_slot_away),
        cmocka_unit_test(the_end_of_a_paused_attempt_is_not_counted),
        cmocka_unit_test(a_resumed_job_waits_for_its_own_worker),
        cmocka_unit_test(a_twin_goes_on),
        cmocka_unit_test(a_diverged_twin_is_not_waited_for),
        cmocka_unit_test(others_jobs_are_theirs),
        cmocka_unit_test(large_targets_are_done_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
