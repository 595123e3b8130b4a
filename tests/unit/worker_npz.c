#include "worker/npz.h"

#include <zlib.h>

#include "worker_fixture.h"

#define DATA "tests/golden/data/"

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value & 65535);
    put16(to + 2, value >> 16);
}

/* A .npy file: a header of our choice, then `count` bytes 0, 1, 2, ... */
static size_t make_npy(uint8_t *to, const char *header, size_t count)
{
    size_t length = strlen(header);
    memcpy(to, "\x93NUMPY\1\0", 8);
    put16(to + 8, (unsigned)length);
    memcpy(to + 10, header, length);
    for (size_t i = 0; i < count; i++)
        to[10 + length + i] = (uint8_t)i;
    return 10 + length + count;
}

struct zip {
    uint8_t bytes[4096];
    size_t size, directory, end;
};

/* A zip file with one stored member. */
static void make_zip(struct zip *zip, const char *name, const uint8_t *member,
                     size_t size)
{
    uint8_t *at = zip->bytes;
    unsigned length = (unsigned)strlen(name);
    memset(zip, 0, sizeof *zip);
    memcpy(at, "PK\3\4", 4);
    put16(at + 26, length);
    memcpy(at + 30, name, length);
    memcpy(at + 30 + length, member, size);
    zip->directory = 30 + length + size;
    at += zip->directory;
    memcpy(at, "PK\1\2", 4);
    put32(at + 16, (uint32_t)crc32_z(0, member, size));
    put32(at + 20, (uint32_t)size);
    put32(at + 24, (uint32_t)size);
    put16(at + 28, length);
    memcpy(at + 46, name, length);
    zip->end = zip->directory + 46 + length;
    at = zip->bytes + zip->end;
    memcpy(at, "PK\5\6", 4);
    put16(at + 10, 1);
    put32(at + 12, 46 + length);
    put32(at + 16, (uint32_t)zip->directory);
    zip->size = zip->end + 22;
}

static void make_array(struct zip *zip, const char *header, size_t count)
{
    uint8_t npy[2048];
    make_zip(zip, "arr_0.npy", npy, make_npy(npy, header, count));
}

static void refuses(const char *path, const struct zip *zip, int dimensions,
                    const char *sentence)
{
    struct array array;
    struct error error = {0};
    write_file(path, zip->bytes, zip->size);
    assert_false(npz_read(path, dimensions, &array, &error));
    assert_null(array.values);
    assert_says(&error, error.code, path, sentence);
    assert_true(error.code == ERROR_CORRUPT || error.code == ERROR_TOO_LARGE);
}

static void reads_what_numpy_writes(void **state)
{
    static const char *const folders[] = {DATA "stored/", DATA "deflated/"};
    (void)state;
    for (size_t f = 0; f < COUNT(folders); f++) {
        char path[100];
        struct array array;
        struct error error = {0};
        snprintf(path, sizeof path, "%skmnist-train-imgs.npz", folders[f]);
        if (!npz_read(path, ARRAY_IMAGES, &array, &error))
            fail_msg("%s", error.text);
        assert_int_equal(array.rows, 12);
        assert_int_equal(array.width, 12);
        for (int i = 0; i < 144; i++)
            assert_int_equal(array.values[i], 7 * i % 251);
        array_release(&array);
        snprintf(path, sizeof path, "%skmnist-test-labels.npz", folders[f]);
        if (!npz_read(path, ARRAY_LABELS, &array, &error))
            fail_msg("%s", error.text);
        assert_int_equal(array.rows, 5);
        assert_memory_equal(array.values, "\0\1\2\3\4", 5);
        array_release(&array);
    }
}

static void reads_other_headers(void **state)
{
    static const char *const headers[] = {
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 3), }   \n",
        "{'shape':(2,2,3),'fortran_order':False,'descr':'u1'}",
    };
    char *path = path_in(*state, "x.npz");
    for (size_t i = 0; i < COUNT(headers); i++) {
        struct zip zip;
        struct array array;
        struct error error = {0};
        make_array(&zip, headers[i], 12);
        write_file(path, zip.bytes, zip.size);
        if (!npz_read(path, ARRAY_IMAGES, &array, &error))
            fail_msg("%s", error.text);
        assert_int_equal(array.rows, 2);
        assert_int_equal(array.width, 6);
        assert_int_equal(array.values[11], 11);
        array_release(&array);
    }
    free(path);
}

