#include "tests/unit/daemon_store_fixture.h"

#define BASE                                                                   \
    "'tower': true, 'widths': '16x10', 'batch_size': 60, 'nb_epochs': 2"

static void dispatched(struct loop *loop, int count)
{
    WAIT_FOR(loop, loop->dispatch_count >= count);
    assert_int_equal(loop->dispatch_count, count);
}

static void finish(struct loop *loop, int64_t attempt)
{
    send_epochs(loop, attempt, -1, 2);
    end_attempt(loop, attempt, OUTCOME_done, "");
}

static void the_oldest_goes_first(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{'base': {" BASE "}, 'axes': {'seed': [1, 101, 201]}}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    for (int i = 1; i <= 3; i++) {
        dispatched(loop, i);
        assert_int_equal(last_dispatch(loop)->job, i);
        assert_int_equal(last_dispatch(loop)->slot, 0);
        assert_int_equal(last_dispatch(loop)->step, -1);
        assert_int_equal(last_dispatch(loop)->steps_per_epoch, 10);
        finish(loop, last_dispatch(loop)->attempt);
        assert_int_equal(loop->changes[2 + 2 * i].to, JOB_done);
    }
    loop_end(loop);
}

static void settings_reach_the_worker(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'learning_rate': 0.1, 'seed': 9, 'algorithm': 'GAIT', "
           "'gamma': 0.25, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    dispatched(loop, 1);
    const struct dispatch *d = last_dispatch(loop);
    assert_true(d->settings.learning_rate == 0.1);
    assert_true(d->settings.gamma == 0.25);
    assert_int_equal(d->settings.seed, 9);
    assert_int_equal(d->settings.threads, 1);
    assert_int_equal(d->settings.nb_epochs, 2);
    assert_true(d->settings.tower);
    assert_string_equal(d->settings.widths, "16x10");
    assert_string_equal(d->settings.dataset, "MNIST");
    assert_string_equal(d->dataset_digest, "00112233445566778899aabbccddeeff");
    assert_int_equal(strlen(d->key), 32);
    loop_end(loop);
}

/* Two jobs of one run never run together; the longer goes on from there. */
static void jobs_of_one_run_take_turns(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{'base': {" BASE "}}");
    submit(loop, "r2",
           "{'base': {'nb_epochs': 5, 'tower': true, 'widths': "
           "'16x10', 'batch_size': 60}}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 1);
    finish(loop, last_dispatch(loop)->attempt);
    dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 2);
    assert_int_equal(last_dispatch(loop)->step, 20);
    assert_int_equal(last_dispatch(loop)->nb_epochs, 5);
    loop_end(loop);
}

/* Also the one that comes while the other runs, or whose worker still stops. */
static void a_later_job_of_a_run_waits(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    struct answer answer = {0};
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    submit(loop, "r1", "{" BASE "}");
    dispatched(loop, 1);
    submit(loop, "r2",
           "{'nb_epochs': 5, 'tower': true, 'widths': '16x10', "
           "'batch_size': 60}");
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 1);
    store_order(loop->store, ORDER_cancel, "1", &ann, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    answer_release(&answer);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 1);
    end_attempt(loop, last_dispatch(loop)->attempt, OUTCOME_stopped, "");
    dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 2);
    loop_end(loop);
}

/* A shorter twin is done as soon as its last row is stored. */
static void a_shorter_twin_is_done_on_the_way(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'nb_epochs': 5, 'tower': true, 'widths': '16x10', "
           "'batch_size': 60}");
    submit(loop, "r2", "{" BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    dispatched(loop, 1);
    send_epochs(loop, last_dispatch(loop)->attempt, -1, 2);
    WAIT_FOR(loop, loop->committed_count > 0);
    loop_sync(loop);
    assert_int_equal(last_change(loop)->job, 2);
    assert_int_equal(last_change(loop)->to, JOB_done);
    assert_int_equal(loop->closed_count, 0);
    loop_end(loop);
}

static void threads_take_slots_and_keep_their_place(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{" BASE "}");
    submit(loop, "r2", "{'threads': 2, 'seed': 101, " BASE "}");
    submit(loop, "r3", "{'seed': 201, " BASE "}");
    submit(loop, "r4", "{'seed': 301, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    dispatched(loop, 1);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    loop_sync(loop);
    /* One slot is free, and job 3 would fit; it waits behind job 2. */
    assert_int_equal(loop->dispatch_count, 1);
    finish(loop, loop->dispatches[0].attempt);
    dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 2);
    assert_int_equal(last_dispatch(loop)->slot, 0);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 2);
    finish(loop, loop->dispatches[1].attempt);
    dispatched(loop, 4);
    assert_int_equal(loop->dispatches[2].slot, 0);
    assert_int_equal(loop->dispatches[3].slot, 1);
    loop_end(loop);
}

