/* Events, what lost attempts cost, draining, retrying, limits: the store's
 * side. */
#include "tests/unit/daemon_store_fixture.h"

#include "daemon/db.h"

#define BASE "'tower': true, 'widths': '16x10', 'batch_size': 60"

static struct cJSON *events(struct loop *loop)
{
    if (!loop->reader)
        loop_open_reader(loop, 10);
    struct cJSON *answer = ask(loop, "events", "{}", NULL);
    struct cJSON *list =
        cJSON_DetachItemFromObjectCaseSensitive(answer, "events");
    cJSON_Delete(answer);
    return list;
}

/* The newest event must be of that kind, with that text and cost. */
static void check_last(struct loop *loop, const char *kind, const char *text,
                       double cost)
{
    struct cJSON *list = events(loop);
    const struct cJSON *last =
        cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1);
    assert_string_equal(json_text_or(last, "kind", ""), kind);
    assert_string_equal(json_text_or(last, "text", ""), text);
    double is = json_real_or(last, "cost_s", NAN);
    if (!(isnan(cost) ? isnan(is) : fabs(is - cost) < 1e-9))
        fail_msg("cost_s is %g, expected %g", is, cost);
    cJSON_Delete(list);
}

static int64_t begin(struct loop *loop, int count)
{
    WAIT_FOR(loop, loop->dispatch_count >= count);
    return last_dispatch(loop)->attempt;
}

static void end_at(struct loop *loop, int64_t attempt, enum outcome outcome,
                   int64_t step)
{
    struct ending ending = {.outcome = outcome, .step = step, .seconds = 1};
    int before = loop->closed_count;
    store_attempt_end(loop->store, attempt, &ending);
    WAIT_FOR(loop, loop->closed_count > before);
}

static void a_loss_costs_what_is_computed_again(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{" BASE ", 'nb_epochs': 6}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    int64_t attempt = begin(loop, 1);
    store_attempt_started(loop->store, attempt, 1, 0);
    send_epochs(loop, attempt, -1, 2); /* 20 steps, in 20 / 7 s */
    end_at(loop, attempt, OUTCOME_crashed, 27);
    WAIT_FOR(loop, loop->wait_count == 1);
    store_wait_over(loop->store, loop->waits[0]);
    attempt = begin(loop, 2);
    store_attempt_started(loop->store, attempt, 1, 10);
    loop_sync(loop);
    check_last(loop, "resumed",
               "goes on from step 10 of 60; 17 steps are computed again",
               17.0 / 7);
    end_at(loop, attempt, OUTCOME_stopped, 30);
    attempt = begin(loop, 3);
    store_attempt_started(loop->store, attempt, 1, 30);
    loop_sync(loop);
    check_last(loop, "resumed",
               "goes on from step 30 of 60; nothing is computed again", 0);
    loop_end(loop);
}

/* The last steps of a worker that nobody heard are not known. */
static void what_gaitd_did_not_hear_is_at_least(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{" BASE ", 'nb_epochs': 6}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    int64_t attempt = begin(loop, 1);
    store_attempt_started(loop->store, attempt, 1, 0);
    send_epochs(loop, attempt, -1, 2);
    loop_sync(loop);
    store_close(loop->store);
    struct error error;
    assert_non_null(loop_open_store(loop, &error));
    check_last(loop, "started", "1 attempt had been cut short", NAN);
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    attempt = begin(loop, 2);
    store_attempt_started(loop->store, attempt, 1, 0);
    loop_sync(loop);
    check_last(loop, "resumed",
               "goes on from step 0 of 60; at least 20 steps are computed "
               "again",
               20.0 / 7);
    loop_end(loop);
}

static struct cJSON *set_drained(struct loop *loop, bool is_drained,
                                 bool is_operator, struct error *error)
{
    struct answer answer = {0};
    struct caller caller = caller_ann();
    caller.is_operator = is_operator;
    store_set_drained(loop->store, is_drained, &caller, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    *error = answer.error;
    cJSON_Delete(answer.data);
    return answer.result;
}

static void a_drained_queue_stays_so(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct error error;
    assert_null(set_drained(loop, true, false, &error));
    assert_int_equal(error.code, ERROR_PERMISSION);
    for (int i = 0; i < 2; i++) { /* the second changes nothing */
        struct cJSON *answer = set_drained(loop, true, true, &error);
        assert_true(json_boolean_or(answer, "is_drained", false));
        assert_int_equal(json_integer_or(answer, "running", -1), 0);
        cJSON_Delete(answer);
    }
    check_last(loop, "drained", "by ann", NAN);
    submit(loop, "r1", "{" BASE "}");
    store_close(loop->store);
    assert_non_null(loop_open_store(loop, &error));
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 0);
    cJSON_Delete(set_drained(loop, false, true, &error));
    begin(loop, 1);
    loop_end(loop);
}