static void refuses_other_arrays(void **state)
{
#define HEADER(type, order, shape)                                             \
    "{'descr': '" type "', 'fortran_order': " order ", 'shape': " shape ", "   \
    "}\n"
    static const char strange[] =
        "the header of \"arr_0.npy\" is not understood";
    static const char large[] =
        "larger than 4 GiB of pixels, or than 1000000000 rows";
    static const struct {
        const char *header;
        int dimensions;
        const char *sentence;
    } cases[] = {
        {HEADER("<f4", "False", "(3, 2, 2)"), ARRAY_IMAGES,
         "values of type \"<f4\", expected \"|u1\" (bytes)"},
        {HEADER("|i1", "False", "(3, 2, 2)"), ARRAY_IMAGES,
         "values of type \"|i1\", expected \"|u1\" (bytes)"},
        {HEADER("|u1", "True", "(3, 2, 2)"), ARRAY_IMAGES,
         "stored in Fortran order, expected C order"},
        {HEADER("|u1", "False", "(3, 4)"), ARRAY_IMAGES,
         "shape (3, 4), expected (rows, height, width)"},
        {HEADER("|u1", "False", "(12,)"), ARRAY_IMAGES,
         "shape (12,), expected (rows, height, width)"},
        {HEADER("|u1", "False", "()"), ARRAY_LABELS,
         "shape (), expected (rows,)"},
        {HEADER("|u1", "False", "(3, 2, 2)"), ARRAY_LABELS,
         "shape (3, 2, 2), expected (rows,)"},
        {HEADER("|u1", "False", "(3, 2, 3)"), ARRAY_IMAGES,
         "holds 12 values, its shape says 18"},
        {HEADER("|u1", "False", "(2, 2, 2)"), ARRAY_IMAGES,
         "holds 12 values, its shape says 8"},
        {HEADER("|u1", "False", "(65536, 65536, 65536)"), ARRAY_IMAGES, large},
        {HEADER("|u1", "False", "(2000000000,)"), ARRAY_LABELS, large},
        {HEADER("|u1", "False", "(99999999999999999999,)"), ARRAY_LABELS,
         strange},
        {HEADER("|u1", "False", "(-1,)"), ARRAY_LABELS, strange},
        {HEADER("|u1", "None", "(12,)"), ARRAY_LABELS, strange},
        {HEADER("|u1", "False", "(12,"), ARRAY_LABELS, strange},
        {"{'descr': '|u1', 'shape': (12,)} x", ARRAY_LABELS, strange},
        {"{'descr': [('a', '|u1')], 'shape': (12,)}", ARRAY_LABELS, strange},
        {"{'descr': '|u1'}", ARRAY_LABELS, strange},
        {"{'descr", ARRAY_LABELS, strange},
        {"", ARRAY_LABELS, strange},
    };
    char *path = path_in(*state, "x.npz");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct zip zip;
        make_array(&zip, cases[i].header, 12);
        refuses(path, &zip, cases[i].dimensions, cases[i].sentence);
    }
    free(path);
}

static void refuses_other_archives(void **state)
{
    static const char good[] = HEADER("|u1", "False", "(12,)");
    static const uint8_t text[] = "no array, but some text";
    char *path = path_in(*state, "x.npz");
    struct zip zip, whole;
    make_zip(&zip, "images.npy", text, sizeof text);
    refuses(path, &zip, ARRAY_LABELS, "has no member \"arr_0.npy\"");
    make_zip(&zip, "arr_0.npy", text, sizeof text);
    refuses(path, &zip, ARRAY_LABELS, "\"arr_0.npy\" is not a NumPy array");
    make_array(&whole, good, 12);
    zip = whole;
    zip.size -= 1;
    refuses(path, &zip, ARRAY_LABELS, "truncated, or not a zip file");
    zip = whole;
    zip.bytes[zip.directory + 8] = 1;
    refuses(path, &zip, ARRAY_LABELS, "\"arr_0.npy\" is encrypted");
    zip = whole;
    zip.bytes[zip.directory + 10] = 12;
    refuses(path, &zip, ARRAY_LABELS,
            "\"arr_0.npy\" is packed by method 12, expected 0 (stored) or 8 "
            "(deflated)");
    zip = whole;
    zip.bytes[zip.directory - 1] ^= 1;
    refuses(path, &zip, ARRAY_LABELS,
            "broken zip file: wrong checksum of \"arr_0.npy\"");
    zip = whole;
    put32(zip.bytes + zip.directory + 20, 100000);
    put32(zip.bytes + zip.directory + 24, 100000);
    refuses(path, &zip, ARRAY_LABELS,
            "truncated zip file: \"arr_0.npy\" ends after it");
    zip = whole;
    put32(zip.bytes + zip.directory + 24, UINT32_MAX);
    refuses(path, &zip, ARRAY_LABELS, "larger than 4 GiB");
    zip = whole;
    put32(zip.bytes + zip.end + 16, 100000);
    refuses(path, &zip, ARRAY_LABELS, "broken zip file: no directory");
    zip = whole;
    zip.bytes[zip.directory] = 'Q';
    refuses(path, &zip, ARRAY_LABELS, "broken zip file: damaged directory");
    zip = whole;
    zip.bytes[0] = 'Q';
    refuses(path, &zip, ARRAY_LABELS,
            "broken zip file: no header of \"arr_0.npy\"");
    free(path);
}

/* Any byte may be anything: an answer, and no read outside the file. */
static void survives_every_flip(void **state)
{
    static const char *const files[] = {DATA "stored/kmnist-test-imgs.npz",
                                        DATA "deflated/kmnist-test-imgs.npz"};
    char *path = path_in(*state, "x.npz");
    for (size_t f = 0; f < COUNT(files); f++) {
        size_t size;
        uint8_t *bytes = read_file(files[f], &size);
        for (size_t i = 0; i < 2 * size; i++) {
            struct array array;
            struct error error = {0};
            bytes[i / 2] ^= i & 1 ? 0xff : 0x01;
            write_file(path, bytes, size);
            if (npz_read(path, ARRAY_IMAGES, &array, &error))
                assert_int_equal(array.rows * array.width, 60);
            else
                assert_int_not_equal(error.code, ERROR_NONE);
            array_release(&array);
            bytes[i / 2] ^= i & 1 ? 0xff : 0x01;
        }
        for (size_t cut = 0; cut < size; cut++) {
            struct array array;
            struct error error = {0};
            write_file(path, bytes, cut);
            assert_false(npz_read(path, ARRAY_IMAGES, &array, &error));
            assert_int_equal(error.code, ERROR_CORRUPT);
        }
        free(bytes);
    }
    free(path);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_what_numpy_writes), TEST(reads_other_headers),
        TEST(refuses_other_arrays),    TEST(refuses_other_archives),
        TEST(survives_every_flip),
    };
    return cmocka_run_group_tests_name("worker_npz", tests, NULL, NULL);
}
