/* Every call that an epoch makes of CUDA fails once: a clear error, nothing
 * kept.  On the replacement libraries only, which can be told to fail and which
 * end a process that leaks with a status of their own (tests/cuda/shim.h). */
#include "worker_engine_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include "worker/engine/trainer.h"

enum { WIDTH = 11, ROWS = 4, DONE = 0, REFUSED = 3, UNCLEAR = 4, LEAKED = 98 };

static uint8_t pixels[ROWS * WIDTH], labels[ROWS];

/* One step and two evaluations, with all that can be asked for. */
static bool train(struct device *device, struct error *error)
{
    struct data data = {{pixels, labels, ROWS}, {pixels, labels, ROWS}, WIDTH};
    struct trainer_hooks hooks = {0};
    struct settings settings;
    struct progress progress;
    int count;
    settings_init(&settings);
    snprintf(settings.algorithm, sizeof settings.algorithm, "GAIT");
    settings.orthogonal_reg = 0.1;
    settings.batch_size = ROWS;
    settings.diagnostics = settings.shuffle = true;
    struct trainer *trainer = trainer_new(&settings, &data, device, error);
    bool is_done = trainer && trainer_run(trainer, 1, &hooks, error) &&
                   trainer_tensors(trainer, &count, error);
    if (is_done) {
        trainer_progress(trainer, &progress);
        trainer_restore(trainer, &progress);
        is_done = trainer_tensors(trainer, &count, error); /* waits */
    }
    trainer_free(trainer);
    return is_done;
}

static bool is_clear(const struct error *error)
{
    bool is_known = error->code == ERROR_IO || error->code == ERROR_MEMORY ||
                    error->code == ERROR_NOT_FOUND;
    return is_known && (strstr(error->text, "the GPU failed in ") ||
                        strncmp(error->text, "no GPU: ", 8) == 0);
}

/* Ends as a worker would; what it says goes to `out`. */
static void live(FILE *out)
{
    const char *plugin = getenv("GAIT_TEST_PLUGIN");
    struct error error = {0};
    dup2(fileno(out), STDERR_FILENO);
    struct device *device =
        device_open(getenv("GAIT_TEST_DEVICE"),
                    plugin ? plugin : "build/gait-cuda.so", &error);
    bool is_done = device && train(device, &error);
    device_close(device);
    if (!is_done)
        fprintf(stderr, "error %d: %s\n", error.code, error.text);
    exit(is_done ? DONE : is_clear(&error) ? REFUSED : UNCLEAR);
}

/* The exit status of a process in which the wish comes true; `text` is what it
 * said. */
static int live_with(const char *wish, char text[4096])
{
    FILE *out = tmpfile();
    int status;
    assert_non_null(out);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("CUDASHIM_FAIL", wish, 1);
        live(out);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rewind(out);
    text[fread(text, 1, 4095, out)] = '\0';
    fclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* How many calls there are, from the last line of the replacement's account. */
static long count_calls(void)
{
    char path[] = "/tmp/gait-calls-XXXXXX", text[4096], name[64];
    long count = 0;
    int file = mkstemp(path);
    assert_true(file >= 0);
    setenv("CUDASHIM_CALLS", path, 1);
    assert_int_equal(live_with("any:1000000000", text), DONE);
    unsetenv("CUDASHIM_CALLS");
    FILE *account = fdopen(file, "r");
    assert_non_null(account);
    while (fscanf(account, "%ld %63s", &count, name) == 2)
        ;
    fclose(account);
    unlink(path);
    return count;
}

/* What is not given back because giving it back failed is no leak of ours, and
 * nobody needs to be told of it. */
static void every_call_fails_once(void **state)
{
    (void)state;
    char wish[64], text[4096];
    int refused = 0;
    if (!fixture_is_pretended())
        skip();
    long calls = count_calls();
    assert_in_range(calls, 100, 2000);
    for (long n = 1; n <= calls; n++) {
        snprintf(wish, sizeof wish, "any:%ld", n);
        int status = live_with(wish, text);
        bool is_giving_back = strstr(text, "of cudaFree") ||
                              strstr(text, "of cudaStreamSynchronize") ||
                              strstr(text, "Destroy");
        bool is_good = status == REFUSED ||
                       (is_giving_back && (status == DONE || status == LEAKED));
        if (!is_good)
            fail_msg("call %ld of %ld: status %d, expected %d: %s", n, calls,
                     status, REFUSED, text);
        refused += status == REFUSED;
    }
    print_message("%d of %ld calls end an epoch\n", refused, calls);
    assert_true(refused > calls / 2);
}

static void want_of_memory_is_told_from_failure(void **state)
{
    (void)state;
    static const char *const wishes[] = {"cudaMalloc:1", "cudaMalloc:2",
                                         "cudaMalloc:3", "cudaMallocHost:2"};
    char text[4096], expected[32];
    if (!fixture_is_pretended())
        skip();
    snprintf(expected, sizeof expected, "error %d: ", ERROR_MEMORY);
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        assert_int_equal(live_with(wishes[i], text), REFUSED);
        if (!strstr(text, expected))
            fail_msg("%s: \"%s\" is not \"%s\"", wishes[i], text, expected);
    }
}

/* What failed for one job is not taken for a failure of the next one's. */
static void the_next_job_is_not_blamed(void **state)
{
    (void)state;
    static const char *const wishes[] = {"cudaMalloc:2", "cudaMallocHost:1",
                                         "cudaStreamCreateWithFlags:1",
                                         "cudaMemsetAsync:1"};
    const char *plugin = getenv("GAIT_TEST_PLUGIN");
    if (!fixture_is_pretended())
        skip();
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        fflush(NULL);
        pid_t pid = fork();
        int status;
        if (pid == 0) {
            struct error first = {0}, next = {0};
            setenv("CUDASHIM_FAIL", wishes[i], 1);
            struct device *device =
                device_open(getenv("GAIT_TEST_DEVICE"),
                            plugin ? plugin : "build/gait-cuda.so", &first);
            bool is_refused = device && !train(device, &first);
            bool is_done = device && train(device, &next);
            device_close(device);
            if (!is_refused || !is_done)
                fprintf(stderr, "%s: first \"%s\", next \"%s\"\n", wishes[i],
                        first.text, next.text);
            exit(is_refused && is_done ? DONE : UNCLEAR);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_fails_once),
        cmocka_unit_test(want_of_memory_is_told_from_failure),
        cmocka_unit_test(the_next_job_is_not_blamed),
    };
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    for (size_t i = 0; i < sizeof labels; i++)
        labels[i] = (uint8_t)(i % CLASSES);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
