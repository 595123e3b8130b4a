/* Rows a second that the store takes, of a thousand runs in turn, durable: it
 * is given rows as fast as it commits them, with no loop around it.
 *
 *     rows FOLDER ROWS        prints the rows per second and the commits
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/store.h"
#include "schema/json.h"
#include "schema/memory.h"
#include "schema/paths.h"
#include "schema/spec.h"

enum { RUNS = 1000, AHEAD = 20000 }; /* rows sent and not committed */

struct bench {
    struct store *store;
    pthread_mutex_t mutex;
    pthread_cond_t woken;
    bool is_woken;
    int64_t attempts[RUNS];
    int64_t committed[RUNS]; /* steps, by the attempt's place */
    int attempt_count;
    int64_t committed_rows;
    bool is_submitted;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void die(const char *text)
{
    fprintf(stderr, "rows: %s\n", text);
    exit(1);
}

static void on_wake(void *user)
{
    struct bench *bench = user;
    pthread_mutex_lock(&bench->mutex);
    bench->is_woken = true;
    pthread_cond_signal(&bench->woken);
    pthread_mutex_unlock(&bench->mutex);
}

static void on_dispatch(void *user, const struct dispatch *dispatch)
{
    struct bench *bench = user;
    bench->attempts[bench->attempt_count] = dispatch->attempt;
    bench->committed[bench->attempt_count++] = -1;
}

/* Attempts are numbered in the order of their dispatches. */
static void on_committed(void *user, int64_t attempt, int64_t step)
{
    struct bench *bench = user;
    int64_t place = attempt - bench->attempts[0];
    bench->committed_rows += step - bench->committed[place];
    bench->committed[place] = step;
}

static void on_change(void *user, const struct job_change *change)
{
    (void)user;
    (void)change;
}

static void on_refused(void *user, int64_t attempt, const struct error *error)
{
    (void)user;
    (void)attempt;
    die(error->text);
}

static void on_fatal(void *user, const struct error *error)
{
    (void)user;
    die(error->text);
}

static void on_stuck(void *user, const struct error *error)
{
    (void)user;
    if (error)
        die(error->text);
}

static void on_attempt(void *user, int64_t attempt)
{
    (void)user;
    (void)attempt;
}

static void on_event(void *user, int64_t event, const char *kind)
{
    (void)user;
    (void)event;
    (void)kind;
}

static void on_submitted(void *user, struct cJSON *result,
                         const struct error *error, struct cJSON *data)
{
    struct bench *bench = user;
    if (error)
        die(error->text);
    bench->is_submitted = true;
    cJSON_Delete(result);
    cJSON_Delete(data);
}

static void turn(struct bench *bench)
{
    pthread_mutex_lock(&bench->mutex);
    while (!bench->is_woken)
        pthread_cond_wait(&bench->woken, &bench->mutex);
    bench->is_woken = false;
    pthread_mutex_unlock(&bench->mutex);
    store_deliver(bench->store);
}

static struct submission *make_submission(void)
{
    struct submission *s = xcalloc(1, sizeof *s);
    char *text = xprintf("{\"base\": {\"batch_size\": 60, \"train_rows\": 60, "
                         "\"nb_epochs\": 1000000}, \"axes\": {\"seed\": "
                         "{\"from\": 1, \"to\": %d}}}",
                         RUNS);
    struct faults faults;
    faults_init(&faults);
    s->spec_json = cJSON_Parse(text);
    free(text);
    s->spec = xcalloc(1, sizeof *s->spec);
    if (!spec_init(s->spec, s->spec_json, &faults))
        die(faults.fault[0].text);
    snprintf(s->request_id, sizeof s->request_id, "bench");
    snprintf(s->caller.name, sizeof s->caller.name, "bench");
    s->dataset_count = 1;
    s->datasets = xcalloc(1, sizeof *s->datasets);
    snprintf(s->datasets->name, sizeof s->datasets->name, "MNIST");
    s->datasets->shape = (struct dataset_shape){
        .train_rows = 60, .test_rows = 60, .width = 16, .digest = "d"};
    s->place_count = 1;
    s->places = xcalloc(1, sizeof *s->places);
    *s->places = (struct place){
        .device = "stub", .device_class = "stub", .gpu = -1, .slots = RUNS};
    return s;
}

static void send_rows(struct bench *bench, int64_t rows)
{
    for (int64_t sent = 0; bench->committed_rows < rows;) {
        while (sent < rows && sent - bench->committed_rows < AHEAD) {
            int64_t step = sent / RUNS;
            struct history_row row = {
                .step = step,
                .epoch = step,
                .train_accuracy = 0.5,
                .train_loss = 1.5,
                .valid_accuracy = NAN,
                .valid_loss = NAN,
                .test_accuracy = 0.25,
                .test_loss = 1.25,
                .seconds = 0.5,
            };
            snprintf(row.state_hash, sizeof row.state_hash, "%032llx",
                     (unsigned long long)step);
            store_row(bench->store, bench->attempts[sent % RUNS], &row);
            sent++;
        }
        turn(bench);
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                          .woken = PTHREAD_COND_INITIALIZER};
    const struct store_hooks hooks = {
        .user = &bench,
        .on_dispatch = on_dispatch,
        .on_change = on_change,
        .on_committed = on_committed,
        .on_closed = on_attempt,
        .on_stop = on_attempt,
        .on_limited = on_attempt,
        .on_refused = on_refused,
        .on_event = on_event,
        .on_stuck = on_stuck,
        .on_fatal = on_fatal,
        .wake = on_wake,
    };
    char path[PATH_BYTES];
    struct error error;
    if (argc != 3)
        die("usage: rows FOLDER ROWS");
    int64_t rows = strtoll(argv[2], NULL, 10) / RUNS * RUNS;
    if (!path_join(path, argv[1], "rows.sqlite", &error) ||
        !(bench.store = store_open(path, &hooks, &error)))
        die(error.text);
    for (int i = 0; i < RUNS; i++)
        store_slot_open(bench.store, i, "stub", "stub");
    store_submit(bench.store, make_submission(), on_submitted, &bench);
    while (bench.attempt_count < RUNS)
        turn(&bench);
    double began = now();
    send_rows(&bench, rows);
    printf("%.0f\n", (double)rows / (now() - began));
    store_close(bench.store);
    return 0;
}
