/* Questions, against values computed here. */
#include "tests/unit/daemon_store_fixture.h"

#include "daemon/db.h"
#include "schema/diagnostic.h"

#define BASE "'tower': true, 'widths': '16x10', 'batch_size': 60"

/* Test accuracy of seed `seed` at a step: rises, then falls behind step 20. */
static double accuracy_at(int64_t seed, int64_t step)
{
    double peak = 0.5 + (double)(seed % 7) / 100;
    return step <= 20 ? peak * (double)step / 20 : peak - (double)step / 1e4;
}

static void send_seeded(struct loop *loop, const struct dispatch *d,
                        int64_t from_step)
{
    for (int64_t step = from_step; step <= d->nb_epochs * 10; step += 5) {
        struct history_row row = row_at(step);
        row.test_accuracy = accuracy_at(d->settings.seed, step);
        store_row(loop->store, d->attempt, &row);
    }
}

/* Runs everything that is dispatched until `count` jobs were; jobs of seed 9
 * fail after their first epoch. */
static void run_jobs(struct loop *loop, int count)
{
    for (int i = 0; i < count; i++) {
        WAIT_FOR(loop, loop->dispatch_count > i);
        struct dispatch d = loop->dispatches[i];
        if (d.settings.seed == 9) {
            send_epochs(loop, d.attempt, -1, 1);
            end_attempt(loop, d.attempt, OUTCOME_failed, "no luck");
        } else {
            send_seeded(loop, &d, d.step < 0 ? 0 : d.step + 5);
            end_attempt(loop, d.attempt, OUTCOME_done, "");
        }
    }
}

/* Sweep "grid", jobs 1 to 8, all over: two learning rates, four seeds, one of
 * which fails.  Job 9, of ann's sweep "longer", extends job 1's run and is
 * under way; job 10 waits. */
static struct loop *make_grid(void)
{
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'name': 'grid', 'base': {" BASE ", 'nb_epochs': 3}, "
           "'axes': {'learning_rate': [0.001, 0.01], "
           "'seed': [1, 2, 3, 9]}}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    run_jobs(loop, 8);
    submit(loop, "r2",
           "{'name': 'longer', 'base': {" BASE ", 'seed': 1, "
           "'learning_rate': 0.001}, "
           "'axes': {'nb_epochs': [6, 7]}}");
    WAIT_FOR(loop, loop->dispatch_count == 9);
    send_epochs(loop, last_dispatch(loop)->attempt, 3, 5);
    loop_sync(loop);
    loop_open_reader(loop, 10);
    return loop;
}

static const struct cJSON *item(const struct cJSON *answer, const char *list,
                                int index)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(answer, list),
                              index);
}

static int size(const struct cJSON *answer, const char *list)
{
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(answer, list));
}

static double real(const struct cJSON *object, const char *name)
{
    const struct cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!member)
        fail_msg("no member \"%s\"", name);
    return cJSON_IsNull(member) ? NAN : member->valuedouble;
}

