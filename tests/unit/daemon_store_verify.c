#include "tests/unit/daemon_store_fixture.h"

#define BASE "'tower': true, 'widths': '16x10', 'batch_size': 60"

/* Job 1 of sweep "x", done: rows of steps 0, 5, 10, 15 and 20. */
static struct loop *make_trained(void)
{
    struct loop *loop = loop_start();
    submit(loop, "r1", "{'name': 'x', 'nb_epochs': 2, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    for (int64_t step = 0; step <= 20; step += 5)
        send_row(loop, last_dispatch(loop)->attempt, step);
    end_attempt(loop, last_dispatch(loop)->attempt, OUTCOME_done, "");
    loop_open_reader(loop, 10);
    return loop;
}

static struct answer verify(struct loop *loop, const char *target,
                            const char *request_id)
{
    struct answer answer = {0};
    struct caller ann = caller_ann();
    store_verify(loop->store, target, request_id, &ann, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    return answer;
}

static void assert_refused(struct loop *loop, const char *target,
                           const char *text)
{
    struct answer a = verify(loop, target, "no");
    assert_null(a.result);
    assert_string_equal(a.error.text, text);
    answer_release(&a);
}

/* Has job 1 computed again; the attempt. */
static int64_t begin(struct loop *loop)
{
    struct answer a = verify(loop, "x", "v1");
    assert_non_null(a.result);
    assert_string_equal(json_text_or(a.result, "name", ""), "verify-2");
    assert_int_equal(json_integer_or(a.result, "job_count", -1), 1);
    assert_int_equal(json_integer_or(a.result, "first_job", -1), 2);
    assert_int_equal(json_integer_or(a.result, "skipped_count", -1), 0);
    answer_release(&a);
    WAIT_FOR(loop, loop->dispatch_count == 2);
    assert_int_equal(last_dispatch(loop)->job, 2);
    assert_int_equal(last_dispatch(loop)->run, 2);
    assert_int_equal(last_dispatch(loop)->step, -1);
    assert_string_equal(last_dispatch(loop)->key, loop->dispatches[0].key);
    return last_dispatch(loop)->attempt;
}

static void equal_rows_make_it_done(void **state)
{
    (void)state;
    struct loop *loop = make_trained();
    int64_t attempt = begin(loop);
    for (int64_t step = 0; step <= 20; step += 5) {
        struct history_row row = row_at(step);
        row.seconds = 77;
        store_row(loop->store, attempt, &row);
    }
    end_attempt(loop, attempt, OUTCOME_done, "");
    assert_int_equal(last_change(loop)->to, JOB_done);
    struct cJSON *a = ask(loop, "verification", "{'target': 'verify-2'}", NULL);
    const struct cJSON *row =
        cJSON_GetObjectItemCaseSensitive(a, "rows")->child;
    assert_int_equal(json_integer_or(row, "job", -1), 1);
    assert_int_equal(json_integer_or(row, "verified_by", -1), 2);
    assert_int_equal(json_integer_or(row, "rows", -1), 5);
    cJSON_Delete(a);
    loop_end(loop);
}

/* Interrupted, it goes on with its own rows, not with the original's. */
static void an_interruption_changes_nothing(void **state)
{
    (void)state;
    struct loop *loop = make_trained();
    int64_t attempt = begin(loop);
    for (int64_t step = 0; step <= 10; step += 5)
        send_row(loop, attempt, step);
    end_attempt(loop, attempt, OUTCOME_crashed, "");
    store_wait_over(loop->store, last_dispatch(loop)->job);
    WAIT_FOR(loop, loop->dispatch_count == 3);
    attempt = last_dispatch(loop)->attempt;
    assert_int_equal(last_dispatch(loop)->step, 10);
    for (int64_t step = 0; step <= 20; step += 5)
        send_row(loop, attempt, step);
    end_attempt(loop, attempt, OUTCOME_done, "");
    assert_int_equal(last_change(loop)->to, JOB_done);
    loop_end(loop);
}

static void assert_differs(const struct history_row *row, const char *text)
{
    struct loop *loop = make_trained();
    int64_t attempt = begin(loop);
    send_row(loop, attempt, 0);
    send_row(loop, attempt, 5);
    store_row(loop->store, attempt, row);
    WAIT_FOR(loop, loop->refused_count == 1);
    assert_string_equal(loop->refusal.text, text);
    end_attempt(loop, attempt, OUTCOME_done, "");
    assert_int_equal(last_change(loop)->job, 2);
    assert_int_equal(last_change(loop)->to, JOB_failed);
    assert_string_equal(last_change(loop)->reason, text);
    struct cJSON *a = ask(loop, "history", "{'target': '2'}", NULL);
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(a, "rows")), 2);
    cJSON_Delete(a);
    loop_end(loop);
}

