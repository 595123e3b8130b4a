#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attempt.h"
#include "daemon/config.h"
#include "daemon/datasets.h"
#include "daemon/hello.h"
#include "daemon/hub.h"
#include "daemon/log.h"

/* What a worker sends, and what gaitd makes of it.  None of these messages
 * gets as far as the store. */

static const struct log quiet = {LOG_error, false};

static struct attempt *make(void)
{
    struct dispatch dispatch = {.attempt = 7,
                                .job = 3,
                                .run = 12,
                                .key = "0123456789abcdef0123456789abcdef",
                                .dataset_digest = "d",
                                .label = "seed=1",
                                .nb_epochs = 5,
                                .steps_per_epoch = 10,
                                .step = -1};
    settings_init(&dispatch.settings);
    return attempt_new(&dispatch);
}

static void assert_taken(struct attempt *attempt, const char *text,
                         const char *fault)
{
    struct error error;
    struct cJSON *message = cJSON_Parse(text);
    assert_non_null(message);
    bool is_taken = attempt_take(attempt, message, 1, NULL, &quiet, &error);
    cJSON_Delete(message);
    if (!fault && !is_taken)
        fail_msg("%s", error.text);
    assert_int_equal(is_taken, fault == NULL);
    if (fault)
        assert_string_equal(error.text, fault);
}

static void messages_are_counted(void **state)
{
    (void)state;
    struct attempt *attempt = make();
    assert_taken(attempt,
                 "{\"type\":\"warning\",\"attempt\":7,\"sequence\":0,"
                 "\"message\":\"a\"}",
                 NULL);
    assert_taken(attempt,
                 "{\"type\":\"warning\",\"attempt\":7,\"sequence\":1,"
                 "\"message\":\"a\"}",
                 NULL);
    assert_taken(attempt,
                 "{\"type\":\"warning\",\"attempt\":7,\"sequence\":3,"
                 "\"message\":\"a\"}",
                 "sent message 3, expected 2");
    attempt_free(attempt);
}

static void bad_messages_are_told(void **state)
{
    (void)state;
    const char *const cases[][2] = {
        {"{\"type\":\"warning\",\"attempt\":6,\"sequence\":0}",
         "sent a message of attempt 6, expected 7"},
        {"{\"type\":\"rwo\"}", "sent a message of unknown type \"rwo\""},
        {"{\"typ\":1}", "sent a message of unknown type \"\""},
        {"{\"type\":\"row\",\"attempt\":7,\"sequence\":0}",
         "sent \"row\" before \"started\""},
        {"{\"type\":\"done\",\"sequence\":0}", "\"attempt\" is missing"},
        {"{\"type\":\"started\",\"attempt\":7,\"sequence\":0}",
         "sent a bad \"started\": \"step\" is missing"},
        {"{\"type\":\"failed\",\"attempt\":7,\"sequence\":0,"
         "\"kind\":\"diverged\",\"message\":\"m\"}",
         "sent a bad \"failed\": \"epoch\" is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attempt *attempt = make();
        assert_taken(attempt, cases[i][0], cases[i][1]);
        attempt_free(attempt);
    }
}

static void progress_shows_what_is_known(void **state)
{
    (void)state;
    struct attempt *attempt = make();
    struct cJSON *progress = attempt_progress(attempt);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(progress, "epoch")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(progress, "test_accuracy")));
    assert_int_equal(cJSON_GetObjectItem(progress, "steps")->valueint, 50);
    cJSON_Delete(progress);
    attempt->is_started = true;
    assert_taken(attempt,
                 "{\"type\":\"progress\",\"attempt\":7,\"sequence\":0,"
                 "\"step\":29,\"steps\":50,\"steps_per_second\":4.5}",
                 NULL);
    progress = attempt_progress(attempt);
    assert_int_equal(cJSON_GetObjectItem(progress, "epoch")->valueint, 2);
    assert_int_equal(cJSON_GetObjectItem(progress, "step")->valueint, 29);
    cJSON_Delete(progress);
    attempt_free(attempt);
}

