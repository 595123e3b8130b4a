/* engine.c: how long the engine's operations take on this machine.
 *
 *     engine [--quick] [--cpu-time] [--threads N] [--torch SCRIPT]
 *
 * The yardstick is the library's own product of two 784 x 784 matrices in the
 * same precision and with as many threads, timed in turns with everything
 * else: a rate wanders with the machine, a share of it much less.  Figures are
 * medians.  FLOPs are those of the textbook (LU and solve, half of W W^T),
 * whatever the engine really does.  Nothing is judged: what is printed is how
 * a figure stands to its budget.
 *
 * --cpu-time counts one thread's processor time instead of wall time, for a
 * machine that others use too; --threads does only that many; --torch compares
 * with the same steps in PyTorch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/engine_peers.h"
#include "tests/bench/engine_subject.h"
#include "worker/engine/backend_cpu.h"
#include "worker/engine/device.h"

enum { ROUNDS_MAX = 99, SMALL_JOBS = 1000 };

struct options {
    bool is_quick, is_cpu_time;
    int rounds, threads; /* 0 threads: 1, then 2 */
    int warm_steps;      /* before steps from Xavier are timed */
    const char *torch;
};

static const struct shape shapes[] = {
    {"square, 5 layers of 784", NULL, 4},
    {"tower 784x500x200x10", "784x500x200x10", 0},
};

