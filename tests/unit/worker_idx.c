#include "worker/idx.h"

#include <zlib.h>

#include "worker_fixture.h"

/* Two images of 2 x 3. */
static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9};

static void write_gzip(const char *path, const void *bytes, size_t size)
{
    gzFile file = gzopen(path, "wb");
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
    assert_int_equal(gzclose(file), Z_OK);
}

static void reads_images(const char *path)
{
    struct array array;
    struct error error = {0};
    if (!idx_read(path, ARRAY_IMAGES, &array, &error))
        fail_msg("%s", error.text);
    assert_int_equal(array.rows, 2);
    assert_int_equal(array.width, 6);
    assert_memory_equal(array.values, images + 16, 12);
    array_release(&array);
}

static void reads_plain_and_packed(void **state)
{
    char *path = path_in(*state, "images");
    write_file(path, images, sizeof images);
    reads_images(path);
    write_gzip(path, images, sizeof images);
    reads_images(path);
    struct array array;
    struct error error = {0};
    write_gzip(path, labels, sizeof labels);
    assert_true(idx_read(path, ARRAY_LABELS, &array, &error));
    assert_int_equal(array.rows, 3);
    assert_int_equal(array.width, 1);
    assert_memory_equal(array.values, labels + 8, 3);
    array_release(&array);
    free(path);
}

static void refuses(const char *path, int dimensions, enum error_code code,
                    const char *sentence)
{
    struct array array;
    struct error error = {0};
    assert_false(idx_read(path, dimensions, &array, &error));
    assert_null(array.values);
    assert_says(&error, code, path, sentence);
}

static void refuses_what_is_not_exact(void **state)
{
    static const uint8_t huge[] = {0, 0, 8,   3,   0, 1, 0,   0,
                                   0, 0, 255, 255, 0, 0, 255, 255};
    static const uint8_t many[] = {0, 0, 8, 1, 255, 255, 255, 255};
    static const struct {
        const void *bytes;
        size_t size;
        int dimensions;
        enum error_code code;
        const char *sentence;
    } cases[] = {
        {images, sizeof images, ARRAY_LABELS, ERROR_CORRUPT,
         "magic number 0x00000803, expected 0x00000801 (labels)"},
        {labels, sizeof labels, ARRAY_IMAGES, ERROR_CORRUPT,
         "magic number 0x00000801, expected 0x00000803 (images)"},
        {images, 0, ARRAY_IMAGES, ERROR_CORRUPT, "is empty"},
        {images, 3, ARRAY_IMAGES, ERROR_CORRUPT,
         "holds 3 bytes, its header alone has 16"},
        {images, 15, ARRAY_IMAGES, ERROR_CORRUPT,
         "holds 15 bytes, its header alone has 16"},
        {images, 16, ARRAY_IMAGES, ERROR_CORRUPT,
         "holds 16 bytes, its header says 28"},
        {images, 27, ARRAY_IMAGES, ERROR_CORRUPT,
         "holds 27 bytes, its header says 28"},
        {huge, sizeof huge, ARRAY_IMAGES, ERROR_TOO_LARGE,
         "larger than 4 GiB of pixels, or than 1000000000 rows"},
        {many, sizeof many, ARRAY_LABELS, ERROR_TOO_LARGE,
         "larger than 4 GiB of pixels, or than 1000000000 rows"},
    };
    char *path = path_in(*state, "file");
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_file(path, cases[i].bytes, cases[i].size);
        refuses(path, cases[i].dimensions, cases[i].code, cases[i].sentence);
    }
    uint8_t longer[sizeof images + 1] = {0};
    memcpy(longer, images, sizeof images);
    write_file(path, longer, sizeof longer);
    refuses(path, ARRAY_IMAGES, ERROR_CORRUPT,
            "holds more than the 28 bytes its header says");
    free(path);
}

/* A header may promise 4 GiB in 16 bytes: memory follows what is there. */
static void does_not_believe_sizes(void **state)
{
    static const uint8_t liar[] = {0, 0, 8,   3, 0, 0, 255, 255, 0,
                                   0, 0, 255, 0, 0, 0, 255, 1};
    char *path = path_in(*state, "file");
    write_file(path, liar, sizeof liar);
    refuses(path, ARRAY_IMAGES, ERROR_CORRUPT,
            "holds 17 bytes, its header says 4261413391");
    free(path);
}

static void refuses_broken_gzip(void **state)
{
    char *path = path_in(*state, "file.gz");
    size_t size;
    write_gzip(path, images, sizeof images);
    uint8_t *bytes = read_file(path, &size);
    for (size_t cut = 12; cut < size; cut++) {
        write_file(path, bytes, cut);
        refuses(path, ARRAY_IMAGES, ERROR_CORRUPT,
                "broken gzip data: it ends early");
    }
    bytes[size - 6] ^= 1;
    write_file(path, bytes, size);
    refuses(path, ARRAY_IMAGES, ERROR_CORRUPT,
            "broken gzip data: incorrect data check");
    free(bytes);
    free(path);
}

static void says_what_the_system_says(void **state)
{
    struct array array;
    struct error error = {0};
    char expected[200], *path = path_in(*state, "none");
    assert_false(idx_read(path, ARRAY_IMAGES, &array, &error));
    snprintf(expected, sizeof expected,
             "cannot open \"%s\": No such file or directory", path);
    assert_string_equal(error.text, expected);
    assert_int_equal(error.code, ERROR_IO);
    assert_false(idx_read(*state, ARRAY_IMAGES, &array, &error));
    snprintf(expected, sizeof expected, "\"%s\": not a file", (char *)*state);
    assert_string_equal(error.text, expected);
    assert_int_equal(error.code, ERROR_CORRUPT);
    assert_false(idx_read("/proc/self/mem", ARRAY_IMAGES, &array, &error));
    assert_string_equal(error.text,
                        "cannot read \"/proc/self/mem\": Input/output error");
    assert_int_equal(error.code, ERROR_IO);
    free(path);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_plain_and_packed),    TEST(refuses_what_is_not_exact),
        TEST(does_not_believe_sizes),    TEST(refuses_broken_gzip),
        TEST(says_what_the_system_says),
    };
    return cmocka_run_group_tests_name("worker_idx", tests, NULL, NULL);
}