static struct config plain_config(struct faults *faults)
{
    struct config config;
    char *argv[] = {(char *)"gaitd",
                    (char *)"--dataset-folders",
                    (char *)"/a:/b",
                    (char *)"--datasets",
                    (char *)"{\"X\": [\"/x\", \"sub\"]}",
                    (char *)"--run-dir",
                    (char *)"/runs",
                    (char *)"--state-dir",
                    (char *)"/tmp"};
    if (!config_init(&config, 9, argv, faults))
        fail_msg("%s: %s", faults->fault[0].where, faults->fault[0].text);
    return config;
}

static void assert_folders(const struct config *config, const char *name,
                           const char *expected)
{
    struct cJSON *folders = datasets_folders(config, name);
    char *text = cJSON_PrintUnformatted(folders);
    assert_string_equal(text, expected);
    free(text);
    cJSON_Delete(folders);
}

static void data_sets_have_folders(void **state)
{
    (void)state;
    struct faults faults;
    struct config config = plain_config(&faults);
    assert_folders(&config, "X", "[\"/x\",\"/a/sub\",\"/b/sub\"]");
    assert_folders(&config, "MNIST",
                   "[\"/a/mnist\",\"/b/mnist\",\"/a/MNIST\",\"/b/MNIST\","
                   "\"/a/MNIST/raw\",\"/b/MNIST/raw\"]");
    assert_folders(&config, "mnist", "[]");
    config_release(&config);
}

static void start_tells_all(void **state)
{
    (void)state;
    struct faults faults;
    struct config config = plain_config(&faults);
    struct attempt *attempt = make();
    struct cJSON *start = attempt_start(attempt, &config);
    assert_string_equal(cJSON_GetObjectItem(start, "type")->valuestring,
                        "start");
    assert_string_equal(cJSON_GetObjectItem(start, "run_dir")->valuestring,
                        "/runs/12-0123456789ab");
    assert_int_equal(cJSON_GetObjectItem(start, "to_epoch")->valueint, 5);
    struct cJSON *dataset = cJSON_GetObjectItem(start, "dataset");
    assert_string_equal(cJSON_GetObjectItem(dataset, "name")->valuestring,
                        "MNIST");
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(dataset, "folders")), 6);
    cJSON_Delete(start);
    attempt_free(attempt);
    config_release(&config);
}

static void assert_hello(const char *text, const char *fault)
{
    struct hello hello;
    struct error error = {0};
    struct cJSON *message = cJSON_Parse(text);
    assert_int_equal(hello_read(&hello, message, &error), fault == NULL);
    cJSON_Delete(message);
    if (fault)
        assert_string_equal(error.text, fault);
    else
        assert_string_equal(hello.device_class, "cpu X");
}

#define HELLO(build, protocol, engine)                                         \
    "{\"type\":\"hello\",\"build\":\"" build                                   \
    "\",\"worker_protocol\":" protocol ",\"engine_version\":" engine           \
    ",\"pid\":1,\"device\":\"cpu\",\"device_class\":\"cpu X\"}"

static void strange_workers_are_refused(void **state)
{
    (void)state;
    assert_hello(HELLO(GAITD_VERSION, "1", "2"), NULL);
    assert_hello(HELLO("0.0.0", "1", "2"),
                 "its build is \"0.0.0\", expected \"" GAITD_VERSION "\"");
    assert_hello(HELLO(GAITD_VERSION, "9", "2"),
                 "its worker_protocol is 9, expected 1");
    assert_hello(HELLO(GAITD_VERSION, "1", "9"),
                 "its engine_version is 9, expected 2");
    assert_hello("{\"type\":\"pong\"}", "sent \"pong\", expected \"hello\"");
}

static void watches_match(void **state)
{
    (void)state;
    const struct watched sweep = {.sweep = 4};
    assert_true(watched_has(&sweep, 4, 100));
    assert_false(watched_has(&sweep, 5, 100));
    const struct watched jobs = {.first = 3, .last = 5};
    assert_true(watched_has(&jobs, 9, 3));
    assert_true(watched_has(&jobs, 9, 5));
    assert_false(watched_has(&jobs, 9, 2));
    assert_false(watched_has(&jobs, 9, 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_counted),
        cmocka_unit_test(bad_messages_are_told),
        cmocka_unit_test(progress_shows_what_is_known),
        cmocka_unit_test(data_sets_have_folders),
        cmocka_unit_test(start_tells_all),
        cmocka_unit_test(strange_workers_are_refused),
        cmocka_unit_test(watches_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