static bool is_null(const struct cJSON *object, const char *name)
{
    return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void lists_are_flat_and_paged(void **state)
{
    (void)state;
    struct loop *loop = make_grid();
    struct cJSON *a = ask(loop, "list", "{'target': 'grid'}", NULL);
    assert_int_equal(size(a, "jobs"), 8);
    assert_true(is_null(a, "next"));
    const struct cJSON *job = item(a, "jobs", 4);
    assert_int_equal(real(job, "id"), 5);
    assert_int_equal(real(job, "position"), 4);
    assert_string_equal(json_text_or(job, "sweep", ""), "grid");
    assert_string_equal(json_text_or(job, "owner", ""), "ann");
    assert_string_equal(json_text_or(job, "state", ""), "done");
    assert_true(real(job, "learning_rate") == 0.01);
    assert_int_equal(real(job, "epoch"), 3);
    assert_int_equal(real(job, "nb_epochs"), 3);
    assert_true(real(job, "test_accuracy") == accuracy_at(1, 30));
    assert_true(real(job, "train_accuracy") == row_at(30).train_accuracy);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(job, "tower")));
    assert_string_equal(json_text_or(job, "device", ""), "any");
    assert_int_equal(real(job, "train_rows"), 0);
    for (int i = 0; i < setting_count; i++)
        assert_true(cJSON_HasObjectItem(job, setting_table[i].name));
    job = item(a, "jobs", 3);
    assert_string_equal(json_text_or(job, "reason", ""), "no luck");
    assert_int_equal(real(job, "epoch"), 1);
    cJSON_Delete(a);

    a = ask(loop, "list", "{'target': 'grid', 'limit': 5}", NULL);
    assert_int_equal(size(a, "jobs"), 5);
    assert_int_equal(real(a, "next"), 5);
    cJSON_Delete(a);
    a = ask(loop, "list", "{'target': 'grid', 'limit': 5, 'after': 5}", NULL);
    assert_int_equal(size(a, "jobs"), 3);
    assert_int_equal(real(item(a, "jobs", 0), "id"), 6);
    assert_true(is_null(a, "next"));
    cJSON_Delete(a);

    a = ask(loop, "list", "{'limit': 3}", NULL); /* newest first */
    assert_int_equal(real(item(a, "jobs", 0), "id"), 10);
    assert_string_equal(json_text_or(item(a, "jobs", 0), "state", ""),
                        "queued");
    assert_string_equal(json_text_or(item(a, "jobs", 1), "state", ""),
                        "running");
    assert_int_equal(real(a, "next"), 8);
    cJSON_Delete(a);
    a = ask(loop, "list", "{'limit': 3, 'after': 8, 'state': 'failed'}", NULL);
    assert_int_equal(size(a, "jobs"), 1);
    assert_int_equal(real(item(a, "jobs", 0), "id"), 4);
    cJSON_Delete(a);
    loop_end(loop);
}

static void bad_values_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *method, *params, *text;
        enum error_code code;
    } cases[] = {
        {"list", "{'limit': 0}", "\"limit\" is 0, expected 1 to 10000",
         ERROR_PARAMS},
        {"list", "{'limit': 10001}", "\"limit\" is 10001, expected 1 to 10000",
         ERROR_PARAMS},
        {"sweeps", "{'after': -1}",
         "\"after\" is -1, expected 0 or \"next\" of the page before",
         ERROR_PARAMS},
        {"list", "{'state': 'runing'}",
         "\"state\" is \"runing\", did you mean \"running\"?", ERROR_PARAMS},
        {"results", "{'target': 'grid', 'by': ['learning_rte']}",
         "\"by\": unknown setting \"learning_rte\", did you mean "
         "\"learning_rate\"?",
         ERROR_PARAMS},
        {"results", "{'target': 'grid', 'by': ['seed', 'seed']}",
         "\"by\" names \"seed\" twice", ERROR_PARAMS},
        {"results", "{'target': 'grid', 'by': [7]}",
         "\"by\": expected names of settings", ERROR_PARAMS},
        {"show", "{'target': '3..5'}",
         "\"target\" is \"3..5\", expected one job or a sweep", ERROR_PARAMS},
        {"history", "{'target': '99'}", "no job 99", ERROR_NOT_FOUND},
        {"levitate", "{}", "no question \"levitate\"", ERROR_METHOD},
    };
    struct loop *loop = make_grid();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        assert_null(ask(loop, cases[i].method, cases[i].params, &error));
        assert_string_equal(error.text, cases[i].text);
        assert_int_equal(error.code, cases[i].code);
    }
    loop_end(loop);
}

