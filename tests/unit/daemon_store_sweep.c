/* Sweeps in pieces: seen whole or not at all, whatever comes in between. */
#include "tests/unit/daemon_store_fixture.h"

#include "daemon/db.h"

#define BASE "'batch_size': 60, 'nb_epochs': 2"
#define SEEDS(first, last)                                                     \
    "{'name': 'large', 'base': {" BASE "}, 'axes': {'seed': {'from': " #first  \
    ", 'to': " #last "}}}"

enum { LARGE = 30000 }; /* some dozens of pieces */

static int64_t count(struct loop *loop, const char *sql)
{
    struct error error;
    struct db *db = db_open(loop->path, DB_READ, &error);
    int64_t value = -1;
    assert_non_null(db);
    struct statement *s = statement_new(db, sql);
    while (statement_next(s))
        value = column_integer(s, 0);
    if (!statement_finish(s, &error))
        fail_msg("%s", error.text);
    statement_free(s);
    db_close(db);
    return value;
}

static void start_large(struct loop *loop, const char *request_id,
                        struct answer *answer)
{
    memset(answer, 0, sizeof *answer);
    store_submit(loop->store, submission_make(request_id, SEEDS(1, 30000)),
                 on_answer, answer);
}

/* Some of its jobs are there, and not all. */
static void await_middle(struct loop *loop, const struct answer *answer)
{
    struct answer nothing = {0};
    struct caller ann = caller_ann();
    do { /* each round takes a transaction */
        store_watch(loop->store, "no-such", &ann, on_answer, &nothing);
        WAIT_FOR(loop, nothing.is_here);
        answer_release(&nothing);
    } while (!count(loop, "SELECT count(*) FROM sweep WHERE NOT is_complete "
                          "AND EXISTS (SELECT 1 FROM job WHERE sweep_id = "
                          "sweep.id AND position > 200)"));
    assert_false(answer->is_here);
}

static void expect_refused(struct loop *loop, const char *target)
{
    struct answer answer = {0};
    struct caller ann = caller_ann();
    store_watch(loop->store, target, &ann, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    assert_null(answer.result);
    assert_int_equal(answer.error.code, ERROR_NOT_FOUND);
    answer_release(&answer);
}

static int64_t length(const struct cJSON *answer, const char *name)
{
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(answer, name));
}

static int64_t ask_length(struct loop *loop, const char *method,
                          const char *params, const char *name)
{
    struct cJSON *answer = ask(loop, method, params, NULL);
    int64_t count = length(answer, name);
    cJSON_Delete(answer);
    return count;
}

static int64_t ask_queued(struct loop *loop)
{
    struct cJSON *answer = ask(loop, "counts", "{}", NULL);
    int64_t queued = json_integer_or(
        cJSON_GetObjectItemCaseSensitive(answer, "counts"), "queued", -1);
    cJSON_Delete(answer);
    return queued;
}

/* Another sweep comes in while the large one does: it is answered first, gets
 * ids behind the large one's, and is all that there is to be seen. */
static void nobody_sees_a_part(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer large;
    loop_open_reader(loop, 10);
    submit(loop, "r1", "{'name': 'before', " BASE "}");
    start_large(loop, "r2", &large);
    await_middle(loop, &large);
    assert_int_equal(
        submit(loop, "r3", "{'name': 'after', 'seed': 90001, " BASE "}"),
        LARGE + 2);
    expect_refused(loop, "large");
    expect_refused(loop, "sweep-2");
    expect_refused(loop, "2..100");
    expect_refused(loop, "5");
    assert_int_equal(ask_length(loop, "sweeps", "{}", "sweeps"), 2);
    assert_int_equal(ask_length(loop, "list", "{}", "jobs"), 2);
    assert_int_equal(ask_length(loop, "list", "{'limit': 1}", "jobs"), 1);
    assert_int_equal(
        ask_length(loop, "list", "{'target': '1..999999'}", "jobs"), 2);
    assert_int_equal(ask_queued(loop), 2);
    assert_int_equal(count(loop, "SELECT count(*) FROM result"), 2);
    assert_false(large.is_here);
    WAIT_FOR(loop, large.is_here);
    assert_int_equal(json_integer_or(large.result, "first_job", -1), 2);
    assert_int_equal(json_integer_or(large.result, "last_job", -1), LARGE + 1);
    assert_int_equal(json_integer_or(large.result, "new", -1), LARGE);
    assert_int_equal(ask_queued(loop), LARGE + 2);
    answer_release(&large);
    loop_end(loop);
}

