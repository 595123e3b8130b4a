#include "worker/safetensors.h"

#include <cjson/cJSON.h>

#include "worker_fixture.h"

static const float weights[] = {1, 2, 3, 4, 5, 6};
static const double biases[] = {0.1, -0.2};
static const uint8_t labels[] = {7, 8, 9};
static const struct safetensor tensors[] = {
    {"w", "F32", 2, {2, 3}, weights, sizeof weights},
    {"b", "F64", 1, {2}, biases, sizeof biases},
    {"labels", "U8", 1, {3}, labels, sizeof labels},
    {"none", "U8", 2, {0, 784}, labels, 0},
};

/* Writes the tensors above; gives the file's bytes, the caller's. */
static uint8_t *write_sample(const char *path, size_t *size,
                             char hash[HASH_HEX_BYTES])
{
    struct error error = {0};
    int64_t file_bytes;
    cJSON *metadata = cJSON_CreateObject();
    cJSON_AddStringToObject(metadata, "format", "sample");
    cJSON_AddStringToObject(metadata, "rows", "{\"a\":1}\n\"\xc3\xa4\"");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!safetensors_write(fd, path, metadata, tensors, COUNT(tensors), hash,
                           &file_bytes, &error))
        fail_msg("%s", error.text);
    close(fd);
    cJSON_Delete(metadata);
    uint8_t *bytes = read_file(path, size);
    assert_int_equal(*size, file_bytes);
    return bytes;
}

static void comes_back(void **state)
{
    size_t size;
    struct error error = {0};
    struct safetensors file = {0};
    char hash[HASH_HEX_BYTES], found[HASH_HEX_BYTES];
    char *path = path_in(*state, "x.safetensors");
    uint8_t *bytes = write_sample(path, &size, hash);
    if (!safetensors_check(bytes, size, found, &error) ||
        !safetensors_init(&file, bytes, size, &error))
        fail_msg("%s", error.text);
    assert_string_equal(hash, found);
    assert_string_equal(safetensors_text(&file, "hash"), hash);
    assert_string_equal(safetensors_text(&file, "format"), "sample");
    assert_string_equal(safetensors_text(&file, "rows"),
                        "{\"a\":1}\n\"\xc3\xa4\"");
    assert_string_equal(safetensors_text(&file, "other"), "");
    assert_int_equal(file.count, COUNT(tensors));
    for (size_t i = 0; i < COUNT(tensors); i++) {
        const struct safetensor *there =
            safetensors_find(&file, tensors[i].name);
        assert_non_null(there);
        assert_string_equal(there->dtype, tensors[i].dtype);
        assert_int_equal(there->dimensions, tensors[i].dimensions);
        assert_memory_equal(there->shape, tensors[i].shape,
                            sizeof there->shape);
        assert_int_equal(there->bytes, tensors[i].bytes);
        assert_memory_equal(there->values, tensors[i].values, there->bytes);
    }
    const uint8_t *first = safetensors_find(&file, "w")->values;
    assert_int_equal((first - bytes) % 64, 0);
    assert_null(safetensors_find(&file, "x"));
    safetensors_release(&file);
    free(bytes);
    free(path);
}

static void every_flip_is_noticed(void **state)
{
    size_t size;
    char hash[HASH_HEX_BYTES];
    char *path = path_in(*state, "x.safetensors");
    uint8_t *bytes = write_sample(path, &size, hash);
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct safetensors file;
            struct error error = {0};
            bytes[i] ^= (uint8_t)(1 << bit);
            if (safetensors_init(&file, bytes, size, &error))
                safetensors_release(&file);
            assert_false(safetensors_check(bytes, size, hash, &error));
            assert_int_equal(error.code, ERROR_CORRUPT);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t cut = 0; cut < size; cut++) {
        struct safetensors file;
        struct error error = {0};
        uint8_t *copy = malloc(cut ? cut : 1); /* so that reads past it show */
        memcpy(copy, bytes, cut);
        assert_false(safetensors_check(copy, cut, hash, &error));
        assert_false(safetensors_init(&file, copy, cut, &error));
        assert_int_equal(error.code, ERROR_CORRUPT);
        free(copy);
    }
    free(bytes);
    free(path);
}

/* A file of this header and `count` bytes of data; the caller's. */
static uint8_t *assemble(const char *header, size_t count, size_t *size)
{
    size_t length = strlen(header);
    *size = 8 + length + count;
    uint8_t *bytes = calloc(1, *size);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(length >> 8 * i);
    memcpy(bytes + 8, header, length);
    return bytes;
}

