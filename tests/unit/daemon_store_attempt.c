/* Rows, checkpoints and endings of attempts. */
#include "tests/unit/daemon_store_fixture.h"

#include "daemon/db.h"
#include "schema/diagnostic.h"

#define BASE "'tower': true, 'widths': '16x10', 'batch_size': 60"

/* A loop with one slot in which job 1 runs to epoch 3. */
static struct loop *start_job(void)
{
    struct loop *loop = loop_start();
    submit(loop, "r1", "{'nb_epochs': 3, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    return loop;
}

static int64_t attempt_of(const struct loop *loop)
{
    return last_dispatch(loop)->attempt;
}

static void wait_dispatches(struct loop *loop, int count)
{
    WAIT_FOR(loop, loop->dispatch_count >= count);
}

/* Sends a row that must be refused, with that sentence. */
static void expect_refusal(struct loop *loop, const struct history_row *row,
                           const char *text)
{
    int before = loop->refused_count;
    store_row(loop->store, attempt_of(loop), row);
    WAIT_FOR(loop, loop->refused_count > before);
    assert_int_equal(loop->refused[before], attempt_of(loop));
    assert_int_equal(loop->refusal.code, ERROR_CORRUPT);
    assert_string_equal(loop->refusal.text, text);
}

static int64_t last_committed(const struct loop *loop)
{
    return loop->committed_step[loop->committed_count - 1];
}

static void rows_are_acknowledged_after_their_commit(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    send_epochs(loop, attempt_of(loop), -1, 2);
    loop_sync(loop);
    assert_int_equal(loop->committed_attempt[0], attempt_of(loop));
    assert_int_equal(last_committed(loop), 20);
    assert_int_equal(loop->refused_count, 0);
    loop_open_reader(loop, 10);
    struct cJSON *shown = ask(loop, "show", "{'target': '1'}", NULL);
    const struct cJSON *run = cJSON_GetObjectItemCaseSensitive(shown, "run");
    assert_int_equal(json_integer_or(run, "epochs_done", -1), 2);
    assert_int_equal(json_integer_or(run, "step", -1), 20);
    assert_string_equal(json_text_or(run, "state_hash", ""),
                        row_at(20).state_hash);
    assert_string_equal(json_text_or(run, "device_class", ""),
                        CLASS " threads-1");
    cJSON_Delete(shown);
    loop_end(loop);
}

static void an_equal_row_is_acknowledged_again(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    send_epochs(loop, attempt_of(loop), -1, 2);
    loop_sync(loop);
    int before = loop->committed_count;
    struct history_row row = row_at(10);
    row.seconds = 12345;
    store_row(loop->store, attempt_of(loop), &row);
    WAIT_FOR(loop, loop->committed_count > before);
    assert_int_equal(last_committed(loop), 10);
    assert_int_equal(loop->refused_count, 0);
    loop_end(loop);
}

/* A job whose rows of `sent` are stored (-1 ends them), and then `row`: it is
 * refused with that sentence, the next row is not taken either, and the job
 * has failed even if its worker says that it was done. */
static void assert_refused(const int64_t *sent, const struct history_row *row,
                           const char *text)
{
    struct loop *loop = start_job();
    for (; *sent >= 0; sent++)
        send_row(loop, attempt_of(loop), *sent);
    expect_refusal(loop, row, text);
    int before = loop->committed_count;
    send_row(loop, attempt_of(loop), 0);
    end_attempt(loop, attempt_of(loop), OUTCOME_done, "");
    assert_int_equal(loop->committed_count, before);
    assert_int_equal(last_change(loop)->to, JOB_failed);
    assert_string_equal(last_change(loop)->reason, text);
    loop_end(loop);
}

static void a_different_row_is_refused(void **state)
{
    (void)state;
#define DIFFERS                                                                \
    "nondeterministic: the row of step 10 differs from the one stored: "
    static const int64_t sent[] = {0, 10, 20, -1};
    struct history_row row = row_at(10);
    row.test_loss = nextafter(row.test_loss, 1);
    assert_refused(sent, &row,
                   DIFFERS "test_loss is 0.18181818181818185, was "
                           "0.18181818181818182");
    row = row_at(10);
    row.state_hash[31] ^= 1;
    assert_refused(sent, &row,
                   DIFFERS "state_hash is 0000000000000000000000000000000`, "
                           "was 0000000000000000000000000000000a");
}

static void done_in_another_state_is_refused(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    struct history_row row = row_at(20);
    struct ending ending = {.outcome = OUTCOME_done, .step = 30};
    memcpy(ending.state_hash, row.state_hash, sizeof row.state_hash);
    send_epochs(loop, attempt_of(loop), -1, 3);
    store_attempt_end(loop->store, attempt_of(loop), &ending);
    WAIT_FOR(loop, loop->closed_count == 1);
    assert_int_equal(last_change(loop)->to, JOB_failed);
    assert_string_equal(last_change(loop)->reason,
                        "nondeterministic: done at step 30 with state_hash "
                        "00000000000000000000000000000014, but its row has "
                        "0000000000000000000000000000001e");
    loop_end(loop);
}

static void gaps_are_refused(void **state)
{
    (void)state;
    struct history_row row = row_at(10);
    assert_refused((const int64_t[]){-1}, &row,
                   "row of step 10: the row of step 0 is missing");
    row = row_at(20);
    assert_refused((const int64_t[]){0, -1}, &row,
                   "row of step 20: the row of step 10 is missing");
    row = row_at(7);
    assert_refused((const int64_t[]){0, 5, 10, -1}, &row,
                   "row of step 7: behind step 10 and not stored");
    row = row_at(15);
    row.epoch = 2;
    assert_refused((const int64_t[]){0, 10, -1}, &row,
                   "row of step 15: not of epoch 2 at 10 steps per epoch");
}

static void numbers_must_be_finite(void **state)
{
    (void)state;
    static const char text[] =
        "row of step 0: a metric is missing or not a finite number";
    static const int64_t none[] = {-1};
    struct history_row row = row_at(0);
    row.train_loss = NAN;
    assert_refused(none, &row, text);
    row = row_at(0);
    row.test_accuracy = INFINITY;
    assert_refused(none, &row, text);
    row = row_at(0);
    row.valid_accuracy = 0.5; /* the job has no valid_rows */
    assert_refused(none, &row, text);
}

static void valid_rows_have_metrics(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{'nb_epochs': 3, 'valid_rows': 60, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    assert_int_equal(last_dispatch(loop)->steps_per_epoch, 9);
    struct history_row row = row_at(0);
    row.valid_accuracy = 0.5;
    row.valid_loss = 0.25;
    store_row(loop->store, attempt_of(loop), &row);
    WAIT_FOR(loop, loop->committed_count == 1);
    row = row_at(5);
    expect_refusal(loop, &row,
                   "row of step 5: a metric is missing or not a finite number");
    loop_end(loop);
}

/* Of the two layers of BASE. */
static struct history_row row_with(int64_t step, struct diagnostic layers[2])
{
    struct history_row row = row_at(step);
    layers[0] = (struct diagnostic){0.1 * (double)step, 1 / 3.0, NAN, 0};
    layers[1] = (struct diagnostic){NAN, 2, 1e9, 4};
    row.layers = layers;
    row.layer_count = 2;
    return row;
}

static struct loop *start_measured_job(void)
{
    struct loop *loop = loop_start();
    struct diagnostic layers[2];
    submit(loop, "r1", "{'nb_epochs': 3, 'diagnostics': true, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    for (int64_t step = 0; step <= 10; step += 10) {
        struct history_row row = row_with(step, layers);
        store_row(loop->store, attempt_of(loop), &row);
        memset(layers, 0, sizeof layers); /* they were copied */
    }
    loop_sync(loop);
    assert_int_equal(last_committed(loop), 10);
    return loop;
}

static void diagnostics_are_stored_with_their_row(void **state)
{
    (void)state;
    struct loop *loop = start_measured_job();
    struct error error;
    struct db *db = db_open(loop->path, DB_READ, &error);
    struct statement *s =
        db_sql(db, "SELECT step, layer, angle, off_diagonal, condition, "
                   "error_rms FROM diagnostic ORDER BY step, layer");
    for (int i = 0; i < 4; i++) {
        assert_true(statement_next(s));
        assert_int_equal(column_integer(s, 0), i < 2 ? 0 : 10);
        assert_int_equal(column_integer(s, 1), i % 2);
        assert_true(column_is_null(s, i % 2 ? 2 : 4));
        assert_true(column_real(s, 3) == (i % 2 ? 2 : 1 / 3.0));
    }
    assert_false(statement_next(s));
    assert_true(statement_finish(s, &error));
    db_close(db);
    struct diagnostic layers[2];
    struct history_row again = row_with(10, layers);
    int before = loop->committed_count;
    store_row(loop->store, attempt_of(loop), &again);
    WAIT_FOR(loop, loop->committed_count > before);
    assert_int_equal(loop->refused_count, 0);
    loop_end(loop);
}

static void different_diagnostics_are_refused(void **state)
{
    (void)state;
    struct diagnostic layers[2];
    for (int i = 0; i < 5; i++) {
        struct loop *loop = start_measured_job();
        struct history_row row = row_with(i < 4 ? 10 : 20, layers);
        if (i == 0)
            layers[0].angle = nextafter(layers[0].angle, 2);
        else if (i == 1)
            layers[0].condition = 5; /* NaN is stored */
        else if (i == 2)
            layers[1].off_diagonal = NAN;
        else
            row.layer_count = i - 3;
        expect_refusal(
            loop, &row,
            i == 3   ? "row of step 10: diagnostics of 0 layers, expected 2"
            : i == 4 ? "row of step 20: diagnostics of 1 layers, expected 2"
                     : "nondeterministic: the row of step 10 differs from the "
                       "one stored: its diagnostics are others");
        loop_end(loop);
    }
    struct loop *loop = start_job();
    struct history_row row = row_with(0, layers);
    expect_refusal(loop, &row,
                   "row of step 0: diagnostics of 2 layers, expected 0");
    loop_end(loop);
}

static const struct saved_checkpoint saved_10 = {10, 1, 5, "10-1.safetensors",
                                                 "abc"};
static const struct saved_checkpoint saved_20 = {20, 1, 5, "20-1.safetensors",
                                                 "abc"};

static void messages_of_an_ended_attempt_are_ignored(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    int64_t first = attempt_of(loop);
    send_epochs(loop, first, -1, 1);
    end_attempt(loop, first, OUTCOME_stopped, "");
    wait_dispatches(loop, 2);
    int before = loop->committed_count;
    send_row(loop, first, 20);
    store_attempt_started(loop->store, first, 77, 0);
    store_checkpoint(loop->store, first, &saved_20, NULL);
    loop_sync(loop);
    assert_int_equal(loop->committed_count, before);
    assert_int_equal(loop->refused_count, 0);
    struct error error;
    struct db *db = db_open(loop->path, DB_READ, &error);
    struct statement *s =
        db_sql(db, "SELECT (SELECT count(*) FROM checkpoint), "
                   "(SELECT count(*) FROM attempt WHERE pid = 77)");
    assert_true(statement_next(s));
    assert_int_equal(column_integer(s, 0), 0);
    assert_int_equal(column_integer(s, 1), 0);
    assert_true(statement_finish(s, &error));
    db_close(db);
    loop_end(loop);
}

/* Endings: outcome, rows to epoch, and what becomes of the job. */
static void outcomes_decide(void **state)
{
    (void)state;
    static const struct {
        enum outcome outcome;
        int64_t epochs;
        const char *message;
        enum job_state state;
        const char *reason;
    } cases[] = {
        {OUTCOME_done, 3, "", JOB_done, ""},
        {OUTCOME_done, 2, "", JOB_failed,
         "the worker was done at step 0, but the row of epoch 3 is missing"},
        {OUTCOME_stopped, 2, "", JOB_queued, ""},
        {OUTCOME_stopped, 3, "", JOB_done, ""},
        {OUTCOME_lost, 2, "end of file", JOB_queued, "end of file"},
        {OUTCOME_crashed, 2, "signal 11", JOB_queued, "signal 11"},
        {OUTCOME_crashed, 3, "signal 11", JOB_done, ""},
        {OUTCOME_stalled, 2, "no batch", JOB_queued, "no batch"},
        {OUTCOME_stalled, 3, "no batch", JOB_done, ""},
        {OUTCOME_failed, 2, "no such data", JOB_failed, "no such data"},
        {OUTCOME_nondeterministic, 3, "differs", JOB_failed, "differs"},
        {OUTCOME_diverged, 2, "in epoch 3", JOB_failed, "in epoch 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct loop *loop = start_job();
        int64_t attempt = attempt_of(loop);
        send_epochs(loop, attempt, -1, cases[i].epochs);
        loop_sync(loop);
        int before = loop->change_count;
        end_attempt(loop, attempt, cases[i].outcome, cases[i].message);
        assert_int_equal(loop->closed[0], attempt);
        assert_int_equal(loop->changes[before].from, JOB_running);
        assert_int_equal(loop->changes[before].to, cases[i].state);
        assert_string_equal(loop->changes[before].reason, cases[i].reason);
        /* A queued job is tried again at once, in the same transaction, or
         * has to wait. */
        bool has_to_wait = cases[i].outcome == OUTCOME_crashed ||
                           cases[i].outcome == OUTCOME_stalled;
        bool is_queued = cases[i].state == JOB_queued;
        assert_int_equal(loop->wait_count, is_queued && has_to_wait);
        assert_int_equal(loop->dispatch_count,
                         is_queued && !has_to_wait ? 2 : 1);
        loop_end(loop);
    }
}

/* The job that waits has waited. */
static void end_wait(struct loop *loop, int waits, double seconds)
{
    assert_int_equal(loop->wait_count, waits);
    assert_int_equal(loop->waits[waits - 1], 1);
    if (loop->wait_s[waits - 1] != seconds)
        fail_msg("waits %g s, expected %g s", loop->wait_s[waits - 1], seconds);
    store_wait_over(loop->store, 1);
    loop_sync(loop);
}

static void three_crashes_in_a_row_fail_the_job(void **state)
{
    (void)state;
    /* What gaitd did itself neither counts nor ends the row. */
    static const enum outcome outcomes[] = {OUTCOME_crashed, OUTCOME_stalled,
                                            OUTCOME_lost, OUTCOME_crashed};
    struct loop *loop = start_job();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(loop->dispatch_count, i + 1);
        end_attempt(loop, attempt_of(loop), outcomes[i], "signal 11");
        if (i < 2)
            end_wait(loop, i + 1, i ? 5 : 1);
    }
    assert_int_equal(last_change(loop)->to, JOB_failed);
    assert_string_equal(last_change(loop)->reason,
                        "crashed or stalled 3 times without a new checkpoint, "
                        "and crashed at last: signal 11");
    loop_end(loop);
}

static void a_new_checkpoint_forgives_crashes(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(loop->dispatch_count, i);
        /* The same step again is no progress. */
        if (i == 3 || i == 4)
            store_checkpoint(loop->store, attempt_of(loop), &saved_10, NULL);
        end_attempt(loop, attempt_of(loop), OUTCOME_crashed, "signal 11");
        if (i < 5)
            end_wait(loop, i, i == 2 || i == 4 ? 5 : 1);
        assert_int_equal(last_change(loop)->to,
                         i < 5 ? JOB_running : JOB_failed);
    }
    loop_end(loop);
}

static void assert_reason(struct loop *loop, const char *reason)
{
    struct error error;
    struct cJSON *answer = ask(loop, "show", "{'target': '1'}", &error);
    const char *text = json_text_or(
        cJSON_GetObjectItemCaseSensitive(answer, "job"), "reason", NULL);
    if (!reason)
        assert_null(text);
    else
        assert_string_equal(text, reason);
    cJSON_Delete(answer);
}

static void set_wait(const struct loop *loop, double seconds)
{
    struct error error;
    struct db *db = db_open(loop->path, DB_WRITE, &error);
    assert_non_null(db);
    struct statement *s =
        db_sql(db, "UPDATE job SET retry_at = unixepoch() + ? WHERE id = 1");
    bind_real(s, seconds);
    assert_true(statement_run(s, &error));
    db_close(db);
}

/* Others get the slot meanwhile; and the wait goes on after a restart, but is
 * never longer than it was, even if the clock went back a day. */
static void a_wait_outlives_the_store(void **state)
{
    (void)state;
    const double cases[][2] = {{86400, 3}, {-86400, 0}};
    struct loop *loop = start_job();
    store_set_retry(loop->store, 3);
    end_attempt(loop, attempt_of(loop), OUTCOME_crashed, "signal 11");
    assert_int_equal(loop->wait_count, 1);
    submit(loop, "r2", "{'seed': 101, " BASE "}");
    assert_int_equal(last_dispatch(loop)->job, 2);
    loop_open_reader(loop, 10);
    assert_reason(loop, "waits 3 s after a crash (1 of 3)");
    reader_close(loop->reader);
    loop->reader = NULL;
    for (int i = 0; i < 2; i++) {
        struct error error;
        store_close(loop->store);
        set_wait(loop, cases[i][0]);
        assert_non_null(loop_open_store(loop, &error));
        store_set_retry(loop->store, 3);
        loop_sync(loop);
        assert_int_equal(loop->wait_count, 2 + i);
        if (loop->wait_s[1 + i] != cases[i][1])
            fail_msg("waits %g s, expected %g s", loop->wait_s[1 + i],
                     cases[i][1]);
    }
    store_wait_over(loop->store, 1);
    store_wait_over(loop->store, 1); /* twice does nothing */
    loop_open_reader(loop, 10);
    loop_sync(loop);
    assert_reason(loop, NULL);
    loop_end(loop);
}

/* It comes before or after the end of the attempt. */
static void stderr_is_kept(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    struct error error;
    int64_t attempt = attempt_of(loop);
    store_attempt_stderr(loop->store, attempt, "first");
    end_attempt(loop, attempt, OUTCOME_failed, "no");
    store_attempt_stderr(loop->store, attempt, "no\nroom");
    loop_open_reader(loop, 10);
    loop_sync(loop);
    struct cJSON *answer = ask(loop, "show", "{'target': '1'}", &error);
    const struct cJSON *attempts =
        cJSON_GetObjectItemCaseSensitive(answer, "attempts");
    assert_string_equal(
        json_text_or(cJSON_GetArrayItem(attempts, 0), "stderr", ""),
        "no\nroom");
    cJSON_Delete(answer);
    loop_end(loop);
}

/* A slot that is out of service gets nothing, and jobs wait for it. */
static void a_slot_out_of_service(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    store_slot_close(loop->store, 0, "out of service: no worker");
    end_attempt(loop, attempt_of(loop), OUTCOME_lost, "no worker");
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 1);
    store_slot_open(loop->store, 0, "cpu", CLASS);
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, 2);
    assert_true(dispatch_takes(last_dispatch(loop), 0));
    assert_false(dispatch_takes(last_dispatch(loop), 1));
    struct error error;
    struct db *db = db_open(loop->path, DB_READ, &error);
    struct statement *s =
        db_sql(db, "SELECT group_concat(kind || ' ' || text, ';') FROM event "
                   "WHERE kind LIKE '%service'");
    assert_true(statement_next(s));
    assert_string_equal(column_text(s, 0),
                        "out_of_service slot 0 is out of service: no worker;"
                        "in_service slot 0");
    assert_true(statement_finish(s, &error));
    db_close(db);
    loop_end(loop);
}

