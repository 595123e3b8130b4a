/* The gate between the store and the readers, by itself and under load. */
#define _GNU_SOURCE /* pthread_timedjoin_np */
#include "tests/unit/daemon_store_fixture.h"

#include <sys/stat.h>

#include "daemon/db.h"

static void nobody_is_inside(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    assert_true(gate_close(gate, 0));
    gate_open(gate);
    gate_enter(gate);
    gate_leave(gate);
    assert_true(gate_close(gate, 0));
    gate_open(gate);
    gate_free(gate);
}

static void somebody_stays_inside(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate_enter(gate);
    assert_false(gate_close(gate, 0.01));
    gate_open(gate);
    gate_leave(gate);
    gate_free(gate);
}

static void *pass(void *user)
{
    gate_enter(user);
    gate_leave(user);
    return NULL;
}

static void who_comes_later_waits(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    pthread_t thread;
    struct timespec soon;
    assert_true(gate_close(gate, 0));
    assert_int_equal(pthread_create(&thread, NULL, pass, gate), 0);
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    assert_int_not_equal(pthread_timedjoin_np(thread, NULL, &soon), 0);
    gate_open(gate);
    assert_int_equal(pthread_join(thread, NULL), 0);
    gate_free(gate);
}

struct overlap {
    struct loop *loop;
    pthread_mutex_t mutex;
    bool is_over;
};

static bool is_over(struct overlap *overlap)
{
    pthread_mutex_lock(&overlap->mutex);
    bool result = overlap->is_over;
    pthread_mutex_unlock(&overlap->mutex);
    return result;
}

/* A reader that is nearly always inside: two of them always overlap. */
static void *read_on(void *user)
{
    struct overlap *overlap = user;
    struct error error;
    struct db *db = db_open(overlap->loop->path, DB_READ, &error);
    while (!is_over(overlap)) {
        gate_enter(overlap->loop->gate);
        if (db_begin(db, &error)) {
            struct statement *s =
                db_sql(db, "SELECT sum(position), sum(length(label)) FROM job");
            while (statement_next(s))
                ;
            statement_finish(s, &error);
        }
        db_rollback(db);
        gate_leave(overlap->loop->gate);
    }
    db_close(db);
    return NULL;
}

/* Without the gate the log grows for as long as readers overlap. */
static void overlapping_readers_let_the_log_begin_anew(void **state)
{
    (void)state;
    struct loop *loop = loop_start();
    struct overlap overlap = {.loop = loop, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[2];
    char path[160];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &overlap),
                         0);
    submit(loop, "r1",
           "{'base': {'batch_size': 60, 'nb_epochs': 2}, 'axes': {'seed': "
           "{'from': 1, 'to': 60000}}}");
    pthread_mutex_lock(&overlap.mutex);
    overlap.is_over = true;
    pthread_mutex_unlock(&overlap.mutex);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    struct stat status;
    snprintf(path, sizeof path, "%s-wal", loop->path);
    assert_int_equal(stat(path, &status), 0);
    assert_in_range(status.st_size, 1, 90 << 20);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_inside),
        cmocka_unit_test(somebody_stays_inside),
        cmocka_unit_test(who_comes_later_waits),
        cmocka_unit_test(overlapping_readers_let_the_log_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