/* Jobs of an incomplete sweep are not dispatched, and those of others are,
 * whose runs it has asked for first. */
static void nothing_of_it_is_dispatched(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer large;
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    start_large(loop, "r1", &large);
    await_middle(loop, &large);
    int64_t twin = submit(loop, "r2", "{'seed': 1, " BASE "}");
    WAIT_FOR(loop, loop->dispatch_count == 1);
    assert_int_equal(last_dispatch(loop)->job, twin);
    int64_t attempt = last_dispatch(loop)->attempt;
    send_epochs(loop, attempt, -1, 2);
    end_attempt(loop, attempt, OUTCOME_done, "");
    WAIT_FOR(loop, large.is_here && loop->dispatch_count == 2);
    /* Job 1 wanted no more than that. */
    assert_int_equal(last_dispatch(loop)->job, 2);
    loop_end(loop);
    answer_release(&large);
}

/* The one that is under way, and the one that asks again, get one answer. */
static void a_retry_waits_for_the_first(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer large, again, named = {0}, other;
    start_large(loop, "r1", &large);
    await_middle(loop, &large);
    start_large(loop, "r1", &again);
    store_submit(loop->store, submission_make("r2", SEEDS(1, 30000)), on_answer,
                 &named);
    memset(&other, 0, sizeof other);
    store_submit(loop->store, submission_make("r3", SEEDS(1, 30001)), on_answer,
                 &other);
    WAIT_FOR(loop,
             large.is_here && again.is_here && named.is_here && other.is_here);
    assert_false(json_boolean_or(large.result, "is_existing", true));
    assert_true(json_boolean_or(again.result, "is_existing", false));
    assert_true(json_boolean_or(named.result, "is_existing", false));
    assert_int_equal(json_integer_or(again.result, "sweep_id", -1), 1);
    assert_int_equal(other.error.code, ERROR_CONFLICT);
    assert_int_equal(count(loop, "SELECT count(*) FROM job"), LARGE);
    answer_release(&large);
    answer_release(&again);
    answer_release(&named);
    loop_end(loop);
}

static void expect_gone(struct loop *loop, int64_t runs)
{
    assert_int_equal(count(loop, "SELECT count(*) FROM job WHERE sweep_id = 1"),
                     0);
    assert_int_equal(count(loop, "SELECT count(*) FROM run"), runs);
    assert_int_equal(count(loop, "SELECT count(*) FROM event "
                                 "WHERE kind = 'submitted' AND sweep_id = 1"),
                     0);
}

/* A later piece fails: the first ones go too, but for a run that somebody else
 * has asked for meanwhile; then the name and the request are free again. */
static void a_later_failure_takes_it_all_back(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    store_close(loop->store);
    struct error error;
    struct db *db = db_open(loop->path, DB_WRITE, &error);
    assert_true(db_script(db,
                          "CREATE TRIGGER late BEFORE INSERT ON job "
                          "WHEN NEW.position = 29990 BEGIN "
                          "SELECT raise(ABORT, 'not this one'); END",
                          &error));
    db_close(db);
    assert_non_null(loop_open_store(loop, &error));
    struct answer large, again;
    start_large(loop, "r1", &large);
    await_middle(loop, &large);
    submit(loop, "r2", "{'seed': 3, " BASE "}");
    WAIT_FOR(loop, large.is_here);
    assert_null(large.result);
    assert_non_null(strstr(large.error.text, "not this one"));
    submit_as(loop, submission_make("r1", SEEDS(1, 20)), &again);
    assert_non_null(again.result);
    assert_int_equal(json_integer_or(again.result, "first_job", -1), LARGE + 2);
    expect_gone(loop, 20);
    answer_release(&large);
    answer_release(&again);
    loop_end(loop);
}

