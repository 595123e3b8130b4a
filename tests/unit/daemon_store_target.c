/* Targets, cancelling, watching. */
#include "tests/unit/daemon_store_fixture.h"

#define BASE                                                                   \
    "'tower': true, 'widths': '16x10', 'batch_size': 60, 'nb_epochs': 2"
#define SWEEP(name)                                                            \
    "{'name': '" name "', 'base': {" BASE "}, 'axes': {'seed': [1, 101, "      \
    "201]}}"

static struct answer cancel_as(struct loop *loop, const char *target,
                               const struct caller *caller)
{
    struct answer answer = {0};
    store_order(loop->store, ORDER_cancel, target, caller, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    return answer;
}

static void expect_cancel(struct loop *loop, const char *target, int cancelled,
                          int stopping, int already_final)
{
    struct caller ann = caller_ann();
    struct answer a = cancel_as(loop, target, &ann);
    if (!a.result)
        fail_msg("%s", a.error.text);
    assert_int_equal(json_integer_or(a.result, "cancelled", -1), cancelled);
    assert_int_equal(json_integer_or(a.result, "stopping", -1), stopping);
    assert_int_equal(json_integer_or(a.result, "already_final", -1),
                     already_final);
    answer_release(&a);
}

static void expect_error(struct loop *loop, const char *target,
                         enum error_code code, const char *text)
{
    struct caller bob = caller_bob();
    struct answer a = cancel_as(loop, target, &bob);
    assert_null(a.result);
    assert_int_equal(a.error.code, code);
    assert_string_equal(a.error.text, text);
}

static void targets_are_found_or_named(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    expect_error(loop, "last", ERROR_NOT_FOUND,
                 "you have submitted no sweep yet");
    expect_error(loop, "rules", ERROR_NOT_FOUND, "no sweep \"rules\"");
    submit(loop, "r1", SWEEP("rules"));
    submit(loop, "r2", "{" BASE ", 'seed': 7}");
    expect_error(loop, "ruels", ERROR_NOT_FOUND,
                 "no sweep \"ruels\", did you mean \"rules\"?");
    expect_error(loop, "12", ERROR_NOT_FOUND, "no job 12");
    expect_error(loop, "0", ERROR_NOT_FOUND, "no job 0");
    expect_error(loop, "7..9", ERROR_NOT_FOUND, "no jobs 7..9");
    expect_error(loop, "9..3", ERROR_NOT_FOUND, "no jobs 9..3");
    expect_error(loop, "sweep-3", ERROR_NOT_FOUND,
                 "no sweep \"sweep-3\", did you mean \"sweep-2\"?");
    expect_error(loop, "99999999999999999999", ERROR_NOT_FOUND,
                 "no sweep \"99999999999999999999\"");
    expect_error(loop, "last", ERROR_NOT_FOUND,
                 "you have submitted no sweep yet"); /* bob has not */
    expect_cancel(loop, "2..9", 3, 0, 0);
    expect_cancel(loop, "sweep-1", 1, 0, 2);
    expect_cancel(loop, "last", 0, 0, 1);
    loop_end(loop);
}

static void what_belongs_to_others_is_left_alone(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", SWEEP("rules"));
    expect_error(loop, "rules", ERROR_PERMISSION,
                 "sweep \"rules\" belongs to ann");
    expect_error(loop, "2", ERROR_PERMISSION,
                 "job 2 of sweep \"rules\" belongs to ann");
    struct caller root = {.uid = 0, .name = "root", .is_operator = true};
    struct answer a = cancel_as(loop, "2", &root);
    assert_non_null(a.result);
    answer_release(&a);
    assert_string_equal(last_change(loop)->reason, "cancelled by root");
    assert_int_equal(last_change(loop)->job, 2);
    loop_end(loop);
}

static void queued_jobs_are_cancelled_at_once(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", SWEEP("x"));
    expect_cancel(loop, "x", 3, 0, 0);
    assert_int_equal(loop->change_count, 6);
    assert_int_equal(last_change(loop)->to, JOB_cancelled);
    assert_int_equal(loop->stop_count, 0);
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 0);
    expect_cancel(loop, "x", 0, 0, 3);
    loop_end(loop);
}

/* Cancelled at once, for the user; its slot and run are taken until the
 * worker has gone. */
static void a_running_job_stops_first(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", SWEEP("x"));
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    int64_t attempt = last_dispatch(loop)->attempt;
    send_epochs(loop, attempt, -1, 1);
    expect_cancel(loop, "1", 0, 1, 0);
    assert_int_equal(loop->stop_count, 1);
    assert_int_equal(loop->stops[0], attempt);
    assert_int_equal(last_change(loop)->to, JOB_cancelled);
    assert_int_equal(loop->dispatch_count, 1);
    /* Asked for again meanwhile: waits for the worker to let go. */
    assert_int_equal(submit(loop, "r2", "{" BASE ", 'seed': 1}"), 4);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 2);
    assert_int_equal(last_dispatch(loop)->job, 2);
    store_slot_open(loop->store, 2, "cpu:2", CLASS);
    store_slot_open(loop->store, 3, "cpu:3", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 3);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 3);
    end_attempt(loop, attempt, OUTCOME_stopped, "");
    assert_int_equal(loop->dispatch_count, 4);
    assert_int_equal(last_dispatch(loop)->job, 4);
    assert_int_equal(last_dispatch(loop)->step, 10);
    loop_end(loop);
}