static void sweeps_are_counted(void **state)
{
    (void)state;
    struct loop *loop = make_grid();
    struct cJSON *a = ask(loop, "sweeps", "{}", NULL);
    assert_int_equal(size(a, "sweeps"), 2);
    const struct cJSON *longer = item(a, "sweeps", 0);
    const struct cJSON *grid = item(a, "sweeps", 1);
    assert_string_equal(json_text_or(longer, "name", ""), "longer");
    assert_int_equal(real(longer, "running"), 1);
    assert_int_equal(real(longer, "queued"), 1);
    assert_true(is_null(longer, "finished_at"));
    assert_int_equal(real(grid, "done"), 6);
    assert_int_equal(real(grid, "failed"), 2);
    assert_int_equal(real(grid, "cancelled"), 0);
    assert_true(real(grid, "finished_at") >= real(grid, "submitted_at"));
    cJSON_Delete(a);
    a = ask(loop, "sweeps", "{'limit': 1}", NULL);
    assert_int_equal(real(a, "next"), 2);
    cJSON_Delete(a);
    a = ask(loop, "sweeps", "{'limit': 1, 'after': 2}", NULL);
    assert_int_equal(real(item(a, "sweeps", 0), "id"), 1);
    assert_true(is_null(a, "next"));
    cJSON_Delete(a);
    a = ask(loop, "counts", "{}", NULL);
    const struct cJSON *counts = cJSON_GetObjectItemCaseSensitive(a, "counts");
    assert_int_equal(real(counts, "done"), 6);
    assert_int_equal(real(counts, "running"), 1);
    assert_int_equal(real(counts, "held"), 0);
    assert_int_equal(real(a, "sweeps"), 2);
    cJSON_Delete(a);
    loop_end(loop);
}

static void show_tells_all(void **state)
{
    (void)state;
    struct loop *loop = make_grid();
    store_attempt_started(loop->store, last_dispatch(loop)->attempt, 4711, 0);
    loop_sync(loop);
    struct cJSON *a = ask(loop, "show", "{'target': '9'}", NULL);
    const struct cJSON *run = cJSON_GetObjectItemCaseSensitive(a, "run");
    assert_int_equal(real(run, "epochs_done"), 5);
    assert_int_equal(real(run, "steps_per_epoch"), 10);
    assert_true(is_null(run, "diverged_epoch"));
    const struct cJSON *attempt = item(a, "attempts", 0);
    assert_int_equal(real(attempt, "pid"), 4711);
    assert_int_equal(real(attempt, "number"), 1);
    assert_string_equal(json_text_or(attempt, "device", ""), "cpu:0");
    assert_true(is_null(attempt, "ended_at"));
    cJSON_Delete(a);
    a = ask(loop, "show", "{'target': 'grid'}", NULL);
    const struct cJSON *spec = cJSON_GetObjectItemCaseSensitive(a, "spec");
    assert_int_equal(
        size(cJSON_GetObjectItemCaseSensitive(spec, "axes"), "seed"), 4);
    assert_false(cJSON_HasObjectItem(spec, "name"));
    assert_int_equal(
        real(cJSON_GetObjectItemCaseSensitive(a, "sweep"), "job_count"), 8);
    cJSON_Delete(a);
    loop_end(loop);
}

/* Page by page; the extension of job 1's run by job 9 is not job 1's. */
static void histories_are_complete_and_end_with_the_job(void **state)
{
    (void)state;
    struct loop *loop = make_grid();
    int64_t after = 0, job = 1, step = 0, rows = 0;
    do {
        char *params = xprintf("{'target': 'grid', 'limit': 4, 'after': %lld}",
                               (long long)after);
        struct cJSON *a = ask(loop, "history", params, NULL);
        free(params);
        assert_int_equal(size(a, "varying"), 2);
        for (int i = 0; i < size(a, "rows"); i++, rows++) {
            const struct cJSON *row = item(a, "rows", i);
            assert_int_equal(real(row, "job"), job);
            assert_int_equal(real(row, "step"), step);
            assert_int_equal(real(row, "epoch"), step / 10);
            assert_true(real(row, "learning_rate") ==
                        (job <= 4 ? 0.001 : 0.01));
            bool is_failing = job % 4 == 0;
            if (!is_failing)
                assert_true(real(row, "test_accuracy") ==
                            accuracy_at((int64_t)real(row, "seed"), step));
            assert_true(is_null(row, "valid_accuracy"));
            assert_string_equal(json_text_or(row, "state_hash", ""),
                                row_at(step).state_hash);
            step += is_failing ? 10 : 5;
            if (step > (is_failing ? 10 : 30)) {
                step = 0;
                job++;
            }
        }
        after = json_integer_or(a, "next", 0);
        assert_true(!after || size(a, "rows") == 4);
        cJSON_Delete(a);
    } while (after);
    assert_int_equal(rows, 6 * 7 + 2 * 2);
    struct cJSON *a = ask(loop, "history", "{'target': '9..10'}", NULL);
    assert_int_equal(size(a, "rows"), 18);
    assert_int_equal(size(a, "varying"), 1);
    assert_string_equal(item(a, "varying", 0)->valuestring, "nb_epochs");
    cJSON_Delete(a);
    loop_end(loop);
}

