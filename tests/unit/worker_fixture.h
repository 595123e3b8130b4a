/* worker_fixture.h: a folder for each test, files in it, and sentences. */
#ifndef TESTS_WORKER_FIXTURE_H
#define TESTS_WORKER_FIXTURE_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h> /* needs those before it */
// clang-format on

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/error.h"
#include "schema/memory.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A setup and a teardown: *state is the folder's name. */
static inline int make_folder(void **state)
{
    char name[] = "/tmp/gaitd-unit-XXXXXX";
    if (!mkdtemp(name))
        return -1;
    *state = strdup(name);
    return 0;
}

static inline void empty_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    struct dirent *item;
    while (directory && (item = readdir(directory))) {
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
            continue;
        char *path = xprintf("%s/%s", folder, item->d_name);
        if (unlink(path) != 0 && rmdir(path) != 0) {
            empty_folder(path);
            rmdir(path);
        }
        free(path);
    }
    if (directory)
        closedir(directory);
}

static inline int remove_folder(void **state)
{
    empty_folder(*state);
    int code = rmdir(*state);
    free(*state);
    return code;
}

/* The caller's. */
static inline char *path_in(const char *folder, const char *name)
{
    return xprintf("%s/%s", folder, name);
}

static inline void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        fail_msg("cannot write %s", path);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* The whole file, the caller's. */
static inline uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot read %s", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size + 1);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

/* Expects an error whose sentence is "<format with the path>". */
static inline void assert_says(const struct error *error, enum error_code code,
                               const char *path, const char *sentence)
{
    char expected[sizeof error->text];
    snprintf(expected, sizeof expected, "\"%s\": %s", path, sentence);
    assert_string_equal(error->text, expected);
    assert_int_equal(error->code, code);
}

#endif