/* gaitd ends in the middle: the next one removes what there is. */
static void a_restart_removes_what_was_not_acknowledged(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer large, again;
    struct error error;
    start_large(loop, "r1", &large);
    await_middle(loop, &large);
    store_close(loop->store);
    assert_true(large.is_here);
    assert_int_equal(large.error.code, ERROR_BUSY);
    assert_in_range(count(loop, "SELECT count(*) FROM job"), 1, LARGE - 1);
    assert_non_null(loop_open_store(loop, &error));
    submit_as(loop, submission_make("r1", SEEDS(5, 6)), &again);
    assert_non_null(again.result);
    assert_int_equal(json_integer_or(again.result, "new", -1), 2);
    expect_gone(loop, 2);
    answer_release(&again);
    loop_end(loop);
}

/* gaitd ends after the answer: all jobs enter the queue after that. */
static void a_restart_lets_in_what_was_acknowledged(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer large;
    struct error error;
    start_large(loop, "r1", &large);
    WAIT_FOR(loop, large.is_here);
    store_close(loop->store);
    assert_in_range(count(loop, "SELECT entered FROM sweep"), 1, LARGE - 1);
    assert_non_null(loop_open_store(loop, &error));
    while (count(loop, "SELECT count(*) FROM job WHERE is_ready") < LARGE)
        loop_sync(loop);
    assert_int_equal(
        count(loop, "SELECT count(*) FROM sweep WHERE entered IS NULL"), 1);
    answer_release(&large);
    loop_end(loop);
}

/* Others are not kept waiting, and nothing of it is left. */
static void cancelling_goes_in_pieces(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer large, cancelled = {0};
    struct caller ann = caller_ann();
    start_large(loop, "r1", &large);
    WAIT_FOR(loop, large.is_here);
    store_order(loop->store, ORDER_cancel, "large", &ann, on_answer,
                &cancelled);
    submit(loop, "r2", "{'seed': 90001, " BASE "}");
    assert_false(cancelled.is_here);
    WAIT_FOR(loop, cancelled.is_here);
    assert_int_equal(json_integer_or(cancelled.result, "cancelled", -1), LARGE);
    assert_int_equal(json_integer_or(cancelled.result, "already_final", -1), 0);
    assert_int_equal(count(loop, "SELECT count(*) FROM job WHERE is_ready"), 1);
    answer_release(&cancelled);
    answer_release(&large);
    loop_end(loop);
}

/* The review of a large one alone takes several pieces; a small one that was
 * sent after it gets the higher number, whatever becomes of the large one. */
static void numbers_tell_the_order(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer large = {0}, small = {0};
    store_limit_users(loop->store, &(struct user_limits){.max_queued = 10});
    store_submit(
        loop->store,
        submission_make("r1", "{'base': {" BASE "}, 'axes': {'seed': {'from': "
                              "1, 'to': 50}, 'gamma': {'from': 1e-5, 'to': "
                              "1e-3, 'steps': 900}}}"),
        on_answer, &large);
    store_submit(loop->store, submission_make("r2", "{'seed': 1, " BASE "}"),
                 on_answer, &small);
    WAIT_FOR(loop, large.is_here && small.is_here);
    assert_int_equal(large.error.code, ERROR_BUSY);
    assert_int_equal(json_integer_or(small.result, "sweep_id", -1), 2);
    answer_release(&large);
    answer_release(&small);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_sees_a_part),
        cmocka_unit_test(numbers_tell_the_order),
        cmocka_unit_test(nothing_of_it_is_dispatched),
        cmocka_unit_test(a_retry_waits_for_the_first),
        cmocka_unit_test(a_later_failure_takes_it_all_back),
        cmocka_unit_test(a_restart_removes_what_was_not_acknowledged),
        cmocka_unit_test(a_restart_lets_in_what_was_acknowledged),
        cmocka_unit_test(cancelling_goes_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