/* Nobody waits behind a job that waits for a slot that is out of service. */
static void a_slot_out_of_service_holds_nobody_back(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    store_slot_close(loop->store, 1, "broken");
    submit(loop, "r1", "{'threads': 2, " BASE "}");
    submit(loop, "r2", "{'seed': 101, " BASE "}");
    submit(loop, "r3", "{'seed': 201, " BASE "}");
    dispatched(loop, 1);
    assert_int_equal(last_dispatch(loop)->job, 2);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 1);
    finish(loop, last_dispatch(loop)->attempt);
    dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 1);
    loop_end(loop);
}

/* What can never run here steps aside, and comes back with its slot. */
static void another_device_class_does_not_hold_up_the_rest(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{" BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    dispatched(loop, 1);
    send_epochs(loop, last_dispatch(loop)->attempt, -1, 1);
    store_close(loop->store); /* and the machine gets another library */
    loop->dispatch_count = loop->change_count = 0;
    struct error error;
    assert_non_null(loop_open_store(loop, &error));
    submit(loop, "r2", "{'seed': 101, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", "cpu-other");
    dispatched(loop, 1);
    assert_int_equal(last_dispatch(loop)->job, 2);
    loop_open_reader(loop, 10);
    struct cJSON *shown = ask(loop, "show", "{'target': '1'}", NULL);
    const struct cJSON *job = cJSON_GetObjectItemCaseSensitive(shown, "job");
    assert_string_equal(json_text_or(job, "state", ""), "queued");
    assert_string_equal(json_text_or(job, "reason", ""),
                        "waits for a slot of device class \"" CLASS
                        " threads-1\", on which its run began; --fresh would "
                        "train it anew");
    cJSON_Delete(shown);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 1);
    assert_int_equal(last_dispatch(loop)->slot, 1);
    assert_int_equal(last_dispatch(loop)->step, 10);
    loop_end(loop);
}

static void more_threads_than_slots_step_aside(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{'threads': 3, " BASE "}");
    submit(loop, "r2", "{'seed': 101, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    dispatched(loop, 1);
    assert_int_equal(last_dispatch(loop)->job, 2);
    finish(loop, last_dispatch(loop)->attempt);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 1);
    store_slot_open(loop->store, 2, "cpu:2", CLASS);
    dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, 1);
    loop_end(loop);
}

static int64_t count_aside(const struct loop *loop)
{
    struct error error;
    struct db *db = db_open(loop->path, DB_READ, &error);
    int64_t count;
    assert_true(db_read_number(db,
                               "SELECT count(*) FROM job WHERE reason IS NOT "
                               "NULL AND id > ?",
                               0, &count, &error));
    db_close(db);
    return count;
}

/* Slots of another class change nothing; enough of one bring back all. */
static void many_step_aside_and_come_back(void **state)
{
    (void)state;
    enum { MANY = 1500 };
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'base': {'threads': 3, " BASE "}, 'axes': {'seed': "
           "{'from': 1, 'to': 1500}}}");
    store_slot_open(loop->store, 0, "cpu", CLASS);
    for (int i = 0; i < MANY && count_aside(loop) < MANY; i++)
        loop_sync(loop); /* while they enter the queue */
    assert_int_equal(count_aside(loop), MANY);
    for (int i = 1; i < 3; i++)
        store_slot_open(loop->store, i, "other", "cpu-other");
    loop_sync(loop);
    assert_int_equal(count_aside(loop), MANY);
    assert_int_equal(loop->dispatch_count, 0);
    store_slot_open(loop->store, 3, "cpu", CLASS);
    store_slot_open(loop->store, 4, "cpu", CLASS);
    dispatched(loop, 1);
    assert_int_equal(count_aside(loop), 0);
    loop_end(loop);
}

static void draining_stops_dispatches(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{'base': {" BASE "}, 'axes': {'seed': [1, 101, 201]}}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    dispatched(loop, 2);
    struct answer answer = {0};
    store_drain(loop->store, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    assert_int_equal(json_integer_or(answer.result, "running", -1), 2);
    answer_release(&answer);
    finish(loop, loop->dispatches[0].attempt);
    end_attempt(loop, loop->dispatches[1].attempt, OUTCOME_stopped, "");
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 2);
    assert_int_equal(last_change(loop)->to, JOB_queued);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_goes_first),
        cmocka_unit_test(settings_reach_the_worker),
        cmocka_unit_test(jobs_of_one_run_take_turns),
        cmocka_unit_test(a_later_job_of_a_run_waits),
        cmocka_unit_test(a_shorter_twin_is_done_on_the_way),
        cmocka_unit_test(threads_take_slots_and_keep_their_place),
        cmocka_unit_test(a_slot_out_of_service_holds_nobody_back),
        cmocka_unit_test(another_device_class_does_not_hold_up_the_rest),
        cmocka_unit_test(more_threads_than_slots_step_aside),
        cmocka_unit_test(many_step_aside_and_come_back),
        cmocka_unit_test(draining_stops_dispatches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
