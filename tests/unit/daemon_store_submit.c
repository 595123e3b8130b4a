#include "tests/unit/daemon_store_fixture.h"

/* A tower of 16 and 10 units over 600 rows: ten steps an epoch. */
#define BASE "'tower': true, 'widths': '16x10', 'batch_size': 60"
#define SWEEP(name, more)                                                      \
    "{'name': '" name "', 'base': {" BASE ", 'nb_epochs': 2}, "                \
    "'axes': {'seed': [1, 101, 201]" more "}}"

static int64_t integer(const struct answer *answer, const char *name)
{
    return json_integer_or(answer->result, name, -1);
}

static struct answer submit_spec(struct loop *loop, const char *request_id,
                                 const char *spec)
{
    struct answer answer;
    submit_as(loop, submission_make(request_id, spec), &answer);
    return answer;
}

static void a_sweep_is_stored(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer a = submit_spec(loop, "r1", SWEEP("x", ""));
    assert_non_null(a.result);
    assert_int_equal(integer(&a, "sweep_id"), 1);
    assert_int_equal(integer(&a, "first_job"), 1);
    assert_int_equal(integer(&a, "last_job"), 3);
    assert_int_equal(integer(&a, "job_count"), 3);
    assert_int_equal(integer(&a, "new"), 3);
    assert_int_equal(integer(&a, "continued"), 0);
    assert_int_equal(integer(&a, "done"), 0);
    assert_string_equal(json_text_or(a.result, "name", ""), "x");
    assert_string_equal(json_text_or(a.result, "owner", ""), "ann");
    assert_false(json_boolean_or(a.result, "is_existing", true));
    assert_int_equal(loop->change_count, 3);
    assert_string_equal(loop->changes[1].label, "seed=101");
    assert_int_equal(loop->changes[1].position, 1);
    assert_int_equal(loop->changes[1].to, JOB_queued);
    answer_release(&a);
    assert_int_equal(submit(loop, "r2", "{" BASE "}"), 4);
    assert_string_equal(last_change(loop)->label, "");
    loop_end(loop);
}

static void an_unnamed_sweep_is_named_by_its_id(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", SWEEP("x", ""));
    struct answer a = submit_spec(loop, "r2", "{" BASE "}");
    assert_string_equal(json_text_or(a.result, "name", ""), "sweep-2");
    answer_release(&a);
    loop_end(loop);
}

static void the_same_request_acts_once(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", SWEEP("x", ""));
    struct answer a = submit_spec(loop, "r1", SWEEP("x", ""));
    assert_true(json_boolean_or(a.result, "is_existing", false));
    assert_int_equal(integer(&a, "sweep_id"), 1);
    assert_int_equal(integer(&a, "last_job"), 3);
    answer_release(&a);
    struct submission *theirs = submission_make("r1", "{" BASE "}");
    theirs->caller = caller_bob();
    submit_as(loop, theirs, &a);
    assert_null(a.result);
    assert_int_equal(a.error.code, ERROR_CONFLICT);
    assert_int_equal(loop->change_count, 3);
    loop_end(loop);
}

static void the_same_name_and_spec_is_the_same_sweep(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", SWEEP("x", ", 'learning_rate': [0.001, 0.01]"));
    struct answer a = submit_spec(loop, "r2", SWEEP("x", ""));
    assert_null(a.result);
    assert_int_equal(a.error.code, ERROR_CONFLICT);
    assert_string_equal(a.error.text, "sweep \"x\" exists with another spec "
                                      "(sweep-1, submitted by ann)");
    a = submit_spec(
        loop, "r3",
        "{'axes': {'seed': [1.0, 101, 201], 'learning_rate': [1e-3, 10e-3]}, "
        "'base': {'nb_epochs': 2, " BASE "}, 'name': 'x'}");
    assert_non_null(a.result);
    assert_true(json_boolean_or(a.result, "is_existing", false));
    assert_int_equal(integer(&a, "job_count"), 6);
    answer_release(&a);
    struct submission *theirs = submission_make("r4", SWEEP("x", ""));
    theirs->caller = caller_bob();
    submit_as(loop, theirs, &a);
    assert_int_equal(a.error.code, ERROR_CONFLICT);
    assert_string_equal(a.error.text, "sweep \"x\" exists with another owner "
                                      "(sweep-1, submitted by ann)");
    assert_int_equal(loop->change_count, 6);
    loop_end(loop);
}

