#include "schema_fixture.h"

#include "schema/paths.h"

static int clear(void **state)
{
    (void)state;
    static const char *const names[] = {
        "XDG_STATE_HOME", "XDG_CACHE_HOME",  "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",  "XDG_RUNTIME_DIR", "GAITD_SOCKET",
    };
    for (size_t i = 0; i < COUNT(names); i++)
        unsetenv(names[i]);
    return setenv("HOME", "/home/ada", 1);
}

static void follow_xdg(void **state)
{
    (void)state;
    static const struct {
        bool (*find)(char path[PATH_BYTES], struct error *error);
        const char *variable, *fallback;
    } cases[] = {
        {path_state, "XDG_STATE_HOME", "/home/ada/.local/state/gaitd"},
        {path_cache, "XDG_CACHE_HOME", "/home/ada/.cache/gaitd"},
        {path_config, "XDG_CONFIG_HOME", "/home/ada/.config/gaitd"},
        {path_data, "XDG_DATA_HOME", "/home/ada/.local/share/gaitd"},
    };
    char path[PATH_BYTES];
    struct error error = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(cases[i].find(path, &error));
        assert_string_equal(path, cases[i].fallback);
        setenv(cases[i].variable, "relative", 1); /* ignored, as XDG has it */
        assert_true(cases[i].find(path, &error));
        assert_string_equal(path, cases[i].fallback);
        setenv(cases[i].variable, "/scratch/", 1);
        assert_true(cases[i].find(path, &error));
        assert_string_equal(path, "/scratch/gaitd");
    }
}

static void say_what_is_not_set(void **state)
{
    (void)state;
    unsetenv("HOME");
    char path[PATH_BYTES];
    struct error error = {0};
    assert_false(path_state(path, &error));
    assert_string_equal(error.text, "neither \"XDG_STATE_HOME\" nor \"HOME\" "
                                    "is set to an absolute path");
}

static void assert_socket(const char *state_dir, const char *expected)
{
    char path[PATH_BYTES];
    struct error error = {0};
    if (!path_socket(state_dir, path, &error))
        fail_msg("%s", error.text);
    assert_string_equal(path, expected);
}

static void find_the_socket(void **state)
{
    (void)state;
    assert_socket(NULL, "/home/ada/.local/state/gaitd/gaitd.sock");
    assert_socket("/data/g", "/data/g/gaitd.sock");
    setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
    assert_socket("/data/g", "/run/user/1000/gaitd.sock");
    setenv("GAITD_SOCKET", "here.sock", 1);
    assert_socket("/data/g", "here.sock");
}

static void refuse_long_sockets(void **state)
{
    (void)state;
    char path[200], found[PATH_BYTES];
    struct error error = {0};
    memset(path, 'x', sizeof path);
    path[107] = '\0';
    assert_true(path_socket_check(path, &error));
    path[107] = 'x';
    path[108] = '\0';
    assert_false(path_socket_check(path, &error));
    assert_int_equal(error.code, ERROR_IO);
    char expected[400];
    snprintf(expected, sizeof expected,
             "the socket's path has 108 bytes, at most 107 are possible: set "
             "GAITD_SOCKET to a shorter one than \"%s\"",
             path);
    assert_string_equal(error.text, expected);
    setenv("GAITD_SOCKET", path, 1);
    assert_false(path_socket(NULL, found, &error));
    assert_false(path_socket_check("", &error));
}

static void join_within_bounds(void **state)
{
    (void)state;
    char folder[PATH_BYTES], path[PATH_BYTES];
    struct error error = {0};
    memset(folder, 'x', sizeof folder);
    folder[PATH_BYTES - 3] = '\0';
    assert_true(path_join(path, folder, "y", &error));
    assert_int_equal(strlen(path), PATH_BYTES - 1);
    assert_false(path_join(path, folder, "yy", &error));
    assert_true(path_join(path, "/", "y", &error));
    assert_string_equal(path, "/y");
    assert_true(path_join(path, path, "z", &error));
    assert_string_equal(path, "/y/z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(follow_xdg, clear),
        cmocka_unit_test_setup(say_what_is_not_set, clear),
        cmocka_unit_test_setup(find_the_socket, clear),
        cmocka_unit_test_setup(refuse_long_sockets, clear),
        cmocka_unit_test(join_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