static struct cJSON *retry(struct loop *loop, const char *target,
                           const struct caller *caller, struct error *error)
{
    struct answer answer = {0};
    store_retry(loop->store, target, -1, caller, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    *error = answer.error;
    cJSON_Delete(answer.data);
    return answer.result;
}

/* In pieces, and only what failed or was cancelled. */
static void a_large_sweep_is_retried(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann(), bob = caller_bob();
    struct error error;
    submit(loop, "r1",
           "{'name': 's', 'base': {" BASE "}, "
           "'axes': {'seed': {'from': 1, 'to': 3000}}}");
    struct answer answer = {0};
    store_order(loop->store, ORDER_cancel, "101..3000", &ann, on_answer,
                &answer);
    WAIT_FOR(loop, answer.is_here);
    answer_release(&answer);
    assert_null(retry(loop, "s", &bob, &error));
    assert_int_equal(error.code, ERROR_PERMISSION);
    struct cJSON *result = retry(loop, "s", &ann, &error);
    assert_int_equal(json_integer_or(result, "retried", -1), 2900);
    assert_int_equal(json_integer_or(result, "cancelled", -1), 2900);
    cJSON_Delete(result);
    check_last(loop, "retried", "2900 jobs of \"s\" by ann", NAN);
    result = retry(loop, "s", &ann, &error);
    assert_int_equal(json_integer_or(result, "retried", -1), 0);
    cJSON_Delete(result);
    loop_end(loop);
}

/* As many as a submission could have; what has diverged is not counted. */
static void a_retry_keeps_to_the_limit_of_its_user(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    struct error error;
    submit(loop, "r1",
           "{'name': 's', 'base': {" BASE "}, 'axes': {'seed': [1, 2, 3, 4]}}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    struct ending ending = {.outcome = OUTCOME_diverged, .diverged_epoch = 1};
    store_attempt_end(loop->store, begin(loop, 1), &ending);
    int64_t second = begin(loop, 2);
    cJSON_Delete(set_drained(loop, true, true, &error));
    end_at(loop, second, OUTCOME_stopped, 0);
    for (int i = 0; i < 2; i++) { /* the second is no event */
        struct answer answer = {0};
        store_order(loop->store, ORDER_cancel, "s", &ann, on_answer, &answer);
        WAIT_FOR(loop, answer.is_here);
        answer_release(&answer);
        check_last(loop, "finished", "0 done, 1 failed, 3 cancelled", NAN);
    }
    store_limit_users(loop->store, &(struct user_limits){.max_queued = 2});
    assert_null(retry(loop, "s", &ann, &error));
    assert_int_equal(error.code, ERROR_BUSY);
    assert_string_equal(error.text,
                        "with these 3 you would have more than 2 jobs that are "
                        "not final (max_queued_per_user)");
    store_limit_users(loop->store, &(struct user_limits){.max_queued = 3});
    struct cJSON *result = retry(loop, "s", &ann, &error);
    assert_int_equal(json_integer_or(result, "retried", -1), 3);
    cJSON_Delete(result);
    loop_end(loop);
}

static void fail_fast_lets_none_start(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct submission *s =
        submission_make("r1", "{'name': 's', 'base': {" BASE "}, "
                              "'axes': {'seed': {'from': 1, 'to': 1500}}}");
    struct answer answer;
    s->controls.fail_fast = 1;
    snprintf(s->controls.on_finish, CONTROL_TEXT_BYTES, "mail");
    submit_as(loop, s, &answer);
    answer_release(&answer);
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    end_at(loop, begin(loop, 1), OUTCOME_failed, 0);
    WAIT_FOR(loop, loop->hook_count == 1);
    assert_int_equal(loop->dispatch_count, 1);
    assert_int_equal(loop->hook.cancelled, 1499);
    assert_int_equal(loop->hook.failed, 1);
    assert_string_equal(loop->hook.sweep_name, "s");
    check_last(loop, "finished", "0 done, 1 failed, 1499 cancelled", NAN);
    /* It has not ended: the next gaitd runs it again, until it has. */
    int64_t order = loop->hook.id;
    for (int i = 0; i < 2; i++) {
        struct error error;
        store_close(loop->store);
        assert_non_null(loop_open_store(loop, &error));
        loop->hook_count = 0;
        store_hooks_resume(loop->store);
        loop_sync(loop);
        assert_int_equal(loop->hook_count, i == 0);
        if (i == 0) {
            store_hook_end(loop->store, order, "exit status 0");
            loop_sync(loop);
            check_last(loop, "hook", "exit status 0", NAN);
        }
    }
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loss_costs_what_is_computed_again),
        cmocka_unit_test(what_gaitd_did_not_hear_is_at_least),
        cmocka_unit_test(a_drained_queue_stays_so),
        cmocka_unit_test(a_large_sweep_is_retried),
        cmocka_unit_test(a_retry_keeps_to_the_limit_of_its_user),
        cmocka_unit_test(fail_fast_lets_none_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