/* However it is written; but jobs have an order. */
static void specs_of_the_same_jobs_are_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *again;
        bool is_same;
    } cases[] = {
        {"{'name': 'x', 'tower': true, 'widths': '16x10'}",
         "{'name': 'x', 'tower': true, 'widths': '16x10', 'seed': 1}", true},
        {"{'name': 'x', 'seed': 4}", "{'name': 'x', 'base': {'seed': 4}}",
         true},
        {"{'name': 'x', 'axes': {'seed': [1, 2, 3]}}",
         "{'name': 'x', 'axes': {'seed': {'from': 1, 'to': 3}}}", true},
        {"{'name': 'x', 'axes': {'seed': [1, 2]}}",
         "{'name': 'x', 'points': [{'seed': 1}, {'seed': 2}]}", true},
        {"{'name': 'x', 'train_rows': 600}", "{'name': 'x', 'gamma': 0.5}",
         true},
        {"{'name': 'x'}", "{'name': 'x', 'seed': 2}", false},
        {"{'name': 'x'}", "{'name': 'x', 'threads': 2}", false},
        {"{'name': 'x'}", "{'name': 'x', 'device': 'cpu'}", false},
        {"{'name': 'x'}", "{'name': 'x', 'nb_epochs': 99}", false},
        {"{'name': 'x'}", "{'name': 'x', 'dataset': 'KMNIST'}", false},
        {"{'name': 'x'}", "{'name': 'x', 'axes': {'seed': [1, 2]}}", false},
        {"{'name': 'x', 'axes': {'seed': [1, 2]}}",
         "{'name': 'x', 'axes': {'seed': [2, 1]}}", false},
        {"{'name': 'x', 'axes': {'seed': [1, 2], 'threads': [1, 2]}}",
         "{'name': 'x', 'axes': {'threads': [1, 2], 'seed': [1, 2]}}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct loop *loop = loop_start();
        submit(loop, "r1", cases[i].stored);
        struct answer a = submit_spec(loop, "r2", cases[i].again);
        if (cases[i].is_same != !!a.result)
            fail_msg("%s and %s", cases[i].stored, cases[i].again);
        if (a.result)
            assert_true(json_boolean_or(a.result, "is_existing", false));
        else
            assert_int_equal(a.error.code, ERROR_CONFLICT);
        answer_release(&a);
        loop_end(loop);
    }
}

static const char *fault(const struct answer *a, int index, const char *name)
{
    const struct cJSON *faults =
        cJSON_GetObjectItemCaseSensitive(a->data, "faults");
    return json_text_or(cJSON_GetArrayItem(faults, index), name, "none");
}

static void faults_are_told_and_nothing_is_stored(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer a = submit_spec(
        loop, "r1",
        "{'name': 'bad', 'base': {" BASE "}, 'axes': {'seed': [1, 101], "
        "'threads': [1, 5], 'device': ['any', 'cuda']}}");
    assert_null(a.result);
    assert_int_equal(a.error.code, ERROR_SPEC);
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(a.data, "faults")),
        2);
    assert_string_equal(fault(&a, 0, "where"),
                        "job 1 (seed=1, device=cuda, threads=1).device");
    assert_string_equal(fault(&a, 0, "text"),
                        "no GPU: this gaitd has CPU slots only");
    assert_string_equal(fault(&a, 1, "setting"), "threads");
    assert_string_equal(fault(&a, 1, "text"),
                        "5 is above 4, the CPU slots of this gaitd");
    answer_release(&a);
    a = submit_spec(loop, "r1", "{'train_rows': 601, " BASE "}");
    assert_int_equal(a.error.code, ERROR_SPEC);
    assert_string_equal(fault(&a, 0, "where"), "train_rows");
    answer_release(&a);
    assert_int_equal(submit(loop, "r1", SWEEP("bad", "")), 1);
    loop_end(loop);
}

