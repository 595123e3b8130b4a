/* Nothing is allocated inside a step: every rule, in both precisions. */
#include "worker_engine_fixture.h"

#include "worker/engine/stream.h"
#include "worker/engine/trainer.h"

/* Counts what this program allocates itself, and what its libraries allocate
 * in pieces of a page or more: OpenBLAS's kernel for small products takes one
 * or two kilobytes at every call on CPUs with AVX-512.  A sanitizer has its
 * own allocator, which is left alone: nothing is counted then. */
static long allocations;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern char __executable_start, etext;
enum { PAGE = 4096 };

static void count(size_t bytes, const void *caller)
{
    const char *at = caller;
    allocations += bytes >= PAGE || (at >= &__executable_start && at < &etext);
}

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t number, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes)
{
    count(bytes, __builtin_return_address(0));
    return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes)
{
    count(number * bytes, __builtin_return_address(0));
    return __libc_calloc(number, bytes);
}

void *realloc(void *old, size_t bytes)
{
    count(bytes, __builtin_return_address(0));
    return __libc_realloc(old, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    count(bytes, __builtin_return_address(0));
    *memory = __libc_memalign(alignment, bytes);
    return *memory ? 0 : 12;
}
#define IS_COUNTING 1
#else
#define IS_COUNTING 0
#endif

enum { WIDTH = 160, ROWS = 240, BATCH = 12, WARM = 3, STEPS = 10 };

static uint8_t pixels[ROWS * WIDTH], labels[ROWS];

/* allocations so far at steps WARM and WARM + STEPS */
struct counts {
    long before, after;
};

static bool on_step(void *user, int64_t step)
{
    struct counts *counts = user;
    if (step == WARM)
        counts->before = allocations;
    if (step == WARM + STEPS)
        counts->after = allocations;
    return step > WARM + STEPS;
}

static long allocations_of(const char *algorithm, const char *precision,
                           double orthogonal_reg, bool is_orthogonal)
{
    struct data data = {{pixels, labels, ROWS}, {pixels, labels, ROWS}, WIDTH};
    struct counts counts = {0, 1};
    struct trainer_hooks hooks = {&counts, NULL, on_step};
    struct settings settings;
    struct error error = {0};
    settings_init(&settings);
    snprintf(settings.algorithm, SETTING_TEXT_BYTES, "%s", algorithm);
    snprintf(settings.precision, SETTING_TEXT_BYTES, "%s", precision);
    settings.nb_layers = 2;
    settings.batch_size = BATCH;
    settings.orthogonal_reg = orthogonal_reg;
    settings.orthogonal_init = is_orthogonal;
    struct trainer *trainer =
        trainer_new(&settings, &data, fixture_device(), &error);
    assert_non_null(trainer);
    assert_false(trainer_run(trainer, 1, &hooks, &error));
    assert_int_equal(error.code, ERROR_STOPPED);
    trainer_free(trainer);
    return counts.after - counts.before;
}

static void a_step_allocates_nothing(void **state)
{
    static const char *const rules[] = {"BP", "GAIT", "TP"};
    static const char *const precisions[] = {"float32", "float64"};
    (void)state;
    for (int i = 0; i < 18; i++)
        assert_int_equal(allocations_of(rules[i % 3], precisions[i / 3 % 2],
                                        i < 6 ? 0.0 : 0.1, i < 12),
                         0);
}

static void the_count_counts(void **state)
{
    long before = allocations;
    (void)state;
    void *(*volatile allocate)(size_t) = malloc; /* not inlined */
    free(allocate(1));
    assert_int_equal(allocations - before, IS_COUNTING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_count_counts),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    struct stream stream;
    stream_init(&stream, 1);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(stream_word(&stream) % 256);
    for (size_t i = 0; i < sizeof labels; i++)
        labels[i] = (uint8_t)(stream_word(&stream) % CLASSES);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
