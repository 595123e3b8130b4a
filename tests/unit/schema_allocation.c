/* Memory runs out at the nth allocation, for every n until all succeed.
 *
 * This program is linked so that malloc, calloc, realloc and free of the
 * project's own code, and cJSON's by json_init, come here.  What is large (a
 * message as it comes in, and as a whole) is refused with ERROR_MEMORY and
 * leaves nothing behind; what is small dies with xmalloc's words.  Nothing
 * else may happen: no crash, no silence.
 */
#include "schema_fixture.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/key.h"
#include "schema/memory.h"
#include "schema/spec.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void __wrap_free(void *memory);

static long until_failure = -1; /* allocations that succeed; -1: all */
static long living;

static bool fails(void)
{
    if (until_failure < 0)
        return false;
    return until_failure-- == 0;
}

void *__wrap_malloc(size_t bytes)
{
    void *memory = fails() ? NULL : __real_malloc(bytes);
    living += memory != NULL;
    return memory;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    void *memory = fails() ? NULL : __real_calloc(count, bytes);
    living += memory != NULL;
    return memory;
}

void *__wrap_realloc(void *old, size_t bytes)
{
    void *memory = fails() ? NULL : __real_realloc(old, bytes);
    living += !old && memory;
    return memory;
}

void __wrap_free(void *memory)
{
    living -= memory != NULL;
    __real_free(memory);
}

/* What is tried: false with ERROR_MEMORY where memory was refused. */

static bool take_lines(struct inbox *inbox, struct error *error)
{
    size_t length, printed;
    const char *line;
    bool is_fine = true;
    while (is_fine && (line = inbox_next(inbox, &length))) {
        cJSON *message = message_parse(line, length, error);
        is_fine = message || error->code != ERROR_MEMORY;
        if (message)
            free(message_print(message, &printed));
        cJSON_Delete(message);
    }
    return is_fine;
}

static bool take_frames(struct error *error)
{
    static const char bytes[] =
        "{\"a\": [1, 2.5, \"text\", {\"b\": null}], \"c\": {\"d\": true}}\n"
        "{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": 4, \"e\": 5, \"f\": 6, \"g\": "
        "7, \"h\": 8, \"i\": 9, \"j\": 10}\nno JSON\n{\"a\": 1, \"a\": 2}\n";
    struct inbox inbox;
    inbox_init(&inbox);
    bool is_fine = true;
    for (int i = 0; i < 22 && is_fine; i++) {
        size_t available;
        char *room = inbox_room(&inbox, sizeof bytes, &available, error);
        is_fine = room != NULL;
        if (!room)
            break;
        memcpy(room, bytes, sizeof bytes - 1);
        inbox_filled(&inbox, sizeof bytes - 1);
        if (i == 21) /* many wait, so that it grows */
            is_fine = take_lines(&inbox, error);
    }
    inbox_release(&inbox);
    return is_fine;
}

static bool speak(struct error *error)
{
    size_t length;
    cJSON *id = cJSON_CreateString("x");
    struct error refusal = {.code = ERROR_SPEC, .text = "no"};
    cJSON *said[] = {
        rpc_request(1, "status", NULL),
        rpc_result(id, json_number(0.1)),
        rpc_error(id, &refusal, cJSON_CreateObject()),
        rpc_notification("event", NULL),
        json_raw(cJSON_CreateArray()),
    };
    for (size_t i = 0; i < COUNT(said); i++) {
        free(message_print(said[i], &length));
        cJSON_Delete(said[i]);
    }
    cJSON_Delete(id);
    (void)error;
    return true;
}

static void expand(const struct spec *spec)
{
    static const struct dataset_shape shape = {
        .train_rows = 600, .test_rows = 100, .width = 784};
    for (int64_t i = 0; i < spec->job_count; i++) {
        struct settings settings;
        struct key key;
        spec_job(spec, i, &settings);
        cJSON_Delete(settings_write(&settings));
        settings_canonical(&settings, &shape);
        key_make(&key, &settings, &shape);
    }
}