static void at_most_a_page_of_faults(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer a = submit_spec(loop, "r1",
                                  "{'base': {" BASE "}, 'axes': {'train_rows': "
                                  "{'from': 601, 'to': 900}}}");
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(a.data, "faults")),
        FAULTS_MAX);
    answer_release(&a);
    loop_end(loop);
}

static const char *note(const struct answer *a, int index)
{
    const struct cJSON *note = cJSON_GetArrayItem(
        cJSON_GetObjectItemCaseSensitive(a->result, "notes"), index);
    return note ? note->valuestring : "none";
}

static void notes_say_what_is_worth_knowing(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct answer a =
        submit_spec(loop, "r1",
                    "{'base': {'tower': true, 'widths': '16x10', "
                    "'batch_size': 70}, 'axes': {'seed': [7, 5, 101]}}");
    assert_string_equal(
        note(&a, 0),
        "the last 40 training rows are left out, since batch_size 70 does not "
        "divide their number");
    answer_release(&a);
    a = submit_spec(loop, "r1b", "{" BASE ", 'train_rows': 541}");
    assert_string_equal(note(&a, 0),
                        "the last 1 training row is left out, since "
                        "batch_size 60 does not divide their number");
    answer_release(&a);
    a = submit_spec(loop, "r2",
                    "{'base': {'tower': true, 'widths': '16x12x10', "
                    "'batch_size': 60}, 'axes': {'seed': [7, 5, 101]}}");
    assert_string_equal(
        note(&a, 0),
        "seeds 5 and 7 start from some of the same weight matrices, since "
        "layer k uses seed + k: take seeds at least 3 apart");
    answer_release(&a);
    a = submit_spec(loop, "r3",
                    "{'base': {'nb_layers': 2, 'batch_size': 60}, "
                    "'axes': {'seed': [7, 5, 101]}}");
    assert_string_equal(note(&a, 0), "none"); /* two matrices each */
    answer_release(&a);
    loop_end(loop);
}

static void a_dry_run_stores_nothing(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct submission *s = submission_make("r1", SWEEP("x", ""));
    struct answer a;
    s->dry_run = true;
    submit_as(loop, s, &a);
    assert_non_null(a.result);
    assert_int_equal(integer(&a, "new"), 3);
    assert_int_equal(integer(&a, "job_count"), 3);
    assert_true(
        cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(a.result, "sweep_id")));
    const struct cJSON *jobs =
        cJSON_GetObjectItemCaseSensitive(a.result, "jobs");
    assert_int_equal(cJSON_GetArraySize(jobs), 3);
    assert_int_equal(json_integer_or(cJSON_GetArrayItem(jobs, 2), "seed", -1),
                     201);
    answer_release(&a);
    assert_int_equal(submit(loop, "r1", SWEEP("x", "")), 1);
    loop_end(loop);
}

