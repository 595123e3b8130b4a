/* What a loop (daemon_store_loop.h) has a store do: submissions, rows, ends of
 * attempts, questions. */
#ifndef TESTS_DAEMON_STORE_FIXTURE_H
#define TESTS_DAEMON_STORE_FIXTURE_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/operation.h"
#include "schema/json.h"
#include "schema/memory.h"
#include "schema/message.h"
#include "schema/spec.h"
#include "tests/unit/daemon_store_loop.h"

#define CLASS "cpu-openblas-test"

enum { TEST_TRAIN_ROWS = 600, TEST_TEST_ROWS = 100 };

struct answer {
    bool is_here;
    struct cJSON *result, *data;
    struct error error;
};

static inline void on_answer(void *user, struct cJSON *result,
                             const struct error *error, struct cJSON *data)
{
    struct answer *answer = user;
    answer->is_here = true;
    answer->result = result;
    answer->data = data;
    if (error)
        answer->error = *error;
}

static inline void answer_release(struct answer *answer)
{
    cJSON_Delete(answer->result);
    cJSON_Delete(answer->data);
    memset(answer, 0, sizeof *answer);
}

static inline struct caller caller_ann(void)
{
    return (struct caller){.uid = 1001, .name = "ann"};
}

static inline struct caller caller_bob(void)
{
    return (struct caller){.uid = 1002, .name = "bob"};
}

/* A submission of JSON with ' for ". */
static inline struct submission *submission_make(const char *request_id,
                                                 const char *spec)
{
    struct submission *s = xcalloc(1, sizeof *s);
    char *text = xstrdup(spec);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    s->spec_json = cJSON_Parse(text);
    assert_non_null(s->spec_json);
    free(text);
    struct faults faults;
    faults_init(&faults);
    s->spec = xcalloc(1, sizeof *s->spec);
    if (!spec_init(s->spec, s->spec_json, &faults))
        fail_msg("%s: %s", faults.fault[0].where, faults.fault[0].text);
    snprintf(s->request_id, sizeof s->request_id, "%s", request_id);
    controls_init(&s->controls);
    s->caller = caller_ann();
    s->dataset_count = 1;
    s->datasets = xcalloc(1, sizeof *s->datasets);
    snprintf(s->datasets->name, sizeof s->datasets->name, "MNIST");
    s->datasets->shape = (struct dataset_shape){
        .train_rows = TEST_TRAIN_ROWS,
        .test_rows = TEST_TEST_ROWS,
        .width = 16,
        .digest = "00112233445566778899aabbccddeeff",
    };
    s->places = xcalloc(1, sizeof *s->places);
    s->place_count = 1;
    *s->places = (struct place){.number = -1,
                                .device = "cpu",
                                .device_class = CLASS,
                                .gpu = -1,
                                .slots = 4};
    return s;
}

static inline void submit_as(struct loop *loop, struct submission *s,
                             struct answer *answer)
{
    memset(answer, 0, sizeof *answer);
    store_submit(loop->store, s, on_answer, answer);
    WAIT_FOR(loop, answer->is_here);
}

/* Submits what must succeed; returns the first job's id. */
static inline int64_t submit(struct loop *loop, const char *request_id,
                             const char *spec)
{
    struct answer answer;
    submit_as(loop, submission_make(request_id, spec), &answer);
    if (!answer.result)
        fail_msg("%s", answer.error.text);
    int64_t first = json_integer_or(answer.result, "first_job", -1);
    answer_release(&answer);
    return first;
}

/* After this everything queued before it has been committed and told. */
static inline void loop_sync(struct loop *loop)
{
    struct answer answer = {0};
    struct caller ann = caller_ann();
    store_watch(loop->store, "1", &ann, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    answer_release(&answer);
}

/* Batches of 60 over 600 rows: ten steps an epoch. */
static inline struct history_row row_at(int64_t step)
{
    struct history_row row = {
        .step = step,
        .epoch = step / 10,
        .train_accuracy = 0.5 + (double)step / 1000,
        .train_loss = 1.0 / (1.0 + (double)step),
        .valid_accuracy = NAN,
        .valid_loss = NAN,
        .test_accuracy = 0.4 + (double)step / 1000,
        .test_loss = 2.0 / (1.0 + (double)step),
        .seconds = (double)step / 7,
    };
    snprintf(row.state_hash, sizeof row.state_hash, "%032llx",
             (unsigned long long)step);
    return row;
}

static inline void send_row(struct loop *loop, int64_t attempt, int64_t step)
{
    struct history_row row = row_at(step);
    store_row(loop->store, attempt, &row);
}

/* Rows of the epochs after `from_epoch` (-1: with step 0) to `to_epoch`. */
static inline void send_epochs(struct loop *loop, int64_t attempt,
                               int64_t from_epoch, int64_t to_epoch)
{
    for (int64_t epoch = from_epoch + 1; epoch <= to_epoch; epoch++)
        send_row(loop, attempt, epoch * 10);
}

/* What `done` says of an attempt: the state of its last epoch's row. */
static inline void copy_last_hash(const struct loop *loop, int64_t attempt,
                                  struct ending *ending)
{
    for (int i = 0; i < loop->dispatch_count && i < TRACE_MAX; i++)
        if (loop->dispatches[i].attempt == attempt) {
            struct history_row row = row_at(loop->dispatches[i].nb_epochs * 10);
            memcpy(ending->state_hash, row.state_hash, sizeof row.state_hash);
        }
}

static inline void end_attempt(struct loop *loop, int64_t attempt,
                               enum outcome outcome, const char *message)
{
    struct ending ending = {.outcome = outcome};
    copy_last_hash(loop, attempt, &ending);
    snprintf(ending.message, sizeof ending.message, "%s", message);
    int before = loop->closed_count;
    store_attempt_end(loop->store, attempt, &ending);
    WAIT_FOR(loop, loop->closed_count > before);
}

static inline const struct dispatch *last_dispatch(const struct loop *loop)
{
    assert_true(loop->dispatch_count > 0);
    return &loop->dispatches[(loop->dispatch_count - 1) % TRACE_MAX];
}

static inline const struct trace_change *last_change(const struct loop *loop)
{
    assert_true(loop->change_count > 0);
    return &loop->changes[(loop->change_count - 1) % TRACE_MAX];
}

/* The answer to a question, which must succeed unless `error` is wanted. */
static inline struct cJSON *ask(struct loop *loop, const char *method,
                                const char *params, struct error *error)
{
    struct answer answer = {0};
    struct caller ann = caller_ann();
    char *text = xstrdup(params);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    struct cJSON *object = cJSON_Parse(text);
    assert_non_null(object);
    free(text);
    reader_ask(loop->reader, method, object, &ann, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    if (error)
        *error = answer.error;
    else if (!answer.result)
        fail_msg("%s", answer.error.text);
    cJSON_Delete(answer.data);
    return answer.result;
}

#endif
