#include "worker/dataset.h"

#include "worker_fixture.h"

/* Of tests/golden/data: it is part of every key, and must never change. */
static const char digest[] = "3944e0969711895d99e76e1eb641e6a4";

static const char *const folders[] = {"tests/golden/data/stored",
                                      "tests/golden/data/deflated"};

static struct dataset_place place_in(const char *cache,
                                     const char *const *folder)
{
    return (struct dataset_place){"KMNIST", cache, folder ? 1 : 0, folder};
}

static void open_set(struct dataset *dataset, const char *cache,
                     const char *const *folder)
{
    struct error error = {0};
    struct dataset_place place = place_in(cache, folder);
    if (!dataset_open(dataset, &place, digest, &error))
        fail_msg("%s", error.text);
    assert_string_equal(dataset->shape.digest, digest);
}

static void prepares_and_maps(void **state)
{
    char *cache = path_in(*state, "made/cache");
    for (size_t f = 0; f < COUNT(folders); f++) {
        struct dataset dataset;
        struct error error = {0};
        struct import_file files[IMPORT_PARTS];
        struct dataset_place place = place_in(cache, &folders[f]);
        if (!dataset_prepare(&dataset, &place, files, &error))
            fail_msg("%s", error.text);
        assert_string_equal(dataset.shape.digest, digest);
        assert_int_equal(dataset.shape.train_rows, 12);
        assert_int_equal(dataset.shape.test_rows, 5);
        assert_int_equal(dataset.shape.width, 12);
        assert_int_equal(dataset.data.width, 12);
        assert_int_equal(dataset.data.train.rows, 12);
        assert_int_equal(dataset.data.test.rows, 5);
        for (int i = 0; i < 144; i++)
            assert_int_equal(dataset.data.train.pixels[i], 7 * i % 251);
        assert_int_equal(dataset.data.train.labels[11], 1);
        assert_memory_equal(dataset.data.test.labels, "\0\1\2\3\4", 5);
        assert_int_equal(
            strncmp(files[TEST_LABELS].path, folders[f], strlen(folders[f])),
            0);
        dataset_close(&dataset);
    }
    free(cache);
}

static void the_cache_is_enough(void **state)
{
    struct dataset dataset;
    open_set(&dataset, *state, &folders[0]);
    dataset_close(&dataset);
    open_set(&dataset, *state, NULL);
    assert_int_equal(dataset.data.train.pixels[1], 7);
    dataset_close(&dataset);
}

static void is_written_once(void **state)
{
    struct dataset dataset;
    struct stat before, after;
    open_set(&dataset, *state, &folders[0]);
    assert_int_equal(stat(dataset.file, &before), 0);
    dataset_close(&dataset);
    struct error error = {0};
    struct dataset_place place = place_in(*state, &folders[1]);
    assert_true(dataset_prepare(&dataset, &place, NULL, &error));
    assert_int_equal(stat(dataset.file, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    dataset_close(&dataset);
}

/* Whatever byte is turned, the right data come out: the cache is mended. */
static void mends_the_cache(void **state)
{
    struct dataset dataset;
    size_t size;
    open_set(&dataset, *state, &folders[0]);
    char *path = path_in("", dataset.file);
    dataset_close(&dataset);
    uint8_t *bytes = read_file(path, &size);
    for (size_t i = 0; i < size + 20; i++) {
        uint8_t *copy = malloc(size);
        memcpy(copy, bytes, size);
        copy[i % size] ^= 0xff;
        write_file(path, copy, i < size ? size : i - size);
        free(copy);
        open_set(&dataset, *state, &folders[0]);
        assert_int_equal(dataset.data.train.pixels[143], 7 * 143 % 251);
        dataset_close(&dataset);
    }
    free(bytes);
    free(path);
}

static void notices_other_data(void **state)
{
    struct dataset dataset;
    struct error error = {0};
    struct dataset_place place = place_in(*state, &folders[0]);
    assert_false(dataset_open(&dataset, &place,
                              "00000000000000000000000000000000", &error));
    assert_string_equal(
        error.text,
        "data set \"KMNIST\" has changed since the job was submitted");
    assert_int_equal(error.code, ERROR_CONFLICT);
    assert_false(dataset_open(&dataset, &place, "../../etc/passwd", &error));
    assert_string_equal(error.text, "\"../../etc/passwd\" is not a digest");
}

static void says_when_it_cannot_write(void **state)
{
    struct dataset dataset;
    struct error error = {0};
    char *file = path_in(*state, "file"), expected[200];
    write_file(file, "", 0);
    struct dataset_place place = place_in(file, &folders[0]);
    assert_false(dataset_prepare(&dataset, &place, NULL, &error));
    snprintf(expected, sizeof expected,
             "cannot make the folder \"%s\": File exists", file);
    assert_string_equal(error.text, expected);
    free(file);
}

static void shelves_keep_data_mapped(void **state)
{
    struct shelf *shelf = calloc(1, sizeof *shelf);
    struct error error = {0};
    struct dataset_place place = place_in(*state, &folders[0]);
    const struct dataset *first = shelf_get(shelf, &place, digest, &error);
    assert_non_null(first);
    assert_null(
        shelf_get(shelf, &place, "00000000000000000000000000000000", &error));
    empty_folder(*state);
    place.folder_count = 0;
    const struct dataset *again = shelf_get(shelf, &place, digest, &error);
    assert_ptr_equal(first, again);
    assert_int_equal(again->data.train.pixels[1], 7);
    shelf_release(shelf);
    assert_null(shelf_get(shelf, &place, digest, &error));
    free(shelf);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(prepares_and_maps),        TEST(the_cache_is_enough),
        TEST(is_written_once),          TEST(mends_the_cache),
        TEST(notices_other_data),       TEST(says_when_it_cannot_write),
        TEST(shelves_keep_data_mapped),
    };
    return cmocka_run_group_tests_name("worker_dataset", tests, NULL, NULL);
}
