#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config.h"

static char folder[64];

static int in_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/gaitd_config_XXXXXX");
    assert_non_null(mkdtemp(folder));
    setenv("HOME", folder, 1);
    unsetenv("XDG_STATE_HOME");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_DATA_HOME");
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("GAITD_SOCKET");
    return 0;
}

static int out_of_folder(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/c.json", folder);
    unlink(path);
    return rmdir(folder);
}

static const char *in(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *write_file(const char *text)
{
    const char *path = in("c.json");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

enum { WORDS_MAX = 16 };

/* Reads flags, the last of which is NULL. */
static bool read_flags(struct config *config, struct faults *faults,
                       const char *const flags[])
{
    char *argv[WORDS_MAX] = {(char *)"gaitd"};
    int argc = 1;
    for (; flags[argc - 1]; argc++)
        argv[argc] = (char *)flags[argc - 1];
    return config_init(config, argc, argv, faults);
}
#define READ(config, faults, ...)                                              \
    read_flags(config, faults, (const char *const[]){__VA_ARGS__, NULL})

static void assert_fault(const struct faults *faults, int index,
                         const char *where, const char *text)
{
    assert_true(index < faults->count);
    assert_string_equal(faults->fault[index].where, where);
    assert_string_equal(faults->fault[index].text, text);
}

static void defaults_follow_home(void **state)
{
    (void)state;
    struct config config;
    struct faults faults;
    assert_true(read_flags(&config, &faults, (const char *const[]){NULL}));
    assert_string_equal(config.state_dir, in(".local/state/gaitd"));
    assert_string_equal(config.run_dir, in(".local/state/gaitd/runs"));
    assert_string_equal(config.socket, in(".local/state/gaitd/gaitd.sock"));
    assert_string_equal(config.cache_dir, in(".cache/gaitd"));
    assert_string_equal(
        cJSON_GetArrayItem(config.dataset_folders, 0)->valuestring,
        in(".local/share/gaitd/datasets"));
    assert_int_equal(cJSON_GetArraySize(config.dataset_folders), 3);
    assert_int_equal(config.cpu_slots, -1);
    assert_int_equal(config.ready_fd, -1);
    assert_string_equal(config.log_level, "info");
    assert_true(config.idle_release == 60);
    config_release(&config);
}

/* As systemd and cron start it. */
static void without_a_home_flags_are_enough(void **state)
{
    (void)state;
    struct config config;
    struct faults faults;
    unsetenv("HOME");
    assert_true(READ(&config, &faults, "--state-dir", "/s", "--cache-dir", "/c",
                     "--socket", "/r/gaitd.sock"));
    assert_int_equal(cJSON_GetArraySize(config.dataset_folders), 2);
    assert_string_equal(
        cJSON_GetArrayItem(config.dataset_folders, 0)->valuestring,
        "/usr/local/share/datasets");
    config_release(&config);
    setenv("HOME", folder, 1);
}

static void flags_outweigh_the_file(void **state)
{
    (void)state;
    struct config config;
    struct faults faults;
    const char *path =
        write_file("// of the file\n"
                   "{\"cpu_slots\": 3, // here too\n"
                   " \"idle_release\": 5.5,\n"
                   " \"state_dir\": \"/s // not a comment\",\n"
                   " \"query_threads\": null,\n"
                   " \"datasets\": {\"MINE\": [\"/m\", \"n\"]}}");
    assert_true(READ(&config, &faults, "--config", path, "--cpu-slots=4",
                     "--log_level", "debug", "--dataset-folders", "/a:/b"));
    assert_int_equal(config.cpu_slots, 4);
    assert_true(config.idle_release == 5.5);
    assert_string_equal(config.state_dir, "/s // not a comment");
    assert_int_equal(config.query_threads, 4);
    assert_string_equal(config.log_level, "debug");
    assert_int_equal(cJSON_GetArraySize(config.dataset_folders), 2);
    assert_non_null(cJSON_GetObjectItem(config.datasets, "MINE"));
    assert_non_null(cJSON_GetObjectItem(config.datasets, "FMNIST"));
    config_release(&config);
}

static void relative_flags_become_absolute(void **state)
{
    (void)state;
    struct config config;
    struct faults faults;
    char here[PATH_BYTES], expected[PATH_BYTES + 16];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/some/where", here);
    assert_true(READ(&config, &faults, "--run-dir", "some/where"));
    assert_string_equal(config.run_dir, expected);
    config_release(&config);
}

static void the_environment_names_the_socket(void **state)
{
    (void)state;
    struct config config;
    struct faults faults;
    const char *path = write_file("{\"socket\": \"/from/file\"}");
    setenv("GAITD_SOCKET", "/from/environment", 1);
    assert_true(READ(&config, &faults, "--config", path));
    assert_string_equal(config.socket, "/from/environment");
    config_release(&config);
    assert_true(READ(&config, &faults, "--socket", "/from/flag"));
    assert_string_equal(config.socket, "/from/flag");
    config_release(&config);
    unsetenv("GAITD_SOCKET");
    assert_true(READ(&config, &faults, "--config", path));
    assert_string_equal(config.socket, "/from/file");
    config_release(&config);
}

static void all_faults_are_told(void **state)
{
    (void)state;
    struct config config;
    struct faults faults;
    const char *path = write_file(
        "{\"state_dri\": \"/s\", \"run_dir\": \"~/runs\", \"cpu_slots\": 1.5,"
        " \"config\": \"/x\", \"datasets\": {\"A\": []}, \"zzzzzzzzz\": 1}");
    assert_false(READ(&config, &faults, "--config", path, "--query-threads",
                      "two", "--log-level=loud", "--idle_relase", "3",
                      "--stop-grace-s=-1", "word", "--lease-s"));
    config_release(&config);
    assert_int_equal(faults.count, 12);
    int i = 0;
    assert_fault(&faults, i++, "--idle_relase",
                 "unknown option, did you mean \"--idle-release\"?");
    assert_fault(&faults, i++, "command line", "unexpected argument \"word\"");
    assert_fault(&faults, i++, "--lease-s", "expected a value");
    assert_fault(&faults, i++, "c.json.state_dri",
                 "unknown option, did you mean \"state_dir\"?");
    assert_fault(&faults, i++, "c.json.run_dir",
                 "\"~/runs\" is not an absolute path");
    assert_fault(&faults, i++, "c.json.cpu_slots", "1.5 is not a whole number");
    assert_fault(&faults, i++, "c.json.config",
                 "may only be given on the command line");
    assert_fault(&faults, i++, "c.json.datasets",
                 "[] is not a list of folders");
    assert_fault(&faults, i++, "c.json.zzzzzzzzz", "unknown option");
    assert_fault(&faults, i++, "--query-threads",
                 "\"two\" is not a whole number");
    assert_fault(&faults, i++, "--log-level",
                 "\"loud\" is not one of: error warning info debug");
    assert_fault(&faults, i++, "--stop-grace-s",
                 "-1 is not within 0.1 and 1000000");
}

static void bad_files_are_told(void **state)
{
    (void)state;
    struct config config;
    struct faults faults;
    char expected[256];
    assert_false(READ(&config, &faults, "--config", "/nowhere/c.json"));
    assert_fault(&faults, 0, "--config",
                 "cannot read \"/nowhere/c.json\": No such file or directory");
    config_release(&config);
    snprintf(expected, sizeof expected, "cannot read \"%s\": Is a directory",
             folder);
    assert_false(READ(&config, &faults, "--config", folder));
    assert_fault(&faults, 0, "--config", expected);
    config_release(&config);
    const char *path = write_file("// \"one\n{\"cpu_slots\": /* two */ 1, "
                                  "\"socket\": \"/\\\"//\"} trailing");
    snprintf(expected, sizeof expected,
             "\"%s\": not JSON: unexpected text at byte 55", path);
    assert_false(READ(&config, &faults, "--config", path));
    assert_int_equal(faults.count, 1);
    assert_fault(&faults, 0, "--config", expected);
    config_release(&config);
    assert_false(READ(&config, &faults, "--config",
                      write_file("{\"worker\": \"/w\","
                                 "\"worker\": \"/w\"}")));
    config_release(&config);
}

static void long_sockets_are_refused(void **state)
{
    (void)state;
    struct config config;
    struct faults faults;
    char path[120];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[108] = '\0';
    assert_false(READ(&config, &faults, "--socket", path));
    assert_string_equal(faults.fault[0].where, "socket");
    config_release(&config);
    path[107] = '\0';
    assert_true(READ(&config, &faults, "--socket", path));
    config_release(&config);
}

/* The annotated file lists every option but "config", with the defaults. */
static void the_shipped_file_has_the_defaults(void **state)
{
    (void)state;
    struct config plain, shipped;
    struct faults faults;
    assert_true(read_flags(&plain, &faults, (const char *const[]){NULL}));
    assert_true(READ(&shipped, &faults, "--config", "configs/gaitd.json"));
    memset(shipped.config, 0, sizeof shipped.config);
    assert_true(cJSON_Compare(plain.datasets, shipped.datasets, true));
    assert_true(
        cJSON_Compare(plain.dataset_folders, shipped.dataset_folders, true));
    config_release(&plain);
    config_release(&shipped);
    assert_memory_equal(&plain, &shipped, sizeof plain);

    char text[8192];
    FILE *file = fopen("configs/gaitd.json", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
#define ASSERT_LISTED(name, type, initial, least, most, words, help)           \
    if (strcmp(#name, "config") != 0)                                          \
        assert_non_null(strstr(text, "\n    \"" #name "\": "));
    OPTIONS(ASSERT_LISTED)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_follow_home),
        cmocka_unit_test(without_a_home_flags_are_enough),
        cmocka_unit_test(flags_outweigh_the_file),
        cmocka_unit_test(relative_flags_become_absolute),
        cmocka_unit_test(the_environment_names_the_socket),
        cmocka_unit_test(all_faults_are_told),
        cmocka_unit_test(bad_files_are_told),
        cmocka_unit_test(long_sockets_are_refused),
        cmocka_unit_test(the_shipped_file_has_the_defaults),
    };
    return cmocka_run_group_tests(tests, in_folder, out_of_folder);
}
