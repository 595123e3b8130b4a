#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/listener.h"

static char folder[32], path[40], lock_path[48];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/gaitd_listener_XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(lock_path, sizeof lock_path, "%s/s.lock", folder);
    return 0;
}

/* Fails when a test left more than its socket. */
static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static bool exists(const char *name)
{
    struct stat status;
    return lstat(name, &status) == 0;
}

static int bind_plain(bool is_listening)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(
        bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    if (is_listening)
        assert_int_equal(listen(descriptor, 1), 0);
    return descriptor;
}

static void makes_and_removes_a_private_socket(void **state)
{
    (void)state;
    struct listener listener;
    struct error error;
    struct stat status;
    assert_true(listener_open(&listener, path, NULL, &error));
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_true(exists(lock_path));
    listener_close(&listener);
    assert_false(exists(path));
    assert_false(exists(lock_path));
}

static void a_group_may_be_let_in(void **state)
{
    (void)state;
    struct listener listener;
    struct error error;
    struct stat status;
    gid_t group = getegid();
    assert_true(listener_open(&listener, path, &group, &error));
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    assert_int_equal(status.st_gid, group);
    listener_close(&listener);
}

static void a_live_one_is_left_alone(void **state)
{
    (void)state;
    struct listener first, second;
    struct error error;
    char expected[300];
    assert_true(listener_open(&first, path, NULL, &error));
    assert_false(listener_open(&second, path, NULL, &error));
    snprintf(expected, sizeof expected,
             "socket \"%s\" is in use by a running gaitd (pid %ld)", path,
             (long)getpid());
    assert_string_equal(error.text, expected);
    assert_int_equal(error.code, ERROR_CONFLICT);
    listener_close(&second);
    assert_true(exists(path));
    listener_close(&first);
}

static void a_stale_one_is_replaced(void **state)
{
    (void)state;
    struct listener listener;
    struct error error;
    close(bind_plain(true)); /* as a daemon that was killed leaves it */
    assert_true(exists(path));
    assert_true(listener_open(&listener, path, NULL, &error));
    listener_close(&listener);
    assert_false(exists(path));
}

static void another_programs_is_left_alone(void **state)
{
    (void)state;
    struct listener listener;
    struct error error;
    char expected[300];
    int other = bind_plain(true);
    snprintf(expected, sizeof expected,
             "socket \"%s\" is in use by another program", path);
    assert_false(listener_open(&listener, path, NULL, &error));
    assert_string_equal(error.text, expected);
    assert_true(exists(path));
    assert_false(exists(lock_path));
    close(other);
}

static void other_files_are_left_alone(void **state)
{
    (void)state;
    struct listener listener;
    struct error error;
    char expected[300];
    fclose(fopen(path, "w"));
    snprintf(expected, sizeof expected, "\"%s\" exists and is not a socket",
             path);
    assert_false(listener_open(&listener, path, NULL, &error));
    assert_string_equal(error.text, expected);
    assert_true(exists(path));
}

static void only_its_own_is_removed(void **state)
{
    (void)state;
    struct listener listener;
    struct error error;
    assert_true(listener_open(&listener, path, NULL, &error));
    unlink(path); /* somebody else took the name */
    int other = bind_plain(true);
    listener_close(&listener);
    assert_true(exists(path));
    close(other);
}

static void long_paths_are_refused(void **state)
{
    (void)state;
    struct listener listener;
    struct error error;
    char name[200];
    memset(name, 'a', sizeof name);
    name[0] = '/';
    name[108] = '\0';
    assert_false(listener_open(&listener, name, NULL, &error));
    listener_close(&listener);
}

static void a_lock_is_held_once(void **state)
{
    (void)state;
    struct lock first, second;
    struct error error;
    char expected[300];
    assert_true(lock_take(&first, lock_path, "state folder \"/x\"", &error));
    assert_false(lock_take(&second, lock_path, "state folder \"/x\"", &error));
    snprintf(expected, sizeof expected,
             "state folder \"/x\" is in use by a running gaitd (pid %ld)",
             (long)getpid());
    assert_string_equal(error.text, expected);
    lock_release(&second);
    assert_true(exists(lock_path));
    lock_release(&first);
    assert_false(exists(lock_path));
    assert_true(lock_take(&first, lock_path, "it", &error));
    lock_release(&first);
}

static void a_lock_tells_its_holder(void **state)
{
    (void)state;
    struct lock lock;
    struct error error;
    char host[256] = "", text[600], expected[300];
    assert_true(lock_take(&lock, lock_path, "it", &error));
    FILE *file = fopen(lock_path, "r");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    gethostname(host, sizeof host - 1);
    snprintf(expected, sizeof expected, "%ld\n%s\n", (long)getpid(), host);
    assert_memory_equal(text, expected, strlen(expected));
    assert_int_equal(strlen(text), strlen(expected) + 37); /* the boot id */
    lock_release(&lock);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(makes_and_removes_a_private_socket),
        TEST(a_group_may_be_let_in),
        TEST(a_live_one_is_left_alone),
        TEST(a_stale_one_is_replaced),
        TEST(another_programs_is_left_alone),
        TEST(other_files_are_left_alone),
        TEST(only_its_own_is_removed),
        TEST(long_paths_are_refused),
        TEST(a_lock_is_held_once),
        TEST(a_lock_tells_its_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