/* Two jobs of two layers and three rows each, and one that was not measured,
 * in pages of every size: none is cut short, none comes twice. */
static void layers_come_in_pages(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'name': 'measured', 'base': {" BASE ", 'nb_epochs': 2}, 'axes': "
           "{'seed': [1, 2], 'diagnostics': [true]}}");
    submit(loop, "r2", "{'name': 'plain', 'nb_epochs': 2, " BASE "}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    for (int job = 1; job <= 3; job++) {
        WAIT_FOR(loop, loop->dispatch_count == job);
        int64_t attempt = last_dispatch(loop)->attempt;
        for (int64_t step = 0; step <= 20; step += 10) {
            struct diagnostic layers[2] = {{.angle = (double)step + job},
                                           {.angle = NAN}};
            struct history_row row = row_at(step);
            row.layers = layers;
            row.layer_count = job < 3 ? 2 : 0;
            store_row(loop->store, attempt, &row);
        }
        end_attempt(loop, attempt, OUTCOME_done, "");
    }
    loop_open_reader(loop, 10);
    for (int limit = 1; limit <= 13; limit++) {
        int64_t after = 0;
        int count = 0;
        do {
            char *params = xprintf("{'target': '1..3', 'layers': true, "
                                   "'limit': %d, 'after': %lld}",
                                   limit, (long long)after);
            struct cJSON *a = ask(loop, "history", params, NULL);
            free(params);
            for (int i = 0; i < size(a, "rows"); i++, count++) {
                const struct cJSON *row = item(a, "rows", i);
                int job = 1 + count / 6, step = 10 * (count / 2 % 3);
                assert_int_equal(real(row, "job"), job);
                assert_int_equal(real(row, "seed"), job);
                assert_int_equal(real(row, "step"), step);
                assert_int_equal(real(row, "epoch"), step / 10);
                assert_int_equal(real(row, "layer"), count % 2);
                if (count % 2)
                    assert_true(is_null(row, "angle"));
                else
                    assert_int_equal(real(row, "angle"), step + job);
            }
            after = json_integer_or(a, "next", 0);
            assert_true(!after || size(a, "rows") == limit);
            cJSON_Delete(a);
        } while (after);
        assert_int_equal(count, 12);
    }
    struct error error = {0};
    assert_null(
        ask(loop, "history", "{'target': 'plain', 'layers': true}", &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_string_equal(error.text, "diagnostics of \"plain\" were not asked "
                                    "for: submit with --diagnostics");
    loop_end(loop);
}

static void results_are_final_and_peak(void **state)
{
    (void)state;
    struct loop *loop = make_grid();
    struct cJSON *a = ask(loop, "results", "{'target': '1..10'}", NULL);
    assert_int_equal(size(a, "rows"), 10);
    assert_int_equal(size(a, "varying"), 3);
    const struct cJSON *row = item(a, "rows", 1);
    assert_int_equal(real(row, "seed"), 2);
    assert_true(real(row, "final_test_accuracy") == accuracy_at(2, 30));
    assert_true(real(row, "peak_test_accuracy") == accuracy_at(2, 20));
    assert_true(real(row, "final_train_accuracy") == row_at(30).train_accuracy);
    assert_true(real(row, "final_test_loss") == row_at(30).test_loss);
    assert_true(is_null(row, "peak_valid_accuracy"));
    row = item(a, "rows", 3); /* failed: no final, but a peak */
    assert_string_equal(json_text_or(row, "state", ""), "failed");
    assert_true(is_null(row, "final_test_accuracy"));
    assert_true(real(row, "peak_test_accuracy") == row_at(10).test_accuracy);
    row = item(a, "rows", 8); /* running, five of six epochs */
    assert_int_equal(real(row, "epoch"), 5);
    assert_true(is_null(row, "final_test_accuracy"));
    assert_true(real(row, "peak_train_accuracy") == row_at(50).train_accuracy);
    cJSON_Delete(a);
    a = ask(loop, "results", "{'target': 'grid', 'limit': 6, 'after': 1}",
            NULL);
    assert_int_equal(real(item(a, "rows", 0), "job"), 2);
    assert_int_equal(real(a, "next"), 7);
    cJSON_Delete(a);
    loop_end(loop);
}

static void expect_statistics(const struct cJSON *row, const char *metric,
                              const double *values, int count)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < count; i++)
        mean += values[i] / count;
    for (int i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    char name[64];
    snprintf(name, sizeof name, "%s_mean", metric);
    assert_float_equal(real(row, name), mean, 1e-12);
    snprintf(name, sizeof name, "%s_sd", metric);
    if (count > 1)
        assert_float_equal(real(row, name), sqrt(squares / (count - 1)), 1e-12);
    else
        assert_true(is_null(row, name));
}