static void the_first_difference_is_named(void **state)
{
    (void)state;
    struct history_row row = row_at(10);
    row.train_loss = nextafter(row.train_loss, 1);
    assert_differs(&row, "not identical: row of step 10: train_loss is "
                         "0.090909090909090925, was 0.090909090909090912 in "
                         "run 1");
    row = row_at(10);
    row.state_hash[0] = 'f';
    assert_differs(&row, "not identical: row of step 10: state_hash is "
                         "f000000000000000000000000000000a, was "
                         "0000000000000000000000000000000a in run 1");
    row = row_at(7);
    assert_differs(&row, "not identical: the row of step 7 is one that run 1 "
                         "does not have");
}

static void a_missing_row_is_named(void **state)
{
    (void)state;
    struct loop *loop = make_trained();
    int64_t attempt = begin(loop);
    send_row(loop, attempt, 0);
    send_row(loop, attempt, 10);
    WAIT_FOR(loop, loop->refused_count == 1);
    assert_string_equal(loop->refusal.text,
                        "not identical: the row of step 5, which run 1 has, is "
                        "missing before step 10");
    end_attempt(loop, attempt, OUTCOME_nondeterministic, loop->refusal.text);
    loop_end(loop);
}

static void what_cannot_be_verified(void **state)
{
    (void)state;
    struct loop *loop = make_trained();
    begin(loop);
    assert_int_equal(submit(loop, "r2", "{'seed': 7, " BASE "}"), 3);
    assert_refused(loop, "3", "nothing to verify: job 3 has no rows yet");
    assert_refused(loop, "2",
                   "nothing to verify: job 2 is a verification itself");
    assert_refused(loop, "2..3", "nothing to verify: job 3 has no rows yet");
    assert_refused(loop, "2..2", "nothing to verify: these are verifications");
    struct answer a = verify(loop, "1..3", "v2");
    assert_int_equal(json_integer_or(a.result, "job_count", -1), 1);
    assert_int_equal(json_integer_or(a.result, "skipped_count", -1), 1);
    answer_release(&a);
    a = verify(loop, "1..3", "r1");
    assert_string_equal(a.error.text,
                        "request_id \"r1\" was used for another sweep");
    answer_release(&a);
    loop_end(loop);
}

/* Jobs that share a run are verified by the one that goes farthest. */
static void a_run_is_verified_once(void **state)
{
    (void)state;
    struct loop *loop = make_trained();
    assert_int_equal(submit(loop, "r2",
                            "{'base': {" BASE "}, "
                            "'axes': {'nb_epochs': [0, 1, 2]}}"),
                     2);
    struct answer a = verify(loop, "2..4", "v");
    assert_int_equal(json_integer_or(a.result, "job_count", -1), 1);
    answer_release(&a);
    WAIT_FOR(loop, loop->dispatch_count == 2);
    assert_int_equal(last_dispatch(loop)->job, 5);
    assert_int_equal(last_dispatch(loop)->nb_epochs, 2);
    loop_end(loop);
}

static void the_device_class_must_be_there(void **state)
{
    (void)state;
    struct loop *loop = make_trained();
    struct error error;
    reader_close(loop->reader);
    loop->reader = NULL;
    store_close(loop->store);
    assert_non_null(loop_open_store(loop, &error));
    assert_refused(loop, "1",
                   "nothing to verify: job 1 began on device class \"" CLASS
                   " threads-1\", which has no slot here; there is none");
    store_slot_open(loop->store, 0, "cpu:0", "cpu-other");
    store_slot_open(loop->store, 1, "cpu:1", "cpu-other");
    store_slot_open(loop->store, 2, "gpu:0", "cuda");
    assert_refused(loop, "1",
                   "nothing to verify: job 1 began on device class \"" CLASS
                   " threads-1\", which has no slot here; there is "
                   "\"cpu-other\" and \"cuda\"");
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_rows_make_it_done),
        cmocka_unit_test(an_interruption_changes_nothing),
        cmocka_unit_test(the_first_difference_is_named),
        cmocka_unit_test(a_missing_row_is_named),
        cmocka_unit_test(what_cannot_be_verified),
        cmocka_unit_test(a_run_is_verified_once),
        cmocka_unit_test(the_device_class_must_be_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
