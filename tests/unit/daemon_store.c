/* Group commit, recovery, and disks that fail: the store's thread.
 *
 * SQLite's writes and syncs go through the two functions below, so that a test
 * can count commits and fill the disk. */
#include "tests/unit/daemon_store_fixture.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "daemon/db.h"
#include "daemon/ledger_file.h"

#define BASE                                                                   \
    "'tower': true, 'widths': '16x10', 'batch_size': 60, 'nb_epochs': 3"

static atomic_int write_failure; /* errno for every write, or 0 */
static atomic_int sync_count;
static pthread_mutex_t sync_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t synced = PTHREAD_COND_INITIALIZER;
static int main_sync_count; /* of the file itself, not its WAL */

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset);
int fdatasync(int fd);

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset)
{
    if (write_failure) {
        errno = write_failure;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

static bool is_main_file(int fd)
{
    char link[64], path[256] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 3 && !strcmp(path + length - 3, ".db");
}

int fdatasync(int fd)
{
    sync_count++;
    if (is_main_file(fd)) {
        pthread_mutex_lock(&sync_mutex);
        main_sync_count++;
        pthread_cond_signal(&synced);
        pthread_mutex_unlock(&sync_mutex);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static struct loop *start_job(void)
{
    struct loop *loop = loop_start();
    submit(loop, "r1", "{" BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    return loop;
}

/* What waits while a large submission is worked on shares one commit. */
static void waiting_operations_share_a_commit(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    struct answer large = {0}, small[50] = {{0}};
    int before = sync_count;
    store_submit(loop->store,
                 submission_make("large", "{'base': {" BASE "}, 'axes': "
                                          "{'seed': {'from': 100, "
                                          "'to': 3000}}}"),
                 on_answer, &large);
    for (int i = 0; i < 50; i++) {
        char *id = xprintf("small %d", i);
        store_submit(loop->store, submission_make(id, "{" BASE "}"), on_answer,
                     &small[i]);
        free(id);
        send_row(loop, last_dispatch(loop)->attempt, i % 11);
    }
    WAIT_FOR(loop, small[49].is_here);
    /* A hundred operations, in transactions of some 20 ms each. */
    int64_t highest = 0;
    for (int i = 0; i < loop->committed_count; i++)
        if (loop->committed_step[i] > highest)
            highest = loop->committed_step[i];
    assert_int_equal(highest, 10);
    assert_in_range(sync_count - before, 1, 30);
    assert_in_range(loop->committed_count, 1, 12);
    answer_release(&large);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(json_integer_or(small[i].result, "sweep_id", -1),
                         3 + i);
        answer_release(&small[i]);
    }
    loop_end(loop);
}

/* What comes together is committed together, though the store was idle: what
 * is committed is told once. */
static void gathered_operations_share_a_commit(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    int64_t attempt = last_dispatch(loop)->attempt;
    for (int i = 0; i < 200; i++) {
        int before = loop->committed_count;
        store_gather(loop->store, true);
        send_row(loop, attempt, 0);
        for (int k = 0; k < 100; k++)
            sched_yield(); /* it has the time to take one alone */
        send_row(loop, attempt, 1);
        store_gather(loop->store, false);
        WAIT_FOR(loop,
                 loop->committed_count > before &&
                     loop->committed_step[loop->committed_count - 1] == 1);
    }
    /* Now and then it looks by itself, and takes what it finds. */
    assert_in_range(loop->committed_count, 200, 220);
    loop_end(loop);
}

static void a_refused_operation_harms_no_other(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer a[3] = {{0}};
    struct caller ann = caller_ann();
    store_submit(loop->store, submission_make("r1", "{'name': 'a', " BASE "}"),
                 on_answer, &a[0]);
    store_submit(loop->store,
                 submission_make("r2", "{'name': 'a', 'seed': 7, " BASE "}"),
                 on_answer, &a[1]);
    store_order(loop->store, ORDER_cancel, "a", &ann, on_answer, &a[2]);
    WAIT_FOR(loop, a[2].is_here);
    assert_non_null(a[0].result);
    assert_int_equal(a[1].error.code, ERROR_CONFLICT);
    assert_int_equal(json_integer_or(a[2].result, "cancelled", -1), 1);
    assert_int_equal(loop->change_count, 2);
    for (int i = 0; i < 3; i++)
        answer_release(&a[i]);
    loop_end(loop);
}

/* The third job of a sweep cannot be stored: neither are the first two, and
 * nobody hears of them. */
static void a_failure_half_way_leaves_no_trace(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    store_close(loop->store);
    struct error error;
    loop_change(loop, "CREATE TRIGGER third BEFORE INSERT ON job "
                      "WHEN NEW.position = 2 BEGIN "
                      "SELECT raise(ABORT, 'not this one'); END");
    if (!loop_open_store(loop, &error))
        fail_msg("%s", error.text);
    struct answer a[2] = {{0}};
    store_submit(loop->store,
                 submission_make("r1", "{'name': 'x', 'base': {" BASE
                                       "}, 'axes': {'seed': [1, 101, 201]}}"),
                 on_answer, &a[0]);
    store_submit(loop->store, submission_make("r2", "{'name': 'x', " BASE "}"),
                 on_answer, &a[1]);
    WAIT_FOR(loop, a[1].is_here);
    assert_null(a[0].result);
    assert_non_null(strstr(a[0].error.text, "not this one"));
    assert_int_equal(json_integer_or(a[1].result, "sweep_id", -1), 1);
    assert_int_equal(json_integer_or(a[1].result, "first_job", -1), 1);
    assert_int_equal(loop->change_count, 1);
    assert_int_equal(loop->fatal_count, 0);
    answer_release(&a[1]);
    loop_end(loop);
}

/* The ledger says that so many jobs have ended. */
static int count_noted_jobs(const struct loop *loop)
{
    struct ledger_content content;
    struct error error;
    char *path = xprintf("%s-ledger", loop->path);
    int count = 0;
    assert_true(ledger_content_read(&content, path, &error));
    assert_true(content.commit_count > 0); /* else it could say nothing */
    for (int64_t i = 0; i < content.entry_count; i++)
        count += !strcmp(content.entries[i].kind, "jobs");
    ledger_content_release(&content);
    free(path);
    return count;
}

/* Nor are the first two jobs cancelled, counted so, or said by the ledger to
 * be, when the third cannot be. */
static void an_order_that_fails_moves_nothing(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct caller ann = caller_ann();
    struct answer answer = {0};
    struct error error;
    submit(loop, "r1",
           "{'name': 'x', 'base': {" BASE
           "}, 'axes': {'seed': [1, 101, 201]}}");
    store_close(loop->store);
    loop_change(loop, "CREATE TRIGGER third BEFORE UPDATE OF state ON job "
                      "WHEN NEW.position = 2 BEGIN "
                      "SELECT raise(ABORT, 'not this one'); END");
    if (!loop_open_store(loop, &error))
        fail_msg("%s", error.text);
    int changes = loop->change_count;
    store_order(loop->store, ORDER_cancel, "x", &ann, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    assert_non_null(strstr(answer.error.text, "not this one"));
    assert_int_equal(loop->change_count, changes);
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    assert_int_equal(count_noted_jobs(loop), 0);
    loop_end(loop); /* and the totals are right */
}

static void closing_answers_what_waits(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer answers[20] = {{0}};
    for (int i = 0; i < 20; i++) {
        char *id = xprintf("r%d", i);
        store_submit(loop->store, submission_make(id, "{" BASE "}"), on_answer,
                     &answers[i]);
        free(id);
    }
    store_close(loop->store);
    for (int i = 0; i < 20; i++) {
        assert_non_null(answers[i].result);
        answer_release(&answers[i]);
    }
    loop_remove(loop);
}

/* gaitd is killed: nothing of the store is closed. */
static void what_was_acknowledged_survives_a_kill(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    pid_t child = fork();
    if (child == 0) {
        struct error error;
        if (!loop_open_store(loop, &error))
            _exit(1);
        submit(loop, "r1", "{'base': {" BASE "}, 'axes': {'seed': [1, 101]}}");
        store_slot_open(loop->store, 0, "cpu:0", CLASS);
        store_slot_open(loop->store, 1, "cpu:1", CLASS);
        WAIT_FOR(loop, loop->dispatch_count == 2);
        send_epochs(loop, loop->dispatches[0].attempt, -1, 2);
        struct caller ann = caller_ann();
        struct answer answer = {0};
        store_order(loop->store, ORDER_cancel, "2", &ann, on_answer, &answer);
        WAIT_FOR(loop, answer.is_here);
        _exit(loop->committed_count > 0 ? 42 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);

    struct error error;
    if (!loop_open_store(loop, &error))
        fail_msg("%s", error.text);
    loop_open_reader(loop, 10);
    struct cJSON *shown = ask(loop, "show", "{'target': '1'}", NULL);
    const struct cJSON *job = cJSON_GetObjectItemCaseSensitive(shown, "job");
    const struct cJSON *attempts =
        cJSON_GetObjectItemCaseSensitive(shown, "attempts");
    assert_string_equal(json_text_or(job, "state", ""), "queued");
    assert_int_equal(json_integer_or(job, "epoch", -1), 2);
    assert_int_equal(cJSON_GetArraySize(attempts), 1);
    assert_string_equal(
        json_text_or(cJSON_GetArrayItem(attempts, 0), "outcome", ""), "lost");
    cJSON_Delete(shown);
    shown = ask(loop, "show", "{'target': '2'}", NULL);
    job = cJSON_GetObjectItemCaseSensitive(shown, "job");
    assert_string_equal(json_text_or(job, "state", ""), "cancelled");
    cJSON_Delete(shown);
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    assert_int_equal(last_dispatch(loop)->job, 1);
    assert_int_equal(last_dispatch(loop)->step, 20);
    loop_end(loop);
}

/* Three kills do not fail a job: they are not its fault. */
static void kills_are_not_counted(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    for (int i = 0; i < 4; i++) {
        store_close(loop->store);
        struct error error;
        if (!loop_open_store(loop, &error))
            fail_msg("%s", error.text);
        int before = loop->dispatch_count;
        store_slot_open(loop->store, 0, "cpu:0", CLASS);
        WAIT_FOR(loop, loop->dispatch_count > before);
        assert_int_equal(last_dispatch(loop)->job, 1);
    }
    loop_end(loop);
}

/* Requests are refused; what workers did is kept until there is room. */
static void a_full_disk_loses_no_rows(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    int64_t attempt = last_dispatch(loop)->attempt;
    send_row(loop, attempt, 0);
    WAIT_FOR(loop, loop->committed_count == 1);
    write_failure = ENOSPC;
    send_row(loop, attempt, 10);
    struct answer a;
    submit_as(loop, submission_make("r2", "{'seed': 7, " BASE "}"), &a);
    assert_null(a.result);
    assert_int_equal(a.error.code, ERROR_IO);
    assert_non_null(strstr(a.error.text, "database or disk is full"));
    struct ending ending = {.outcome = OUTCOME_stopped};
    store_attempt_end(loop->store, attempt, &ending);
    submit_as(loop, submission_make("r3", "{'seed': 8, " BASE "}"), &a);
    assert_null(a.result);
    assert_int_equal(loop->committed_count, 1);
    assert_int_equal(loop->closed_count, 0);
    assert_int_equal(loop->stuck_count, 1); /* however often it fails */
    assert_int_equal(loop->unstuck_count, 0);
    assert_non_null(strstr(loop->stuck.text, "database or disk is full"));
    write_failure = 0;
    WAIT_FOR(loop, loop->closed_count == 1); /* by itself, after a while */
    assert_int_equal(loop->unstuck_count, 1);
    assert_int_equal(loop->committed_count, 2);
    assert_int_equal(loop->committed_step[1], 10);
    assert_int_equal(loop->fatal_count, 0);
    assert_int_equal(loop->dispatch_count, 2);
    assert_int_equal(last_dispatch(loop)->step, 10);
    assert_int_equal(submit(loop, "r2", "{'seed': 7, " BASE "}"), 2);
    assert_int_equal(loop->stuck_count, 1);
    loop_end(loop);
}

static void an_io_error_is_fatal(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    struct answer answer = {0};
    write_failure = EIO;
    store_submit(loop->store, submission_make("r2", "{'seed': 7, " BASE "}"),
                 on_answer, &answer);
    WAIT_FOR(loop, loop->fatal_count == 1);
    assert_non_null(strstr(loop->fatal.text, "disk I/O error"));
    assert_false(answer.is_here);
    write_failure = 0;
    send_row(loop, last_dispatch(loop)->attempt, 0);
    store_close(loop->store);
    assert_false(answer.is_here);
    assert_int_equal(loop->committed_count, 0);
    assert_int_equal(loop->fatal_count, 1);
    /* A restart finds the truth. */
    struct error error;
    if (!loop_open_store(loop, &error))
        fail_msg("%s", error.text);
    assert_int_equal(submit(loop, "r2", "{'seed': 7, " BASE "}"), 2);
    loop_end(loop);
}

/* The copying back of the WAL happens by itself once nothing is going on, and
 * not again while nothing does. */
static void an_idle_store_copies_its_wal(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    send_row(loop, last_dispatch(loop)->attempt, 0);
    WAIT_FOR(loop, loop->committed_count == 1);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    pthread_mutex_lock(&sync_mutex);
    int before = main_sync_count;
    while (main_sync_count == before)
        if (pthread_cond_timedwait(&synced, &sync_mutex, &until))
            fail_msg("the WAL was not copied in 30 s");
    pthread_mutex_unlock(&sync_mutex);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_operations_share_a_commit),
        cmocka_unit_test(gathered_operations_share_a_commit),
        cmocka_unit_test(a_refused_operation_harms_no_other),
        cmocka_unit_test(a_failure_half_way_leaves_no_trace),
        cmocka_unit_test(an_order_that_fails_moves_nothing),
        cmocka_unit_test(closing_answers_what_waits),
        cmocka_unit_test(what_was_acknowledged_survives_a_kill),
        cmocka_unit_test(kills_are_not_counted),
        cmocka_unit_test(a_full_disk_loses_no_rows),
        cmocka_unit_test(an_io_error_is_fatal),
        cmocka_unit_test(an_idle_store_copies_its_wal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