static void refuses_other_headers(void **state)
{
#define ENTRY(dtype, shape, offsets)                                           \
    "\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape                          \
    ",\"data_offsets\":" offsets "}"
    static const char misplaced[] = "tensor \"a\" is not where the one before "
                                    "it ends, or not within the file";
    static const char shapeless[] =
        "tensor \"a\" has no shape of up to 4 sizes";
    static const struct {
        const char *header, *sentence;
    } cases[] = {
        {"{" ENTRY("I32", "[1]", "[0,4]") "}",
         "tensor \"a\" has dtype \"I32\", expected U8, F32 or F64"},
        {"{\"a\":3}", "tensor \"a\" has dtype \"\", expected U8, F32 or F64"},
        {"{" ENTRY("F32", "[1]", "[0,4]") "," ENTRY("F32", "[1]", "[0,4]") "}",
         "its header: member \"a\" twice"},
        {"{" ENTRY("F32", "1", "[0,4]") "}", shapeless},
        {"{" ENTRY("F32", "[1,1,1,1,1]", "[0,4]") "}", shapeless},
        {"{" ENTRY("F32", "[-1]", "[0,4]") "}", shapeless},
        {"{" ENTRY("F32", "[1.5]", "[0,4]") "}", shapeless},
        {"{" ENTRY("F32", "[\"1\"]", "[0,4]") "}", shapeless},
        {"{" ENTRY("F32", "[2]", "[0,4]") "}",
         "tensor \"a\" has 4 bytes, its shape says 8"},
        {"{" ENTRY("F32", "[9007199254740992,9007199254740992]", "[0,4]") "}",
         "tensor \"a\" has 4 bytes, its shape says -1"},
        {"{" ENTRY("F32", "[1]", "[0]") "}", misplaced},
        {"{" ENTRY("F32", "[1]", "[0,4,4]") "}", misplaced},
        {"{" ENTRY("F32", "[1]", "[4,0]") "}", misplaced},
        {"{" ENTRY("F32", "[1]", "[4,8]") "}", misplaced},
        {"{" ENTRY("F32", "[1]", "[0,1e15]") "}", misplaced},
        {"{" ENTRY("F32", "[1]", "[-4,0]") "}", misplaced},
        {"{" ENTRY("F32", "[1]", "null") "}", misplaced},
        {"{}", "4 bytes after the last tensor"},
        {"{\"__metadata__\":{\"x\":1}," ENTRY("F32", "[1]", "[0,4]") "}",
         "metadata \"x\" is not text"},
        {"{\"__metadata__\":[]," ENTRY("F32", "[1]", "[0,4]") "}",
         "\"__metadata__\" is not an object of texts"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t size;
        struct safetensors file;
        struct error error = {0};
        char hash[HASH_HEX_BYTES];
        uint8_t *bytes = assemble(cases[i].header, 4, &size);
        if (safetensors_init(&file, bytes, size, &error))
            fail_msg("accepted: %s", cases[i].header);
        assert_string_equal(error.text, cases[i].sentence);
        assert_int_equal(error.code, ERROR_CORRUPT);
        assert_null(file.header);
        assert_false(safetensors_check(bytes, size, hash, &error));
        free(bytes);
    }
}

static void refuses_gaps_and_overlaps(void **state)
{
    static const char *const headers[] = {
        "{" ENTRY("F32", "[1]", "[4,8]") "}",
        "{" ENTRY("F32", "[2]", "[0,8]") ",\"b\":{\"dtype\":\"F32\",\"shape\":"
                                         "[1],\"data_offsets\":[4,8]}}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(headers); i++) {
        size_t size;
        struct safetensors file;
        struct error error = {0};
        uint8_t *bytes = assemble(headers[i], 8, &size);
        assert_false(safetensors_init(&file, bytes, size, &error));
        assert_non_null(
            strstr(error.text, "is not where the one before it ends"));
        free(bytes);
    }
}

static void refuses_wrong_lengths(void **state)
{
    (void)state;
    static const uint8_t lengths[][8] = {
        {3, 0, 0, 0, 0, 0, 0, 0},
        {255, 255, 255, 255, 255, 255, 255, 255},
        {0, 0, 0, 0, 0, 0, 0, 128},
        {1, 0, 0, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        uint8_t bytes[10] = {0};
        struct safetensors file;
        struct error error = {0};
        memcpy(bytes, lengths[i], 8);
        memcpy(bytes + 8, "{}", 2);
        assert_false(safetensors_init(&file, bytes, sizeof bytes, &error));
        assert_int_equal(error.code, ERROR_CORRUPT);
    }
}

/* Files of others have other orders of members, and no hash. */
static void reads_files_of_others(void **state)
{
    (void)state;
    size_t size;
    struct safetensors file;
    struct error error = {0};
    uint8_t *bytes = assemble("{\"a\":{\"data_offsets\":[0,4],\"shape\":[],"
                              "\"dtype\":\"F32\"}}  ",
                              4, &size);
    if (!safetensors_init(&file, bytes, size, &error))
        fail_msg("%s", error.text);
    assert_int_equal(file.tensors[0].dimensions, 0);
    assert_string_equal(safetensors_text(&file, "x"), "");
    safetensors_release(&file);
    free(bytes);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(comes_back),
        TEST(every_flip_is_noticed),
        cmocka_unit_test(refuses_other_headers),
        cmocka_unit_test(refuses_gaps_and_overlaps),
        cmocka_unit_test(refuses_wrong_lengths),
        cmocka_unit_test(reads_files_of_others),
    };
    return cmocka_run_group_tests_name("worker_safetensors", tests, NULL, NULL);
}