/* Trains job 1 of a new sweep to epoch 2. */
static void train_two_epochs(struct loop *loop)
{
    submit(loop, "r1", "{'nb_epochs': 2, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    int64_t attempt = last_dispatch(loop)->attempt;
    send_epochs(loop, attempt, -1, 2);
    end_attempt(loop, attempt, OUTCOME_done, "");
    assert_int_equal(last_change(loop)->to, JOB_done);
}

static void nothing_is_trained_twice(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    train_two_epochs(loop);
    struct answer a = submit_spec(loop, "r2",
                                  "{'base': {" BASE "}, 'axes': "
                                  "{'nb_epochs': [1, 2, 3]}}");
    assert_int_equal(integer(&a, "done"), 2);
    assert_int_equal(integer(&a, "continued"), 1);
    assert_int_equal(integer(&a, "new"), 0);
    answer_release(&a);
    /* The first is done at epoch 1, with the accuracy of that epoch. */
    const struct trace_change *c = &loop->changes[6];
    assert_int_equal(c->job, 2);
    assert_int_equal(c->to, JOB_done);
    assert_int_equal(c->epoch, 1);
    assert_true(c->test_accuracy == row_at(10).test_accuracy);
    WAIT_FOR(loop, loop->dispatch_count == 2);
    assert_int_equal(last_dispatch(loop)->job, 4);
    assert_int_equal(last_dispatch(loop)->step, 20);
    assert_int_equal(last_dispatch(loop)->run, 1);
    loop_end(loop);
}

/* Settings without effect do not make another run. */
static void equal_trainings_share_a_run(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    train_two_epochs(loop);
    struct answer a =
        submit_spec(loop, "r2",
                    "{'base': {'nb_epochs': 2, " BASE "}, 'axes': "
                    "{'gamma': [0.1, 0.2], 'eval_offset': [0, 1]}}");
    assert_int_equal(integer(&a, "done"), 4);
    answer_release(&a);
    loop_end(loop);
}

/* What was computed elsewhere serves as it is.  It is gone on with only where
 * it began: here the job is given a slot of that class after all. */
static void another_device_class_shares_what_is_done(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    train_two_epochs(loop);
    struct submission *s = submission_make(
        "r2", "{'base': {" BASE "}, 'axes': {'nb_epochs': [2, 3]}}");
    snprintf(s->places->device_class, sizeof s->places->device_class,
             "cpu-other");
    struct answer a;
    submit_as(loop, s, &a);
    assert_int_equal(integer(&a, "done"), 1);
    assert_int_equal(integer(&a, "continued"), 0);
    assert_int_equal(integer(&a, "new"), 1);
    answer_release(&a);
    WAIT_FOR(loop, loop->dispatch_count == 2);
    assert_int_equal(last_dispatch(loop)->job, 3);
    assert_int_equal(last_dispatch(loop)->run, 1);
    assert_int_equal(last_dispatch(loop)->step, 20);
    loop_end(loop);
}

static const char *first_note(const struct answer *answer)
{
    const struct cJSON *note = cJSON_GetArrayItem(
        cJSON_GetObjectItemCaseSensitive(answer->result, "notes"), 0);
    return note ? note->valuestring : "";
}

/* Job 1 has two epochs on CLASS; then its library is another one. */
static struct loop *make_upgraded(void)
{
    struct loop *loop = loop_start();
    struct error error;
    train_two_epochs(loop);
    store_close(loop->store);
    loop->dispatch_count = loop->change_count = 0;
    assert_non_null(loop_open_store(loop, &error));
    store_slot_open(loop->store, 0, "cpu:0", "cpu-other");
    return loop;
}

static struct answer submit_upgraded(struct loop *loop, const char *id,
                                     const char *spec, bool fresh)
{
    struct submission *s = submission_make(id, spec);
    struct answer answer;
    snprintf(s->places->device_class, sizeof s->places->device_class,
             "cpu-other");
    s->fresh = fresh;
    submit_as(loop, s, &answer);
    assert_non_null(answer.result);
    return answer;
}

/* Nothing is mixed, and nothing silently computed again. */
static void a_device_class_that_is_gone_is_waited_for(void **state)
{
    (void)state;
    struct loop *loop = make_upgraded();
    struct answer a = submit_upgraded(
        loop, "r2", "{'base': {" BASE "}, 'axes': {'nb_epochs': [2, 3, 4]}}",
        false);
    assert_int_equal(integer(&a, "done"), 1);
    assert_int_equal(integer(&a, "waiting"), 2);
    assert_int_equal(integer(&a, "new"), 0);
    assert_string_equal(first_note(&a),
                        "run 1 began on \"" CLASS " threads-1\", which this "
                        "machine does not offer (it offers \"cpu-other\"), "
                        "and nothing is mixed: 2 jobs wait for it; submit with "
                        "--fresh to train anew here");
    answer_release(&a);
    a = submit_upgraded(loop, "r3", "{'nb_epochs': 3, " BASE "}", true);
    assert_int_equal(integer(&a, "new"), 1);
    assert_string_equal(first_note(&a), "");
    answer_release(&a);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    assert_int_equal(last_dispatch(loop)->job, 5);
    assert_int_equal(last_dispatch(loop)->step, -1);
    /* Which from then on is the run of this training. */
    a = submit_upgraded(loop, "r4", "{'nb_epochs': 4, " BASE "}", false);
    assert_int_equal(integer(&a, "new"), 1);
    answer_release(&a);
    loop_open_reader(loop, 10);
    struct cJSON *shown = ask(loop, "list", "{'target': '5..6'}", NULL);
    for (int i = 0; i < 2; i++) {
        const struct cJSON *job = cJSON_GetArrayItem(
            cJSON_GetObjectItemCaseSensitive(shown, "jobs"), i);
        assert_int_equal(json_integer_or(job, "run_id", -1), 2);
        assert_int_equal(json_integer_or(job, "replica", -1), 1);
    }
    cJSON_Delete(shown);
    loop_end(loop);
}

/* Jobs of one submission that train the same share the new replica. */
static void fresh_jobs_get_the_next_replica(void **state)
{
    (void)state;
    static const char spec[] = "{'base': {" BASE "}, 'axes': {'nb_epochs': "
                               "[2, 3], 'seed': [1, 7], 'threads': [1, 2]}}";
    struct loop *loop = loop_start();
    train_two_epochs(loop);
    for (int i = 0; i < 2; i++) {
        struct submission *s = submission_make(i ? "r3" : "r2", spec);
        struct answer a;
        s->fresh = true;
        submit_as(loop, s, &a);
        assert_int_equal(integer(&a, "job_count"), 8);
        assert_int_equal(integer(&a, "new"), 8);
        answer_release(&a);
    }
    loop_open_reader(loop, 10);
    /* Seed 1 has had a replica before; the others' first is 0. */
    static const int replicas[] = {1, 1, 0, 0, 1, 1, 0, 0};
    static const int runs[] = {2, 3, 4, 5, 2, 3, 4, 5};
    struct cJSON *a = ask(loop, "list", "{'target': '2..17'}", NULL);
    for (int i = 0; i < 16; i++) {
        const struct cJSON *job =
            cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(a, "jobs"), i);
        assert_int_equal(json_integer_or(job, "replica", -1),
                         replicas[i % 8] + i / 8);
        assert_int_equal(json_integer_or(job, "run_id", -1),
                         runs[i % 8] + 4 * (i / 8));
    }
    cJSON_Delete(a);
    loop_end(loop);
}