static void a_job_that_ends_while_it_is_cancelled_stays_cancelled(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{" BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    int64_t attempt = last_dispatch(loop)->attempt;
    expect_cancel(loop, "1", 0, 1, 0);
    send_epochs(loop, attempt, -1, 2);
    end_attempt(loop, attempt, OUTCOME_done, "");
    assert_int_equal(last_change(loop)->to, JOB_cancelled);
    /* But its work is not lost. */
    struct answer a;
    submit_as(loop, submission_make("r2", "{" BASE "}"), &a);
    assert_int_equal(json_integer_or(a.result, "done", -1), 1);
    answer_release(&a);
    loop_end(loop);
}

static void a_finished_job_is_counted_as_such(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", SWEEP("x"));
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    send_epochs(loop, last_dispatch(loop)->attempt, -1, 2);
    end_attempt(loop, last_dispatch(loop)->attempt, OUTCOME_done, "");
    expect_cancel(loop, "x", 1, 1, 1);
    loop_end(loop);
}

static void a_twin_goes_on_when_the_first_is_cancelled(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{" BASE "}");
    submit(loop, "r2", "{" BASE "}");
    expect_cancel(loop, "1", 1, 0, 0);
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    assert_int_equal(last_dispatch(loop)->job, 2);
    loop_end(loop);
}

/* The counts of the answer and the changes after it add up, whenever the
 * watch began. */
static void a_watch_misses_nothing(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    struct answer submitted[2] = {{0}}, watched = {0};
    store_submit(loop->store, submission_make("r1", SWEEP("x")), on_answer,
                 &submitted[0]);
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    store_watch(loop->store, "x", &ann, on_answer, &watched);
    store_submit(loop->store, submission_make("r2", SWEEP("y")), on_answer,
                 &submitted[1]);
    WAIT_FOR(loop, submitted[1].is_here && loop->dispatch_count == 1);
    const struct cJSON *counts =
        cJSON_GetObjectItemCaseSensitive(watched.result, "counts");
    assert_string_equal(json_text_or(watched.result, "sweep", ""), "x");
    assert_string_equal(json_text_or(watched.result, "target", ""), "x");
    assert_int_equal(json_integer_or(watched.result, "sweep_id", -1), 1);
    assert_int_equal(json_integer_or(watched.result, "job_count", -1), 3);
    int64_t queued = json_integer_or(counts, "queued", -1);
    int64_t running = json_integer_or(counts, "running", -1);
    assert_int_equal(queued + running, 3);
    assert_int_equal(json_integer_or(counts, "held", -1), 0);
    /* Three jobs of x were made before the answer; the dispatch is told after
     * it exactly when it was not counted. */
    for (int i = 3; i < loop->change_count; i++)
        if (loop->changes[i].sweep == 1 && running == 0) {
            queued -= loop->changes[i].from == JOB_queued;
            running += loop->changes[i].to == JOB_running;
        }
    assert_int_equal(running, 1);
    assert_int_equal(queued, 2);
    for (int i = 0; i < 2; i++)
        answer_release(&submitted[i]);
    answer_release(&watched);

    store_watch(loop->store, "2..4", &ann, on_answer, &watched);
    WAIT_FOR(loop, watched.is_here);
    assert_int_equal(json_integer_or(watched.result, "first", -1), 2);
    assert_int_equal(json_integer_or(watched.result, "last", -1), 4);
    assert_int_equal(json_integer_or(watched.result, "job_count", -1), 3);
    assert_true(cJSON_IsNull(
        cJSON_GetObjectItemCaseSensitive(watched.result, "sweep")));
    answer_release(&watched);
    loop_end(loop);
}

static int64_t held_before(struct loop *loop, const char *target)
{
    struct caller ann = caller_ann();
    struct answer answer = {0};
    store_order(loop->store, ORDER_hold, target, &ann, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    int64_t count = json_integer_or(answer.result, "already_held", -1);
    answer_release(&answer);
    return count;
}

/* What whole sweeps have is kept; what is left of those at the edges counts. */
static void ranges_cut_sweeps(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    for (int i = 0; i < 3; i++) { /* 1..40, 41..80, 81..120 */
        char *spec =
            xprintf("{'base': {" BASE "}, 'axes': {'seed': {'from': %d, "
                    "'to': %d}}}",
                    40 * i + 1, 40 * i + 40);
        submit(loop, spec, spec);
        free(spec);
    }
    expect_cancel(loop, "39..42", 4, 0, 0);
    expect_cancel(loop, "120..500", 1, 0, 0);
    assert_int_equal(held_before(loop, "60..69"), 0);
    assert_int_equal(held_before(loop, "2..119"), 10); /* little is beyond */
    assert_int_equal(held_before(loop, "41..80"), 38); /* nothing */
    assert_int_equal(held_before(loop, "79..82"), 4);  /* most */
    assert_int_equal(held_before(loop, "0..1000"), 114);
    expect_cancel(loop, "30..50", 17, 0, 4);
    expect_cancel(loop, "1..120", 98, 0, 22);
    expect_error(loop, "121..130", ERROR_NOT_FOUND, "no jobs 121..130");
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_found_or_named),
        cmocka_unit_test(what_belongs_to_others_is_left_alone),
        cmocka_unit_test(queued_jobs_are_cancelled_at_once),
        cmocka_unit_test(a_running_job_stops_first),
        cmocka_unit_test(a_job_that_ends_while_it_is_cancelled_stays_cancelled),
        cmocka_unit_test(a_finished_job_is_counted_as_such),
        cmocka_unit_test(a_twin_goes_on_when_the_first_is_cancelled),
        cmocka_unit_test(a_watch_misses_nothing),
        cmocka_unit_test(ranges_cut_sweeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