static void an_ending_frees_the_slot_in_its_transaction(void **state)
{
    (void)state;
    struct loop *loop = start_job();
    submit(loop, "r2", "{'seed': 101, " BASE "}");
    send_epochs(loop, attempt_of(loop), -1, 3);
    struct ending ending = {.outcome = OUTCOME_done};
    store_attempt_end(loop->store, attempt_of(loop), &ending);
    WAIT_FOR(loop, loop->closed_count == 1);
    assert_int_equal(loop->dispatch_count, 2);
    assert_int_equal(last_dispatch(loop)->job, 2);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_acknowledged_after_their_commit),
        cmocka_unit_test(an_equal_row_is_acknowledged_again),
        cmocka_unit_test(a_different_row_is_refused),
        cmocka_unit_test(done_in_another_state_is_refused),
        cmocka_unit_test(gaps_are_refused),
        cmocka_unit_test(numbers_must_be_finite),
        cmocka_unit_test(valid_rows_have_metrics),
        cmocka_unit_test(diagnostics_are_stored_with_their_row),
        cmocka_unit_test(different_diagnostics_are_refused),
        cmocka_unit_test(messages_of_an_ended_attempt_are_ignored),
        cmocka_unit_test(outcomes_decide),
        cmocka_unit_test(three_crashes_in_a_row_fail_the_job),
        cmocka_unit_test(a_new_checkpoint_forgives_crashes),
        cmocka_unit_test(a_wait_outlives_the_store),
        cmocka_unit_test(stderr_is_kept),
        cmocka_unit_test(a_slot_out_of_service),
        cmocka_unit_test(an_ending_frees_the_slot_in_its_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