/* Even one that has not begun, while the older could be gone on with. */
static void the_newest_replica_is_gone_on_with(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    train_two_epochs(loop);
    submit(loop, "r2", "{'seed': 7, " BASE "}"); /* takes the slot */
    struct submission *s = submission_make("r3", "{'nb_epochs': 3, " BASE "}");
    struct answer a;
    s->fresh = true;
    submit_as(loop, s, &a);
    assert_int_equal(integer(&a, "new"), 1);
    answer_release(&a);
    a = submit_spec(loop, "r4",
                    "{'base': {" BASE "}, 'axes': {'nb_epochs': [2, 4]}}");
    assert_int_equal(integer(&a, "done"), 1);
    assert_int_equal(integer(&a, "new"), 1);
    answer_release(&a);
    loop_open_reader(loop, 10);
    struct cJSON *answer = ask(loop, "list", "{'target': '4..5'}", NULL);
    const struct cJSON *job =
        cJSON_GetObjectItemCaseSensitive(answer, "jobs")->child;
    assert_int_equal(json_integer_or(job, "replica", -1), 0); /* is done */
    assert_int_equal(json_integer_or(job->next, "replica", -1), 1);
    cJSON_Delete(answer);
    loop_end(loop);
}

static void a_fresh_sweep_needs_a_new_name(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", SWEEP("x", ""));
    struct submission *s = submission_make("r2", SWEEP("x", ""));
    struct answer a;
    s->fresh = true;
    submit_as(loop, s, &a);
    assert_int_equal(a.error.code, ERROR_CONFLICT);
    assert_string_equal(
        a.error.text,
        "sweep \"x\" exists (sweep-1): a fresh one needs another name");
    answer_release(&a);
    loop_end(loop);
}