static const struct operation operations[] = {
    {"BP step", "BP", 0.0, false, 0.50, subject_step, subject_step_flops},
    {"BP step, regulariser", "BP", 0.1, false, 0.0, subject_step,
     subject_step_flops},
    {"GAIT step", "GAIT", 0.0, false, 0.0, subject_step, subject_step_flops},
    {"GAIT step, regulariser", "GAIT", 0.1, false, 0.80, subject_step,
     subject_step_flops},
    {"GAIT, regulariser, from Xavier", "GAIT", 0.1, true, 0.80, subject_step,
     subject_step_flops},
    {"TP step, regulariser", "TP", 0.1, false, 0.80, subject_step,
     subject_step_flops},
    {"TP, regulariser, from Xavier", "TP", 0.1, true, 0.80, subject_step,
     subject_step_flops},
    {"evaluation of 10,000 rows", "BP", 0.0, false, 0.90, subject_evaluation,
     subject_evaluation_flops},
    {"BP, 20 steps, 2 x 2,000 rows", "BP", 0.0, false, 0.0, subject_epoch,
     subject_epoch_flops},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

/* What all operations of one shape start from. */
struct starts {
    struct weights orthogonal, xavier;
};

struct samples {
    double seconds[ROUNDS_MAX];
};

static double now(const struct options *options)
{
    struct timespec time;
    clock_gettime(options->is_cpu_time ? CLOCK_THREAD_CPUTIME_ID
                                       : CLOCK_MONOTONIC,
                  &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

/* --- the table ----------------------------------------------------------- */

/* The library's product of two square matrices. */
struct yardstick {
    struct backend *backend;
    void *memory;
    struct matrix a, b, c;
};

static void yardstick_init(struct yardstick *yardstick, const char *precision,
                           int threads, const struct rows *rows)
{
    struct error error = {0};
    struct backend *backend = backend_cpu_open(precision, threads, &error);
    struct source source = {rows->pixels, rows->labels, ROWS, WIDTH, 255.0};
    uint8_t labels[WIDTH];
    size_t bytes =
        (size_t)WIDTH * WIDTH * (backend ? backend->element_bytes : 0);
    char *memory =
        backend ? backend->allocate(backend, 3 * bytes, &error) : NULL;
    if (!memory) {
        fprintf(stderr, "engine: %s\n", error.text);
        exit(1);
    }
    *yardstick = (struct yardstick){
        .backend = backend,
        .memory = memory,
        .a = {memory, WIDTH, WIDTH, WIDTH},
        .b = {memory + bytes, WIDTH, WIDTH, WIDTH},
        .c = {memory + 2 * bytes, WIDTH, WIDTH, WIDTH},
    };
    backend->gather(backend, &source, NULL, 0, yardstick->a, labels);
    backend->gather(backend, &source, NULL, WIDTH, yardstick->b, labels);
}

static void yardstick_run(struct yardstick *yardstick)
{
    yardstick->backend->product(yardstick->backend, 1.0, yardstick->a, PLAIN,
                                yardstick->b, PLAIN, 0.0, yardstick->c);
}

static void yardstick_release(struct yardstick *yardstick)
{
    yardstick->backend->release(yardstick->backend, yardstick->memory);
    yardstick->backend->close(yardstick->backend);
}

/* Budgets are for one thread. */
static void print_row(const struct operation *operation,
                      const struct subject *subject, double seconds,
                      double rate, int threads)
{
    double flops = operation->flops(subject);
    printf("  %-32s %9.2f %9.3f %8.1f %8.2f", operation->name, 1e3 * seconds,
           1e-9 * flops, 1e-9 * flops / seconds, flops / seconds / rate);
    if (operation->share > 0.0 && threads == 1) {
        double budget = flops / (operation->share * rate);
        printf("   %9.2f %s", 1e3 * budget,
               seconds <= budget ? "met" : "MISSED");
    }
    printf("\n");
}

static void time_all(const struct options *options, struct subject **subjects,
                     struct yardstick *yardstick, int threads)
{
    static struct samples times[OPERATIONS], products;
    int rounds = options->rounds;
    for (int round = -1; round < rounds; round++) { /* -1 warms up */
        int at = round < 0 ? 0 : round;
        double begin = now(options);
        yardstick_run(yardstick);
        products.seconds[at] = now(options) - begin;
        for (int i = 0; i < OPERATIONS; i++) {
            double start = now(options);
            operations[i].run(subjects[i]);
            times[i].seconds[at] = now(options) - start;
        }
    }
    double product = median(products.seconds, rounds);
    double flops = 2.0 * WIDTH * WIDTH * WIDTH, rate = flops / product;
    printf("  %-32s %9.2f %9.3f %8.1f %8.2f\n", "library's product, n = 784",
           1e3 * product, 1e-9 * flops, 1e-9 * rate, 1.0);
    for (int i = 0; i < OPERATIONS; i++)
        print_row(&operations[i], subjects[i], median(times[i].seconds, rounds),
                  rate, threads);
    fflush(stdout);
}

static void measure(const struct options *options, const struct shape *shape,
                    const struct starts *starts, const char *precision,
                    int threads, const struct rows *rows)
{
    struct subject *subjects[OPERATIONS];
    struct yardstick yardstick;
    yardstick_init(&yardstick, precision, threads, rows);
    printf("\n%s, %s, %d thread%s\n  %-32s %9s %9s %8s %8s   %9s\n",
           shape->name, precision, threads, threads > 1 ? "s" : "", "operation",
           "ms", "GFLOP", "GFLOP/s", "share", threads == 1 ? "budget ms" : "");
    for (int i = 0; i < OPERATIONS; i++)
        subjects[i] = subject_new(&operations[i], shape, precision, threads,
                                  operations[i].is_xavier ? &starts->xavier
                                                          : &starts->orthogonal,
                                  rows);
    time_all(options, subjects, &yardstick, threads);
    for (int i = 0; i < OPERATIONS; i++)
        subject_free(subjects[i]);
    yardstick_release(&yardstick);
}

/* Orthogonal weights, and what GAIT with regulariser makes of Xavier's in
 * warm_steps updates of float32. */
static void starts_init(struct starts *starts, const struct options *options,
                        const struct shape *shape, const struct rows *rows)
{
    struct operation warm = operations[3];
    struct subject *subject =
        subject_new(&warm, shape, "float32", 1, NULL, rows);
    subject_weights(subject, &starts->orthogonal);
    subject_free(subject);
    warm.is_xavier = true;
    subject = subject_new(&warm, shape, "float32", 1, NULL, rows);
    for (int i = 0; i < options->warm_steps; i++)
        subject_step(subject);
    subject_weights(subject, &starts->xavier);
    subject_free(subject);
}

static void starts_release(struct starts *starts)
{
    weights_release(&starts->orthogonal);
    weights_release(&starts->xavier);
}

static void measure_shapes(const struct options *options,
                           const struct rows *rows)
{
    int least = options->threads ? options->threads : 1;
    int most = options->threads ? options->threads : 2;
    for (int i = 0; i < 2; i++) {
        struct starts starts;
        starts_init(&starts, options, &shapes[i], rows);
        for (int threads = least; threads <= most; threads++)
            for (int j = 0; j < 2; j++)
                measure(options, &shapes[i], &starts, j ? "float64" : "float32",
                        threads, rows);
        starts_release(&starts);
    }
}

/* --- small trainings ----------------------------------------------------- */

/* Trainings of next to nothing, as sweeps of thousands have them: what one
 * costs from settings to its first row. */
static void measure_small(const struct options *options,
                          const struct rows *rows)
{
    enum { PIXELS = 16, SMALL_ROWS = 60 };
    struct data data = {{rows->pixels, rows->labels, SMALL_ROWS},
                        {rows->pixels, rows->labels, SMALL_ROWS},
                        PIXELS};
    struct trainer_hooks hooks = {0};
    struct error error = {0};
    struct settings settings;
    settings_init(&settings);
    settings.tower = true;
    snprintf(settings.widths, SETTING_TEXT_BYTES, "16x10");
    struct device *device = device_open("cpu", "", &error);
    if (!device)
        exit(1);
    double start = now(options);
    for (int i = 0; i < SMALL_JOBS; i++) {
        settings.seed = i;
        struct trainer *trainer = trainer_new(&settings, &data, device, &error);
        if (!trainer || !trainer_run(trainer, 0, &hooks, &error)) {
            fprintf(stderr, "engine: %s\n", error.text);
            exit(1);
        }
        trainer_free(trainer);
    }
    device_close(device);
    printf("\na tower 16x10 over 60 rows, made and scored: %.1f us\n",
           1e6 * (now(options) - start) / SMALL_JOBS);
}

/* --- peers --------------------------------------------------------------- */

struct task {
    const struct options *options;
    const struct rows *rows;
};

/* Updates a second of BP, in a process of its own. */
static double steps_per_second(void *user, double seconds)
{
    const struct task *task = user;
    struct subject *subject =
        subject_new(&operations[0], &shapes[0], "float32", 1, NULL, task->rows);
    subject_step(subject);
    peers_ready();
    double start = now(task->options), end = start, steps = 0.0;
    for (; end - start < seconds; end = now(task->options), steps += 1.0)
        subject_step(subject);
    subject_free(subject);
    return steps / (end - start);
}

static void measure_workers(const struct options *options,
                            const struct rows *rows)
{
    enum { PAIRS = 3 };
    struct task task = {options, rows};
    double ratios[PAIRS], seconds = options->is_quick ? 0.5 : 2.0;
    for (int i = 0; i < PAIRS; i++) {
        double one = peers_sum(1, steps_per_second, &task, seconds);
        double two = peers_sum(2, steps_per_second, &task, seconds);
        ratios[i] = two / one;
    }
    printf("\ntwo workers of one thread against one, BP: %.2f times the "
           "updates (%ld cores; 1.8 wanted)\n",
           median(ratios, PAIRS), sysconf(_SC_NPROCESSORS_ONLN));
    fflush(stdout);
}

static void measure_torch(const struct options *options,
                          const struct rows *rows)
{
    static const struct {
        const char *name;
        int operation;
    } pairs[] = {{"bp", 0}, {"gait", 3}};
    static struct samples ours, theirs;
    struct peer peer;
    if (!options->torch)
        return;
    if (!peer_start(&peer, options->torch)) {
        printf("\nPyTorch is not installed\n");
        return;
    }
    printf("\nPyTorch, float32, one thread, the square network\n"
           "  %-32s %9s %9s %8s\n",
           "operation", "ms", "PyTorch", "ratio");
    for (int i = 0; i < 2; i++) {
        const struct operation *operation = &operations[pairs[i].operation];
        struct subject *subject =
            subject_new(operation, &shapes[0], "float32", 1, NULL, rows);
        for (int round = -1; round < options->rounds; round++) {
            int at = round < 0 ? 0 : round;
            double start = now(options);
            subject_step(subject);
            ours.seconds[at] = now(options) - start;
            theirs.seconds[at] =
                peer_seconds(&peer, pairs[i].name, options->is_cpu_time);
        }
        double mine = median(ours.seconds, options->rounds);
        double other = median(theirs.seconds, options->rounds);
        printf("  %-32s %9.2f %9.2f %8.2f\n", operation->name, 1e3 * mine,
               1e3 * other, other / mine);
        subject_free(subject);
    }
    peer_stop(&peer);
}

/* --- main ---------------------------------------------------------------- */

static bool read_options(int count, char **words, struct options *options)
{
    *options = (struct options){.rounds = 9, .warm_steps = 300};
    for (int i = 1; i < count; i++) {
        bool has_value = i + 1 < count;
        if (strcmp(words[i], "--quick") == 0)
            options->is_quick = true;
        else if (strcmp(words[i], "--cpu-time") == 0)
            options->is_cpu_time = true;
        else if (strcmp(words[i], "--threads") == 0 && has_value)
            options->threads = (int)strtol(words[++i], NULL, 10);
        else if (strcmp(words[i], "--torch") == 0 && has_value)
            options->torch = words[++i];
        else
            return false;
    }
    if (options->is_cpu_time)
        options->threads = 1;
    if (options->is_quick)
        options->rounds = 3, options->warm_steps = 30;
    return options->threads >= 0;
}

/* Wall time is the engine's own only on a machine that is idle otherwise. */
static void warn_of_load(const struct options *options)
{
    double load = 0.0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (!options->is_cpu_time && getloadavg(&load, 1) == 1 && load > 2.5)
        printf("the machine is busy (load %.1f, %ld cores): --cpu-time tells "
               "more\n",
               load, cores);
}

int main(int count, char **words)
{
    struct options options;
    struct rows rows;
    char device[200];
    if (!read_options(count, words, &options)) {
        fprintf(stderr, "usage: engine [--quick] [--cpu-time] [--threads N] "
                        "[--torch SCRIPT]\n");
        return 2;
    }
    rows_init(&rows);
    measure_workers(&options, &rows); /* forks while there are no threads */
    backend_cpu_device_class(device, sizeof device);
    const char *core = getenv("OPENBLAS_CORETYPE");
    printf("\n%s%s\n%d rounds, medians of %s time; from Xavier: %d updates "
           "later\n",
           device,
           core ? ", as OPENBLAS_CORETYPE says and not the library" : "",
           options.rounds, options.is_cpu_time ? "processor" : "wall",
           options.warm_steps);
    warn_of_load(&options);
    measure_shapes(&options, &rows);
    measure_small(&options, &rows);
    measure_torch(&options, &rows);
    rows_release(&rows);
    return 0;
}
