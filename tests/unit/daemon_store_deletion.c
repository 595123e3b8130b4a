#include "daemon/db.h"
#include "tests/unit/daemon_store_fixture.h"

#define BASE "'tower': true, 'widths': '16x10', 'batch_size': 60"

/* Sweeps "x" of seeds 1 and 2 and "y" of seed 2, by ann; nothing runs. */
static struct loop *make_two(void)
{
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'name': 'x', 'base': {" BASE "}, 'axes': {'seed': [1, 2]}}");
    submit(loop, "r2", "{'name': 'y', 'seed': 2, " BASE "}");
    loop_open_reader(loop, 10);
    return loop;
}

static struct answer delete (struct loop *loop, const char *target,
                             const char *request_id, struct caller caller)
{
    struct answer answer = {0};
    store_delete(loop->store, target, request_id, &caller, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    return answer;
}

static int64_t count(struct loop *loop, const char *sql)
{
    struct error error;
    struct db *db = db_open(loop->path, DB_READ, &error);
    struct statement *s = db_sql(db, sql);
    assert_true(statement_next(s));
    int64_t value = column_integer(s, 0);
    assert_true(statement_finish(s, &error));
    db_close(db);
    return value;
}

static void only_its_owner_may(void **state)
{
    (void)state;
    struct loop *loop = make_two();
    struct answer a = delete (loop, "x", "d", caller_bob());
    assert_null(a.result);
    assert_int_equal(a.error.code, ERROR_PERMISSION);
    answer_release(&a);
    struct answer kept = {0};
    struct caller bob = caller_bob();
    store_keep(loop->store, "x", false, &bob, on_answer, &kept);
    WAIT_FOR(loop, kept.is_here);
    assert_int_equal(kept.error.code, ERROR_PERMISSION);
    answer_release(&kept);
    bob.is_operator = true;
    a = delete (loop, "x", "d", bob);
    assert_non_null(a.result);
    answer_release(&a);
    loop_end(loop);
}

static void what_others_use_stays(void **state)
{
    (void)state;
    struct loop *loop = make_two();
    struct answer a = delete (loop, "x", "d", caller_ann());
    assert_int_equal(json_integer_or(a.result, "jobs", -1), 2);
    assert_int_equal(json_integer_or(a.result, "runs", -1), 1);
    assert_int_equal(json_integer_or(a.result, "shared_runs", -1), 1);
    answer_release(&a);
    assert_int_equal(count(loop, "SELECT count(*) FROM job"), 1);
    assert_int_equal(count(loop, "SELECT count(*) FROM run"), 1);
    /* The other job waited for the deleted one's run, and may go now. */
    assert_int_equal(count(loop, "SELECT is_ready FROM job"), 1);
    assert_int_equal(
        count(loop, "SELECT count(*) FROM event WHERE kind = 'deleted'"), 1);
    loop_end(loop);
}

/* Two at once, and the jobs of the second in the first's pieces. */
static void pieces_do_not_mix(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'name': 'x', 'base': {" BASE "}, 'axes': {'seed': "
           "{'from': 1, 'to': 1200}}}");
    submit(loop, "r2",
           "{'name': 'y', 'base': {" BASE "}, 'axes': {'seed': "
           "{'from': 601, 'to': 1800}}}");
    struct answer x = {0}, y = {0};
    struct caller ann = caller_ann();
    store_delete(loop->store, "x", "d1", &ann, on_answer, &x);
    store_delete(loop->store, "y", "d2", &ann, on_answer, &y);
    WAIT_FOR(loop, x.is_here && y.is_here);
    assert_int_equal(json_integer_or(x.result, "jobs", -1), 1200);
    assert_int_equal(json_integer_or(y.result, "jobs", -1), 1200);
    assert_int_equal(json_integer_or(x.result, "runs", -1) +
                         json_integer_or(y.result, "runs", -1),
                     1800);
    answer_release(&x);
    answer_release(&y);
    assert_int_equal(count(loop, "SELECT count(*) FROM job"), 0);
    assert_int_equal(count(loop, "SELECT count(*) FROM run"), 0);
    assert_int_equal(count(loop, "SELECT count(*) FROM sweep"), 0);
    loop_end(loop);
}

/* A fault in what is left of a deletion harms nobody else, and the next start
 * tries again. */
static void what_cannot_be_removed_is_left(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct error error;
    struct answer a = {0};
    submit(loop, "r1", "{'name': 'x', 'seed': 1, " BASE "}");
    store_close(loop->store);
    loop_change(
        loop,
        "INSERT INTO deletion (sweep_id, name, submit_id, request_id, uid, "
        "last_sweep, last_job, deleted_at) "
        "VALUES (1, 'x', 'r1', 'd', 1, 1, 1, 0); "
        "UPDATE job_total SET count = 0 WHERE state = 'queued'; CREATE TRIGGER "
        "fault BEFORE "
        "DELETE ON job BEGIN "
        "SELECT raise(ABORT, 'no'); END");
    assert_non_null(loop_open_store(loop, &error));
    store_delete_rest(loop->store, on_answer, &a);
    submit(loop, "r2", "{'name': 'y', 'seed': 2, " BASE "}");
    WAIT_FOR(loop, a.is_here);
    assert_null(a.result);
    answer_release(&a);
    assert_int_equal(loop->left_count, 1);
    assert_non_null(strstr(loop->left.text, "no"));
    assert_int_equal(loop->fatal_count, 0);
    store_close(loop->store);
    loop_change(loop, "DROP TRIGGER fault");
    assert_non_null(loop_open_store(loop, &error));
    a = (struct answer){0};
    store_delete_rest(loop->store, on_answer, &a);
    WAIT_FOR(loop, a.is_here);
    assert_int_equal(json_integer_or(a.result, "deletions", -1), 1);
    answer_release(&a);
    assert_int_equal(count(loop, "SELECT id FROM job"), 2);
    loop_end(loop);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_its_owner_may),
        TEST(what_others_use_stays),
        TEST(pieces_do_not_mix),
        TEST(what_cannot_be_removed_is_left),
    };
    return cmocka_run_group_tests_name("daemon_store_deletion", tests, NULL,
                                       NULL);
}
