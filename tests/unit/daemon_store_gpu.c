/* GPUs as the store deals them out: leave, memory, and who waits for what. */
#include "tests/unit/daemon_store_fixture.h"

#include "schema/gpu_memory.h"

#define GPU_CLASS "cuda-test"
#define BASE                                                                   \
    "'tower': true, 'widths': '16x10', 'batch_size': 60, 'nb_epochs': 2"

static struct place gpu(int number, int slots)
{
    struct place place = {
        .number = number, .gpu = number, .slots = slots, .bytes = 1 << 30};
    snprintf(place.device, sizeof place.device, "cuda:%d", number);
    snprintf(place.device_class, sizeof place.device_class, GPU_CLASS);
    return place;
}

/* To a gaitd with two GPUs and a CPU. */
static int64_t send(struct loop *loop, const char *id, const char *spec)
{
    struct answer answer;
    struct submission *s = submission_make(id, spec);
    s->places = xrealloc(s->places, 3 * sizeof *s->places);
    s->places[s->place_count++] = gpu(0, 2);
    s->places[s->place_count++] = gpu(1, 1);
    submit_as(loop, s, &answer);
    if (!answer.result)
        fail_msg("%s", answer.error.text);
    int64_t first = json_integer_or(answer.result, "first_job", -1);
    answer_release(&answer);
    return first;
}

static void open_gpu(struct loop *loop, int slot, int number, int slots)
{
    struct place place = gpu(number, slots);
    store_slot_open_at(loop->store, slot, &place);
}

/* That the store has asked so often, at last for that device. */
static void assert_wanted(struct loop *loop, int count, int device)
{
    WAIT_FOR(loop, loop->wanted_count >= count);
    loop_sync(loop);
    assert_int_equal(loop->wanted_count, count);
    assert_int_equal(loop->wanted[count - 1], device);
}

static void assert_dispatched(struct loop *loop, int count, int slot)
{
    WAIT_FOR(loop, loop->dispatch_count >= count);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, count);
    assert_int_equal(last_dispatch(loop)->slot, slot);
}

static void finish(struct loop *loop, int64_t attempt)
{
    send_epochs(loop, attempt, -1, 2);
    end_attempt(loop, attempt, OUTCOME_done, "");
}

static int64_t bytes_of(int64_t batch_size)
{
    struct settings settings;
    struct dataset_shape shape = {.train_rows = TEST_TRAIN_ROWS,
                                  .test_rows = TEST_TEST_ROWS,
                                  .width = 16};
    settings_init(&settings);
    settings.tower = true;
    settings.batch_size = batch_size;
    snprintf(settings.widths, sizeof settings.widths, "16x10");
    return gpu_memory_bytes(&settings, &shape);
}

static int64_t bytes_of_base(void)
{
    return bytes_of(60);
}

static void leave_lasts_as_long_as_jobs_do(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    open_gpu(loop, 0, 0, 1);
    loop_sync(loop);
    assert_int_equal(loop->wanted_count, 0); /* nobody waits */
    send(loop, "r1", "{'base': {" BASE "}, 'axes': {'seed': [1, 101]}}");
    assert_wanted(loop, 1, 0);
    assert_int_equal(loop->dispatch_count, 0);
    store_device_answer(loop->store, 0, true, 1 << 30);
    assert_dispatched(loop, 1, 0);
    assert_int_equal(last_dispatch(loop)->gpu_bytes, bytes_of_base());
    finish(loop, last_dispatch(loop)->attempt); /* the next one follows */
    assert_dispatched(loop, 2, 0);
    finish(loop, last_dispatch(loop)->attempt);
    loop_sync(loop);
    assert_int_equal(loop->wanted_count, 1);
    send(loop, "r2", "{" BASE ", 'seed': 201}");
    assert_wanted(loop, 2, 0);
    loop_end(loop);
}

static void what_is_refused_is_asked_for_again(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    open_gpu(loop, 0, 0, 1);
    send(loop, "r1", "{" BASE "}");
    assert_wanted(loop, 1, 0);
    store_device_answer(loop->store, 0, false, 1 << 30);
    assert_wanted(loop, 2, 0);
    store_device_answer(loop->store, 0, true, bytes_of_base() - 1);
    assert_wanted(loop, 3, 0);
    store_device_answer(loop->store, 0, true, bytes_of_base());
    assert_dispatched(loop, 1, 0);
    loop_end(loop);
}