static void groups_have_mean_spread_and_n(void **state)
{
    (void)state;
    struct loop *loop = make_grid();
    /* The same jobs again are no new evidence. */
    submit(loop, "r3",
           "{'name': 'again', 'base': {" BASE ", 'nb_epochs': 3, "
           "'learning_rate': 0.001}, 'axes': {'seed': [1, 2]}}");
    struct cJSON *a = ask(loop, "results",
                          "{'target': '1..12', 'by': ['learning_rate', "
                          "'nb_epochs']}",
                          NULL);
    assert_int_equal(size(a, "rows"), 4);
    assert_true(is_null(a, "next"));
    double finals[3], peaks[3];
    for (int i = 0; i < 3; i++) {
        finals[i] = accuracy_at(i + 1, 30);
        peaks[i] = accuracy_at(i + 1, 20);
    }
    for (int i = 0; i < 2; i++) {
        const struct cJSON *row = item(a, "rows", i);
        assert_true(real(row, "learning_rate") == (i ? 0.01 : 0.001));
        assert_int_equal(real(row, "n"), 3);
        assert_int_equal(real(row, "failed"), 1);
        assert_int_equal(real(row, "unfinished"), 0);
        expect_statistics(row, "final_test_accuracy", finals, 3);
        expect_statistics(row, "peak_test_accuracy", peaks, 3);
        assert_true(is_null(row, "final_valid_accuracy_mean"));
    }
    const struct cJSON *row = item(a, "rows", 2); /* job 9, running */
    assert_int_equal(real(row, "nb_epochs"), 6);
    assert_int_equal(real(row, "n"), 0);
    assert_int_equal(real(row, "unfinished"), 1);
    assert_true(is_null(row, "final_test_accuracy_mean"));
    cJSON_Delete(a);

    a = ask(loop, "results", "{'target': 'grid', 'by': ['seed']}", NULL);
    assert_int_equal(size(a, "rows"), 4);
    assert_int_equal(real(item(a, "rows", 1), "seed"), 2);
    assert_int_equal(real(item(a, "rows", 1), "n"), 2);
    assert_int_equal(real(item(a, "rows", 3), "failed"), 2);
    cJSON_Delete(a);

    a = ask(loop, "results", "{'target': '1', 'by': []}", NULL);
    assert_int_equal(size(a, "rows"), 1);
    assert_int_equal(real(item(a, "rows", 0), "n"), 1);
    expect_statistics(item(a, "rows", 0), "final_test_accuracy", finals, 1);
    cJSON_Delete(a);
    loop_end(loop);
}

