#include "worker/import.h"

#include "worker_fixture.h"

enum { SIDE = 2, TRAIN_ROWS = 3, TEST_ROWS = 2 };

/* IDX images of `side` x `side` pixels, or labels (side 0). */
static void write_idx(const char *folder, const char *name, int rows, int side,
                      int first)
{
    uint8_t bytes[200] = {0, 0, 8, side ? 3 : 1, 0, 0, 0, (uint8_t)rows};
    size_t header = side ? 16 : 8,
           count = (size_t)(side ? rows * side * side : rows);
    if (side)
        bytes[11] = bytes[15] = (uint8_t)side;
    for (size_t i = 0; i < count; i++)
        bytes[header + i] = (uint8_t)(first + (int)i);
    char *path = path_in(folder, name);
    write_file(path, bytes, header + count);
    free(path);
}

static void write_set(const char *folder)
{
    write_idx(folder, "train-images-idx3-ubyte", TRAIN_ROWS, SIDE, 50);
    write_idx(folder, "train-labels-idx1-ubyte", TRAIN_ROWS, 0, 7);
    write_idx(folder, "t10k-images-idx3-ubyte", TEST_ROWS, SIDE, 90);
    write_idx(folder, "t10k-labels-idx1-ubyte", TEST_ROWS, 0, 0);
}

static bool read_set(struct import *import, const char *name,
                     const char *const *folders, int count, struct error *error)
{
    struct dataset_place place = {name, "unused", count, folders};
    return import_read(import, &place, error);
}

static void assert_refused(const char *folder, const char *name,
                           enum error_code code, const char *format)
{
    struct import import;
    struct error error = {0};
    char expected[sizeof error.text] = "";
    assert_false(read_set(&import, name, &folder, 1, &error));
    import_release(&import);
    for (const char *c = format; *c; c++) { /* @ stands for the folder */
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used,
                 *c == '@' ? "%s" : "%.1s", *c == '@' ? folder : c);
    }
    assert_string_equal(error.text, expected);
    assert_int_equal(error.code, code);
}

static void assert_read(const char *name, const char *const *folders, int count)
{
    struct import import;
    struct error error = {0};
    if (!read_set(&import, name, folders, count, &error))
        fail_msg("%s", error.text);
    assert_int_equal(import.parts[TRAIN_IMAGES].rows, TRAIN_ROWS);
    assert_int_equal(import.parts[TEST_IMAGES].rows, TEST_ROWS);
    assert_int_equal(import.parts[TRAIN_IMAGES].values[0], 50);
    assert_int_equal(import.parts[TEST_IMAGES].values[0], 90);
    assert_int_equal(import.parts[TRAIN_LABELS].values[2], 9);
    import_release(&import);
}

static void tries_folders_in_order(void **state)
{
    char *first = path_in(*state, "first"), *second = path_in(*state, "second");
    const char *folders[] = {"/nowhere", first, second};
    struct import import;
    struct error error = {0};
    struct stat status;
    mkdir(first, 0700);
    mkdir(second, 0700);
    write_set(second);
    assert_read("anything", folders, 3);
    write_set(first);
    assert_true(read_set(&import, "MNIST", folders, 3, &error));
    char *expected = path_in(first, "t10k-labels-idx1-ubyte");
    assert_string_equal(import.files[TEST_LABELS].path, expected);
    assert_int_equal(stat(expected, &status), 0);
    assert_int_equal(import.files[TEST_LABELS].bytes, status.st_size);
    assert_true(import.files[TEST_LABELS].modified > 1e9);
    import_release(&import);
    free(expected);
    free(first);
    free(second);
}

static void knows_other_spellings(void **state)
{
    const char *folder = *state;
    write_idx(folder, "train-images.idx3-ubyte", TRAIN_ROWS, SIDE, 50);
    write_idx(folder, "train-labels-idx1-ubyte.gz", TRAIN_ROWS, 0, 7);
    write_idx(folder, "t10k-images.idx3-ubyte.gz", TEST_ROWS, SIDE, 90);
    write_idx(folder, "t10k-labels.idx1-ubyte", TEST_ROWS, 0, 0);
    assert_read("MNIST", &folder, 1);
}