static void a_large_job_is_not_starved_by_small_ones(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    for (int slot = 0; slot < 3; slot++)
        open_gpu(loop, slot, 0, 3);
    send(loop, "r1", "{" BASE "}");
    assert_wanted(loop, 1, 0);
    store_device_answer(loop->store, 0, true,
                        bytes_of_base() + bytes_of(600) - 1);
    assert_dispatched(loop, 1, 0);
    send(loop, "r2",
         "{'tower': true, 'widths': '16x10', 'batch_size': 600, "
         "'nb_epochs': 2, 'seed': 101}");
    send(loop, "r3", "{" BASE ", 'seed': 201}"); /* it would fit */
    assert_dispatched(loop, 1, 0);
    finish(loop, last_dispatch(loop)->attempt);
    WAIT_FOR(loop, loop->wanted_count >= 2 || loop->dispatch_count >= 2);
    assert_int_equal(loop->dispatch_count, 2);
    assert_int_equal(loop->dispatches[1].job, 2);
    assert_int_equal(loop->dispatches[1].gpu_bytes, bytes_of(600));
    loop_end(loop);
}

static void what_fits_runs_beside(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    for (int slot = 0; slot < 3; slot++)
        open_gpu(loop, slot, 0, 3);
    send(loop, "r1", "{'base': {" BASE "}, 'axes': {'seed': [1, 101, 201]}}");
    assert_wanted(loop, 1, 0);
    store_device_answer(loop->store, 0, true, 3 * bytes_of_base() - 1);
    assert_dispatched(loop, 2, 1);
    finish(loop, loop->dispatches[0].attempt);
    assert_dispatched(loop, 3, 0);
    loop_end(loop);
}

static void a_lane_that_is_stuck_lets_others_pass(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    open_gpu(loop, 0, 0, 1);
    store_slot_open(loop->store, 1, "cpu", CLASS);
    send(loop, "r1", "{" BASE ", 'device': 'cuda'}");
    assert_wanted(loop, 1, 0);
    store_device_answer(loop->store, 0, false, 0);
    send(loop, "r2", "{" BASE ", 'device': '1', 'seed': 101}"); /* not here */
    send(loop, "r3", "{" BASE ", 'device': 'cpu', 'seed': 201}");
    assert_dispatched(loop, 1, 1);
    assert_int_equal(last_dispatch(loop)->job, 3);
    assert_int_equal(last_dispatch(loop)->gpu_bytes, 0);
    open_gpu(loop, 2, 1, 1);
    WAIT_FOR(loop, loop->wanted[loop->wanted_count - 1] == 1);
    store_device_answer(loop->store, 1, true, 1 << 30);
    WAIT_FOR(loop, loop->dispatch_count >= 2); /* whichever waits longest */
    assert_int_equal(last_dispatch(loop)->slot, 2);
    assert_int_equal(last_dispatch(loop)->job, 1);
    loop_end(loop);
}

/* An idle GPU that is only to be looked at is waited for, one that others use
 * is not. */
static void any_takes_the_gpu_first(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    open_gpu(loop, 0, 0, 1);
    store_slot_open(loop->store, 1, "cpu", CLASS);
    send(loop, "r1", "{" BASE "}");
    assert_wanted(loop, 1, 0);
    assert_int_equal(loop->dispatch_count, 0);
    store_device_answer(loop->store, 0, false, 1 << 30);
    assert_dispatched(loop, 1, 1);
    loop_end(loop);
}

static void crowded_waits_longer_each_time_and_is_not_counted(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    open_gpu(loop, 0, 0, 1);
    send(loop, "r1", "{" BASE "}");
    for (int i = 1; i <= 5; i++) {
        WAIT_FOR(loop, loop->wanted_count >= i);
        store_device_answer(loop->store, 0, true, 1 << 30);
        WAIT_FOR(loop, loop->dispatch_count >= i);
        end_attempt(loop, last_dispatch(loop)->attempt, OUTCOME_crowded,
                    "no memory");
        WAIT_FOR(loop, loop->wait_count >= i);
        assert_int_equal(loop->dispatch_count, i);
        store_wait_over(loop->store, 1);
    }
    assert_true(loop->wait_s[0] == 1 && loop->wait_s[1] == 5);
    assert_true(loop->wait_s[4] == 300);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leave_lasts_as_long_as_jobs_do),
        cmocka_unit_test(what_is_refused_is_asked_for_again),
        cmocka_unit_test(a_large_job_is_not_starved_by_small_ones),
        cmocka_unit_test(what_fits_runs_beside),
        cmocka_unit_test(a_lane_that_is_stuck_lets_others_pass),
        cmocka_unit_test(any_takes_the_gpu_first),
        cmocka_unit_test(crowded_waits_longer_each_time_and_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