/* Jobs of one run that differ in where they were to run. */
static void placement_makes_groups_too(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'name': 'placed', 'base': {" BASE ", 'nb_epochs': 3}, 'axes': "
           "{'device': ['cpu', 'any'], 'seed': [1, 2]}}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    run_jobs(loop, 2);
    loop_sync(loop);
    loop_open_reader(loop, 10);
    struct cJSON *a =
        ask(loop, "results", "{'target': 'placed', 'by': ['device']}", NULL);
    const double finals[] = {accuracy_at(1, 30), accuracy_at(2, 30)};
    assert_int_equal(size(a, "rows"), 2);
    for (int i = 0; i < 2; i++) {
        const struct cJSON *row = item(a, "rows", i);
        assert_string_equal(json_text_or(row, "device", ""), i ? "any" : "cpu");
        assert_int_equal(real(row, "n"), 2);
        expect_statistics(row, "final_test_accuracy", finals, 2);
    }
    cJSON_Delete(a);
    a = ask(loop, "results", "{'target': 'placed', 'by': []}", NULL);
    assert_int_equal(real(item(a, "rows", 0), "n"), 2);
    cJSON_Delete(a);
    loop_end(loop);
}

/* Lengths of one training are no evidence of their own: its longest job that
 * is done stands for it, and what failed behind that is told as well. */
static void a_training_counts_once(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'name': 'lengths', 'base': {" BASE "}, 'axes': "
           "{'nb_epochs': [1, 3], 'seed': [1, 2, 9]}}");
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    run_jobs(loop, 6);
    submit(loop, "r2",
           "{'name': 'longer', " BASE ", 'seed': 2, "
           "'nb_epochs': 5}");
    loop_sync(loop);
    loop_open_reader(loop, 10);
    struct cJSON *a =
        ask(loop, "results", "{'target': '1..7', 'by': []}", NULL);
    const struct cJSON *row = item(a, "rows", 0);
    const double finals[] = {accuracy_at(1, 30), accuracy_at(2, 30),
                             row_at(10).test_accuracy};
    assert_int_equal(real(row, "n"), 3);
    assert_int_equal(real(row, "failed"), 1);
    assert_int_equal(real(row, "unfinished"), 1);
    expect_statistics(row, "final_test_accuracy", finals, 3);
    cJSON_Delete(a);
    a = ask(loop, "results", "{'target': 'lengths', 'by': ['nb_epochs']}",
            NULL);
    assert_int_equal(size(a, "rows"), 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(real(item(a, "rows", i), "n"), i ? 2 : 3);
    cJSON_Delete(a);
    loop_end(loop);
}

/* BP has no gamma, whatever it was submitted with; at orthogonal_reg 0 it
 * starts orthogonal. */
static void only_what_took_effect_is_shown(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'name': 'mixed', 'base': {" BASE ", 'nb_epochs': 3}, 'axes': "
           "{'algorithm': ['BP', 'GAIT'], 'gamma': [0.001, 0.1], "
           "'orthogonal_reg': [0, 0.1], 'orthogonal_init': [false]}}");
    loop_sync(loop);
    loop_open_reader(loop, 10);
    static const char *const labels[] = {
        "algorithm=BP orthogonal_reg=0",
        "algorithm=GAIT orthogonal_reg=0 gamma=0.1",
    };
    assert_string_equal(loop->changes[0].label, labels[0]);
    assert_string_equal(loop->changes[6].label, labels[1]);
    struct cJSON *a = ask(loop, "results", "{'target': 'mixed'}", NULL);
    for (int i = 0; i < 8; i++) {
        const struct cJSON *row = item(a, "rows", i);
        if (i < 4)
            assert_true(is_null(row, "gamma"));
        else
            assert_true(real(row, "gamma") == (i < 6 ? 0.001 : 0.1));
    }
    cJSON_Delete(a);
    a = ask(loop, "list", "{'target': 'mixed'}", NULL);
    for (int i = 0; i < 8; i++) {
        const struct cJSON *job = item(a, "jobs", i);
        assert_true(is_null(job, "gait_form") == (i < 4));
        assert_true(is_null(job, "nb_layers"));
        assert_true(is_null(job, "orthogonal_form") == (i % 2 == 0));
        assert_true(json_boolean_or(job, "orthogonal_init", false) ==
                    (i % 2 == 0));
    }
    cJSON_Delete(a);
    a = ask(loop, "results", "{'target': 'mixed', 'by': ['gamma']}", NULL);
    assert_int_equal(size(a, "rows"), 3);
    for (int i = 0; i < 3; i++) /* gamma 0.1 of BP is the same training */
        assert_int_equal(real(item(a, "rows", i), "unfinished"), 2);
    assert_true(is_null(item(a, "rows", 0), "gamma"));
    assert_true(real(item(a, "rows", 1), "gamma") == 0.001);
    assert_true(real(item(a, "rows", 2), "gamma") == 0.1);
    cJSON_Delete(a);
    loop_end(loop);
}

