/* Sweeps that wait for another. */
#include "tests/unit/daemon_queue_fixture.h"

#include "daemon/db.h"

static void it_starts_when_every_job_is_done(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann(), bob = caller_bob();
    int64_t a = queue_sweep(loop, &ann, "a", 2, "{}");
    int64_t b = queue_sweep(loop, &bob, "b", 2, "{'after': 'a'}");
    queue_slots(loop, 0, 4);
    queue_dispatched(loop, 2);
    queue_explained(loop, b, 4,
                    "job 3 waits for sweep \"a\": of its jobs 2 are not done "
                    "yet");
    queue_finish(loop, a + 1);
    queue_dispatched(loop, 2);
    queue_finish(loop, a);
    queue_dispatched(loop, 4);
    assert_int_equal(loop->dispatches[2].job, b);
    assert_int_equal(loop->dispatches[3].job, b + 1);
    loop_end(loop);
}

static void what_is_over_is_not_waited_for(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    int64_t a = queue_sweep(loop, &ann, "a", 1, "{}");
    queue_slots(loop, 0, 1);
    queue_finish(loop, a);
    int64_t b = queue_sweep(loop, &ann, "b", 1, "{'after': 'last'}");
    queue_dispatched(loop, 2);
    assert_int_equal(last_dispatch(loop)->job, b);
    loop_open_reader(loop, 10);
    struct cJSON *shown = ask(loop, "show", "{'target': 'b'}", NULL);
    assert_string_equal(
        json_text_or(cJSON_GetObjectItemCaseSensitive(shown, "sweep"), "after",
                     ""),
        "a");
    cJSON_Delete(shown);
    loop_end(loop);
}

static void failures_keep_it_waiting(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    int64_t a = queue_sweep(loop, &ann, "a", 3, "{}");
    int64_t b = queue_sweep(loop, &ann, "b", 1, "{'after': 'a'}");
    queue_slots(loop, 0, 2);
    end_attempt(loop, loop->dispatches[0].attempt, OUTCOME_failed, "no");
    queue_order(loop, ORDER_cancel, "2", &ann,
                "{'cancelled':0,'stopping':1,'already_final':0}");
    end_attempt(loop, loop->dispatches[1].attempt, OUTCOME_stopped, "");
    queue_explained(loop, b, 2,
                    "job 4 waits for sweep \"a\": of its jobs 1 is not done "
                    "yet, 1 failed and 1 was cancelled; \"gaitctl retry a\" "
                    "trains them again, \"gaitctl release b\" starts this "
                    "sweep anyway");
    queue_finish(loop, a + 2);
    queue_dispatched(loop, 3);
    queue_explained(loop, b, 2,
                    "job 4 waits for sweep \"a\": of its jobs 1 failed and 1 "
                    "was cancelled; \"gaitctl retry a\" trains them again, "
                    "\"gaitctl release b\" starts this sweep anyway");
    queue_order(loop, ORDER_release, "b", &ann,
                "{'released':1,'already_released':0,'already_final':0}");
    queue_dispatched(loop, 4);
    assert_int_equal(last_dispatch(loop)->job, b);
    loop_end(loop);
}

/* The same training in a sweep that waits and in one that does not. */
static void a_twin_does_not_wait(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    int64_t a = queue_sweep(loop, &ann, "a", 1, "{}");
    struct submission *s = submission_make("r1", "{'name': 'b', " BASE "}");
    snprintf(s->controls.after, sizeof s->controls.after, "a");
    struct answer answer;
    submit_as(loop, s, &answer);
    assert_non_null(answer.result);
    answer_release(&answer);
    int64_t c = submit(loop, "r2", "{'name': 'c', " BASE "}");
    queue_slots(loop, 0, 2);
    queue_dispatched(loop, 2);
    assert_int_equal(loop->dispatches[0].job, a);
    assert_int_equal(loop->dispatches[1].job, c);
    loop->change_count = 0;
    queue_finish(loop, c); /* which is the last epoch of both */
    assert_int_equal(loop->change_count, 1);
    assert_int_equal(last_change(loop)->job, c);
    queue_finish(loop, a);
    WAIT_FOR(loop,
             last_change(loop)->job == 2 && last_change(loop)->to == JOB_done);
    loop_end(loop);
}

static void refuse(struct loop *loop, const char *after, const char *fault)
{
    struct submission *s = submission_make("r9", "{'name': 'x', " BASE "}");
    struct answer answer;
    snprintf(s->controls.after, sizeof s->controls.after, "%s", after);
    submit_as(loop, s, &answer);
    assert_null(answer.result);
    const struct cJSON *first = cJSON_GetArrayItem(
        cJSON_GetObjectItemCaseSensitive(answer.data, "faults"), 0);
    assert_string_equal(json_text_or(first, "where", ""), "controls.after");
    assert_string_equal(json_text_or(first, "text", ""), fault);
    answer_release(&answer);
}

static void only_sweeps_that_exist_are_waited_for(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "pilot", 1, "{}");
    refuse(loop, "pliot", "no sweep \"pliot\", did you mean \"pilot\"?");
    refuse(loop, "x", "no sweep \"x\"");
    refuse(loop, "1", "\"1\" names jobs, not a sweep");
    loop_end(loop);
}

static int64_t count_of(struct loop *loop, const char *sql)
{
    struct error error;
    int64_t count = -1;
    struct db *db = db_open(loop->path, DB_READ, &error);
    struct statement *s = statement_new(db, sql);
    while (statement_next(s))
        count = column_integer(s, 0);
    statement_free(s);
    db_close(db);
    return count;
}

/* Many jobs are let go in pieces; a crash in between, or a sweep that is gone,
 * is noticed at the next start. */
static void letting_go_is_gone_on_with(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    queue_sweep(loop, &ann, "a", 1, "{}");
    queue_sweep(loop, &ann, "b", 700, "{'after': 'a'}");
    queue_sweep(loop, &ann, "c", 700, "{'after': 'a'}");
    static const char ready[] = "SELECT count(*) FROM job WHERE is_ready";
    assert_int_equal(count_of(loop, ready), 1);
    store_close(loop->store);
    loop_change(loop, "UPDATE sweep SET after_id = NULL, entered = 128 "
                      "WHERE name = 'b'; "
                      "UPDATE sweep SET after_id = 77 WHERE name = 'c'; "
                      "UPDATE job SET is_ready = 1 WHERE position < 128 AND "
                      "sweep_id = (SELECT id FROM sweep WHERE name = 'b')");
    struct error error;
    assert_non_null(loop_open_store(loop, &error));
    for (int i = 0; i < 100 && count_of(loop, ready) < 1401; i++)
        loop_sync(loop); /* a piece each */
    assert_int_equal(count_of(loop, ready), 1401);
    assert_int_equal(count_of(loop, "SELECT count(after_id) FROM sweep"), 0);
    assert_int_equal(count_of(loop, "SELECT count(entered) FROM sweep"), 0);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_when_every_job_is_done),
        cmocka_unit_test(what_is_over_is_not_waited_for),
        cmocka_unit_test(failures_keep_it_waiting),
        cmocka_unit_test(a_twin_does_not_wait),
        cmocka_unit_test(only_sweeps_that_exist_are_waited_for),
        cmocka_unit_test(letting_go_is_gone_on_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