static void reads_npz_by_the_lower_case_name(void **state)
{
    static const char *const folders[] = {"tests/golden/data/stored",
                                          "tests/golden/data/deflated"};
    (void)state;
    struct import one = {0}, other = {0};
    struct error error = {0};
    if (!read_set(&one, "KMNIST", &folders[0], 1, &error) ||
        !read_set(&other, "kmnist", &folders[1], 1, &error))
        fail_msg("%s", error.text);
    for (int part = 0; part < IMPORT_PARTS; part++) {
        int64_t bytes = array_bytes(&one.parts[part]);
        assert_int_equal(bytes, array_bytes(&other.parts[part]));
        assert_memory_equal(one.parts[part].values, other.parts[part].values,
                            (size_t)bytes);
    }
    import_release(&one);
    import_release(&other);
}

static void says_what_it_looked_for(void **state)
{
    static const char *const folders[] = {"/a", "/b"};
    static const struct {
        const char *name, *advice;
    } sets[] = {
        {"MNIST",
         "; get it from https://ossci-datasets.s3.amazonaws.com/mnist, "
         "and put its four files there"},
        {"FMNIST", "; get it from Debian's package dataset-fashion-mnist"},
        {"KMNIST", "; get it from http://codh.rois.ac.jp/kmnist, and put its "
                   "four files there"},
        {"Mine", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(sets); i++) {
        struct import import;
        struct error error = {0};
        char lower[10] = "", expected[sizeof error.text];
        for (size_t c = 0; sets[i].name[c]; c++)
            lower[c] = (char)(sets[i].name[c] | 32);
        assert_false(read_set(&import, sets[i].name, folders, 2, &error));
        snprintf(expected, sizeof expected,
                 "data set \"%s\" not found: looked for "
                 "train-images-idx3-ubyte(.gz) or %s-train-imgs.npz in \"/a\", "
                 "\"/b\"%s",
                 sets[i].name, lower, sets[i].advice);
        assert_string_equal(error.text, expected);
        assert_int_equal(error.code, ERROR_NOT_FOUND);
        import_release(&import);
    }
}

static void refuses_names_that_lead_elsewhere(void **state)
{
    static const char *const names[] = {"",    ".",   "..",      "../x",
                                        "a/b", "a b", "\xc3\xa4"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct import import;
        struct error error = {0};
        const char *folder = *state;
        assert_false(read_set(&import, names[i], &folder, 1, &error));
        assert_int_equal(error.code, ERROR_PARAMS);
        import_release(&import);
    }
}

static void refuses_what_does_not_fit(void **state)
{
    const char *folder = *state;
    write_set(folder);
    write_idx(folder, "train-labels-idx1-ubyte", TRAIN_ROWS - 1, 0, 0);
    assert_refused(folder, "X", ERROR_CORRUPT,
                   "\"@/train-labels-idx1-ubyte\": 2 labels for 3 images");
    write_idx(folder, "train-labels-idx1-ubyte", TRAIN_ROWS, 0, 8);
    assert_refused(folder, "X", ERROR_CORRUPT,
                   "\"@/train-labels-idx1-ubyte\": label 10 at row 2; expected "
                   "0 to 9");
    write_set(folder);
    write_idx(folder, "t10k-images-idx3-ubyte", TEST_ROWS, SIDE + 1, 0);
    assert_refused(folder, "X", ERROR_CORRUPT,
                   "\"@/t10k-images-idx3-ubyte\": images of 9 pixels, but 4 in "
                   "\"@/train-images-idx3-ubyte\"");
    write_idx(folder, "t10k-images-idx3-ubyte", 0, SIDE, 0);
    assert_refused(folder, "X", ERROR_CORRUPT,
                   "\"@/t10k-images-idx3-ubyte\": holds no images");
    write_set(folder);
    static const uint8_t flat[] = {0, 0, 8, 3, 0, 0, 0, 3,
                                   0, 0, 0, 0, 0, 0, 0, 2};
    char *path = path_in(folder, "train-images-idx3-ubyte");
    write_file(path, flat, sizeof flat);
    assert_refused(folder, "X", ERROR_CORRUPT,
                   "\"@/train-images-idx3-ubyte\": its images have no pixels");
    write_set(folder);
    free(path);
    path = path_in(folder, "t10k-images-idx3-ubyte");
    unlink(path);
    assert_refused(
        folder, "X", ERROR_NOT_FOUND,
        "data set \"X\": \"@/train-images-idx3-ubyte\" is there, but "
        "not t10k-images-idx3-ubyte(.gz) beside it");
    free(path);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tries_folders_in_order),
        TEST(knows_other_spellings),
        cmocka_unit_test(reads_npz_by_the_lower_case_name),
        cmocka_unit_test(says_what_it_looked_for),
        TEST(refuses_names_that_lead_elsewhere),
        TEST(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests_name("worker_import", tests, NULL, NULL);
}