/* What people read with sqlite3 is what gaitctl prints. */
static void the_views_agree(void **state)
{
    (void)state;
    struct loop *loop = make_grid();
    struct error error;
    struct db *db = db_open(loop->path, DB_READ, &error);
    assert_non_null(db);
    struct statement *s = db_sql(
        db, "SELECT final_test_accuracy, peak_test_accuracy, learning_rate, "
            "epoch FROM result WHERE sweep = 'grid' AND seed = 2");
    assert_true(statement_next(s));
    assert_true(column_real(s, 0) == accuracy_at(2, 30));
    assert_true(column_real(s, 1) == accuracy_at(2, 20));
    assert_true(column_real(s, 2) == 0.001);
    assert_int_equal(column_integer(s, 3), 3);
    assert_true(statement_finish(s, &error));
    s = db_sql(db, "SELECT count(*), max(step) FROM curve WHERE job = 1");
    assert_true(statement_next(s));
    assert_int_equal(column_integer(s, 0), 7);
    assert_int_equal(column_integer(s, 1), 30);
    assert_true(statement_finish(s, &error));
    db_close(db);
    loop_end(loop);
}

static void a_long_question_ends(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    submit(loop, "r1",
           "{'base': {" BASE "}, 'axes': {'seed': "
           "{'from': 1, 'to': 3000}}}");
    loop_open_reader(loop, 1e-9);
    struct error error = {0};
    assert_null(
        ask(loop, "list", "{'target': 'last', 'state': 'held'}", &error));
    assert_int_equal(error.code, ERROR_BUSY);
    assert_string_equal(error.text, "took longer than 1e-09 s");
    loop_end(loop);
}

static void closing_answers_what_waits(void **state)
{
    (void)state;
    struct loop *loop = make_grid();
    struct caller ann = caller_ann();
    struct answer answers[50] = {{0}};
    for (int i = 0; i < 50; i++)
        reader_ask(loop->reader, "list", cJSON_CreateObject(), &ann, on_answer,
                   &answers[i]);
    reader_close(loop->reader);
    loop->reader = NULL;
    for (int i = 0; i < 50; i++) {
        assert_true(answers[i].is_here);
        if (!answers[i].result)
            assert_string_equal(answers[i].error.text, "shutting down");
        answer_release(&answers[i]);
    }
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_flat_and_paged),
        cmocka_unit_test(bad_values_are_refused_by_name),
        cmocka_unit_test(sweeps_are_counted),
        cmocka_unit_test(show_tells_all),
        cmocka_unit_test(histories_are_complete_and_end_with_the_job),
        cmocka_unit_test(layers_come_in_pages),
        cmocka_unit_test(results_are_final_and_peak),
        cmocka_unit_test(groups_have_mean_spread_and_n),
        cmocka_unit_test(placement_makes_groups_too),
        cmocka_unit_test(a_training_counts_once),
        cmocka_unit_test(only_what_took_effect_is_shown),
        cmocka_unit_test(the_views_agree),
        cmocka_unit_test(a_long_question_ends),
        cmocka_unit_test(closing_answers_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
