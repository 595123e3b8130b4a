#include "worker/lock.h"

#include "worker/channel.h"
#include "worker_fixture.h"

/* A channel that nobody speaks on: only locks wake it. */
struct quiet {
    struct channel *channel;
    int in[2], out[2];
};

static void open_quiet(struct quiet *quiet)
{
    struct error error = {0};
    assert_int_equal(pipe(quiet->in), 0);
    assert_int_equal(pipe(quiet->out), 0);
    quiet->channel =
        channel_open(quiet->in[0], quiet->out[1], 60000, 60000, &error);
    assert_non_null(quiet->channel);
}

static void close_quiet(struct quiet *quiet)
{
    channel_close(quiet->channel);
    for (int i = 0; i < 2; i++) {
        close(quiet->in[i]);
        close(quiet->out[i]);
    }
}

static struct lock *ask(const char *folder, struct quiet *quiet)
{
    struct error error = {0};
    struct lock *lock = lock_new(folder, quiet->channel, &error);
    if (!lock)
        fail_msg("%s", error.text);
    return lock;
}

static void is_had_at_once(void **state)
{
    struct quiet quiet;
    open_quiet(&quiet);
    char *folder = path_in(*state, "a/b");
    for (int i = 0; i < 2; i++) {
        struct lock *lock = ask(folder, &quiet);
        assert_int_equal(lock_state(lock), LOCK_HELD);
        lock_free(lock);
    }
    free(folder);
    close_quiet(&quiet);
}

static void wakes_who_waits(void **state)
{
    struct quiet quiet;
    open_quiet(&quiet);
    struct lock *first = ask(*state, &quiet);
    struct lock *second = ask(*state, &quiet);
    assert_int_equal(lock_state(second), LOCK_WAITING);
    lock_free(first);
    assert_null(channel_wait(quiet.channel));
    assert_int_equal(lock_state(second), LOCK_HELD);
    lock_free(second);
    close_quiet(&quiet);
}

/* One that was given up gives the lock back as soon as it gets it, and wakes
 * nobody: its channel may be gone. */
static void can_be_given_up(void **state)
{
    struct quiet quiet, other;
    open_quiet(&quiet);
    open_quiet(&other);
    struct lock *first = ask(*state, &quiet);
    for (int i = 0; i < 3; i++)
        lock_free(ask(*state, &other));
    close_quiet(&other);
    struct lock *last = ask(*state, &quiet);
    assert_int_equal(lock_state(last), LOCK_WAITING);
    lock_free(first);
    assert_null(channel_wait(quiet.channel));
    assert_int_equal(lock_state(last), LOCK_HELD);
    lock_free(last);
    close_quiet(&quiet);
}

static void says_why_not(void **state)
{
    struct quiet quiet;
    struct error error = {0};
    char expected[200], *file = path_in(*state, "file");
    open_quiet(&quiet);
    write_file(file, "", 0);
    assert_null(lock_new(file, quiet.channel, &error));
    snprintf(expected, sizeof expected,
             "cannot make the folder \"%s\": File exists", file);
    assert_string_equal(error.text, expected);
    close_quiet(&quiet);
    free(file);
    lock_free(NULL);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_had_at_once),
        TEST(wakes_who_waits),
        TEST(can_be_given_up),
        TEST(says_why_not),
    };
    return cmocka_run_group_tests_name("worker_lock", tests, NULL, NULL);
}