static bool take_spec(const char *text, struct error *error)
{
    struct faults faults;
    struct spec spec;
    cJSON *json = message_parse(text, strlen(text), error);
    if (!json)
        return false;
    faults_init(&faults);
    if (spec_init(&spec, json, &faults))
        expand(&spec);
    cJSON_Delete(faults_write(&faults));
    spec_release(&spec);
    cJSON_Delete(json);
    return true;
}

static bool take_job(struct error *error)
{
    return take_spec("{\"name\": \"a\", \"algorithm\": \"TP\", \"tower\": "
                     "true, \"widths\": \"784x20x10\"}",
                     error);
}

static bool take_sweep(struct error *error)
{
    return take_spec(
        "{\"base\": {\"nb_epochs\": 2}, \"points\": [{\"gamma\": 0.1}, {}], "
        "\"axes\": {\"seed\": {\"from\": 1, \"to\": 3}, \"learning_rate\": "
        "{\"from\": 1e-5, \"to\": 1e-3, \"steps\": 3, \"scale\": \"log\"}, "
        "\"algorithm\": [\"BP\", \"TP\"]}}",
        error);
}

static bool take_bad_sweep(struct error *error)
{
    return take_spec("{\"bas\": 1, \"base\": {\"sed\": 1}, \"points\": [1], "
                     "\"axes\": {\"seed\": [1, 1], \"gamma\": {\"from\": 2, "
                     "\"to\": \"x\"}, \"tower\": {}, \"nb_epochs\": [0]}}",
                     error);
}

/* Running out. */

enum { ALL_SUCCEEDED = 0, REFUSED = 10, LEAKED = 11, SILENT = 12 };

static int try_in_child(bool (*function)(struct error *error), long nth)
{
    struct error error = {0};
    until_failure = nth;
    bool is_fine = function(&error);
    bool has_failed = until_failure < 0;
    until_failure = -1;
    if (living)
        return LEAKED;
    if (is_fine && has_failed)
        return SILENT;
    if (!is_fine)
        return error.code == ERROR_MEMORY && error.text[0] ? REFUSED : SILENT;
    return ALL_SUCCEEDED;
}

/* What the child says on its last day, and how it ended. */
static int try(bool (*function)(struct error *error), long nth, char said[256])
{
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        dup2(pipes[1], STDERR_FILENO);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        living = 0;
        _exit(try_in_child(function, nth));
    }
    close(pipes[1]);
    ssize_t length = read(pipes[0], said, 255);
    said[length > 0 ? length : 0] = '\0';
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void run_out(bool (*function)(struct error *error), bool is_refused)
{
    int refused = 0, died = 0;
    for (long nth = 0;; nth++) {
        char said[256];
        int status = try(function, nth, said);
        if (WIFEXITED(status) && WEXITSTATUS(status) == ALL_SUCCEEDED)
            break;
        bool is_death = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
        bool is_refusal = WIFEXITED(status) && WEXITSTATUS(status) == REFUSED;
        if (!is_refusal && !(is_death && !strncmp(said, "out of memory: ", 15)))
            fail_msg("allocation %ld fails: status %#x, said \"%s\"", nth,
                     (unsigned)status, said);
        refused += is_refusal;
        died += is_death;
    }
    assert_true(died > 0);
    assert_int_equal(refused > 0, is_refused);
}

static void frames(void **state)
{
    (void)state;
    run_out(take_frames, true);
}

static void answers(void **state)
{
    (void)state;
    run_out(speak, false);
}

static void jobs(void **state)
{
    (void)state;
    run_out(take_job, true);
}

static void sweeps(void **state)
{
    (void)state;
    run_out(take_sweep, true);
}

static void faults(void **state)
{
    (void)state;
    run_out(take_bad_sweep, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames), cmocka_unit_test(answers),
        cmocka_unit_test(jobs),   cmocka_unit_test(sweeps),
        cmocka_unit_test(faults),
    };
    json_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