static void another_number_of_threads_is_another_run(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'base': {'nb_epochs': 2, " BASE "}, 'axes': "
           "{'threads': [1, 2]}}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    store_slot_open(loop->store, 1, "cpu:1", CLASS);
    store_slot_open(loop->store, 2, "cpu:2", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 2);
    assert_int_not_equal(loop->dispatches[0].run, loop->dispatches[1].run);
    assert_string_equal(loop->dispatches[0].key, loop->dispatches[1].key);
    loop_end(loop);
}

static void divergence_is_remembered(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1", "{'nb_epochs': 5, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    int64_t attempt = last_dispatch(loop)->attempt;
    send_epochs(loop, attempt, -1, 2);
    struct ending ending = {.outcome = OUTCOME_diverged, .diverged_epoch = 3};
    snprintf(ending.message, sizeof ending.message, "diverged in epoch 3");
    store_attempt_end(loop->store, attempt, &ending);
    WAIT_FOR(loop, loop->closed_count == 1);
    assert_int_equal(last_change(loop)->to, JOB_failed);
    assert_string_equal(last_change(loop)->reason, "diverged in epoch 3");
    int before = loop->change_count;
    struct answer a = submit_spec(loop, "r2",
                                  "{'base': {" BASE "}, 'axes': "
                                  "{'nb_epochs': [2, 3, 9]}}");
    const struct cJSON *notes =
        cJSON_GetObjectItemCaseSensitive(a.result, "notes");
    assert_string_equal(cJSON_GetArrayItem(notes, 0)->valuestring,
                        "2 jobs fail at once: their runs are known to diverge "
                        "before they end");
    answer_release(&a);
    a = submit_spec(loop, "r3", "{'nb_epochs': 9, " BASE "}");
    notes = cJSON_GetObjectItemCaseSensitive(a.result, "notes");
    assert_string_equal(cJSON_GetArrayItem(notes, 0)->valuestring,
                        "1 job fails at once: its run is known to diverge "
                        "before it ends");
    answer_release(&a);
    assert_int_equal(loop->changes[before + 3].to, JOB_done);
    assert_int_equal(loop->changes[before + 4].to, JOB_failed);
    assert_string_equal(loop->changes[before + 4].reason,
                        "diverged in epoch 3");
    assert_int_equal(loop->changes[before + 5].to, JOB_failed);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sweep_is_stored),
        cmocka_unit_test(an_unnamed_sweep_is_named_by_its_id),
        cmocka_unit_test(the_same_request_acts_once),
        cmocka_unit_test(the_same_name_and_spec_is_the_same_sweep),
        cmocka_unit_test(specs_of_the_same_jobs_are_the_same),
        cmocka_unit_test(faults_are_told_and_nothing_is_stored),
        cmocka_unit_test(at_most_a_page_of_faults),
        cmocka_unit_test(notes_say_what_is_worth_knowing),
        cmocka_unit_test(a_dry_run_stores_nothing),
        cmocka_unit_test(nothing_is_trained_twice),
        cmocka_unit_test(equal_trainings_share_a_run),
        cmocka_unit_test(another_device_class_shares_what_is_done),
        cmocka_unit_test(a_device_class_that_is_gone_is_waited_for),
        cmocka_unit_test(fresh_jobs_get_the_next_replica),
        cmocka_unit_test(the_newest_replica_is_gone_on_with),
        cmocka_unit_test(a_fresh_sweep_needs_a_new_name),
        cmocka_unit_test(another_number_of_threads_is_another_run),
        cmocka_unit_test(divergence_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
