/* What tests of the queue do often. */
#ifndef TESTS_DAEMON_QUEUE_FIXTURE_H
#define TESTS_DAEMON_QUEUE_FIXTURE_H

#include "tests/unit/daemon_store_fixture.h"

#define BASE                                                                   \
    "'tower': true, 'widths': '16x10', 'batch_size': 60, 'nb_epochs': 2"

/* A sweep of `count` jobs that nobody else trains, for what `controls` says
 * (JSON with ' for "); returns its first job. */
static inline int64_t queue_sweep(struct loop *loop,
                                  const struct caller *caller, const char *name,
                                  int count, const char *controls)
{
    static int made;
    struct answer answer;
    char id[32];
    snprintf(id, sizeof id, "queue-%d", ++made);
    char *spec =
        xprintf("{'name': '%s', 'base': {" BASE "}, 'axes': {'seed': "
                "{'from': %d, 'to': %d, 'step': 100}}}",
                name, 100000 * made, 100000 * made + 100 * (count - 1));
    struct submission *s = submission_make(id, spec);
    char *text = xstrdup(controls);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    struct cJSON *json = cJSON_Parse(text);
    struct faults faults;
    faults_init(&faults);
    s->caller = *caller;
    if (!controls_read(json, &s->controls, &faults))
        fail_msg("%s: %s", faults.fault[0].where, faults.fault[0].text);
    cJSON_Delete(json);
    free(text);
    free(spec);
    submit_as(loop, s, &answer);
    if (!answer.result)
        fail_msg("%s", answer.error.text);
    int64_t first = json_integer_or(answer.result, "first_job", -1);
    answer_release(&answer);
    return first;
}

static inline void queue_slots(struct loop *loop, int from, int to)
{
    for (int i = from; i < to; i++)
        store_slot_open(loop->store, i, "cpu", CLASS);
    loop_sync(loop);
}

static inline void queue_dispatched(struct loop *loop, int count)
{
    loop_sync(loop);
    assert_int_equal(loop->dispatch_count, count);
}

/* Ends the job's last attempt, all epochs trained. */
static inline void queue_finish(struct loop *loop, int64_t job)
{
    for (int i = loop->dispatch_count - 1; i >= 0; i--) {
        const struct dispatch *d = &loop->dispatches[i % TRACE_MAX];
        if (d->job != job)
            continue;
        send_epochs(loop, d->attempt, d->step < 0 ? -1 : d->step / 10, 2);
        end_attempt(loop, d->attempt, OUTCOME_done, "");
        loop_sync(loop);
        return;
    }
    fail_msg("job %lld was not dispatched", (long long)job);
}

/* The answer to an order, as its JSON text; or the error's text. */
static inline void queue_order(struct loop *loop, enum order_name order,
                               const char *target, const struct caller *caller,
                               const char *expected)
{
    struct answer answer = {0};
    size_t length;
    store_order(loop->store, order, target, caller, on_answer, &answer);
    WAIT_FOR(loop, answer.is_here);
    char *text = answer.result ? json_print(answer.result, &length)
                               : xstrdup(answer.error.text);
    for (char *c = text; answer.result && *c; c++)
        if (*c == '"')
            *c = '\'';
    assert_string_equal(text, expected);
    free(text);
    answer_release(&answer);
    loop_sync(loop);
}

/* The same of a control chosen anew. */
static inline void queue_control(struct loop *loop, const char *target,
                                 const char *controls,
                                 const struct caller *caller,
                                 const char *expected)
{
    struct answer answer = {0};
    size_t length;
    char *text = xstrdup(controls);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    struct cJSON *json = cJSON_Parse(text);
    free(text);
    store_control(loop->store, target, json, caller, on_answer, &answer);
    cJSON_Delete(json);
    WAIT_FOR(loop, answer.is_here);
    text = answer.result ? json_print(answer.result, &length)
                         : xstrdup(answer.error.text);
    for (char *c = text; answer.result && *c; c++)
        if (*c == '"')
            *c = '\'';
    assert_string_equal(text, expected);
    free(text);
    answer_release(&answer);
    loop_sync(loop);
}

/* What `explain` says, of a gaitd with `slots` slots. */
static inline void queue_explained(struct loop *loop, int64_t job, int slots,
                                   const char *expected)
{
    if (!loop->reader)
        loop_open_reader(loop, 10);
    char *params =
        xprintf("{'target': '%lld', 'slots': %d, 'places': [{'device': 'cpu', "
                "'device_class': '" CLASS "', 'gpu': -1, 'slots': %d}]}",
                (long long)job, slots, slots);
    struct cJSON *answer = ask(loop, "explain", params, NULL);
    assert_string_equal(json_text_or(answer, "text", ""), expected);
    cJSON_Delete(answer);
    free(params);
}

#endif
