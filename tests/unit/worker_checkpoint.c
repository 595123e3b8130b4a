#include "worker/checkpoint.h"

#include <cjson/cJSON.h>

#include "worker_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define OTHER_KEY "ffffffffffffffffffffffffffffffff"

/* A run of two tensors, and what a search says. */
struct run {
    float weight[6];
    double bias[2];
    struct tensor tensors[2];
    char warnings[2000];
};

static void make_run(struct run *run, float first)
{
    *run = (struct run){0};
    for (int i = 0; i < 6; i++)
        run->weight[i] = first + (float)i;
    run->bias[1] = (double)first / 3;
    run->tensors[0] = (struct tensor){
        "layers.0.weight", "F32", {2, 3}, run->weight, sizeof run->weight};
    run->tensors[1] = (struct tensor){
        "layers.0.bias", "F64", {2, 0}, run->bias, sizeof run->bias};
}

static void on_warning(void *user, const char *text)
{
    struct run *run = user;
    size_t used = strlen(run->warnings);
    snprintf(run->warnings + used, sizeof run->warnings - used, "%s\n", text);
}

static void on_damaged(void *user, const char *file, const char *text)
{
    assert_non_null(strstr(text, file));
    on_warning(user, text);
}

/* Saves a checkpoint at `step` with the rows of that step and the one before;
 * weights begin at `step`.  Gives the names of those that were dropped. */
static cJSON *save_and_tell(const char *folder, int64_t step, int64_t attempt)
{
    struct run run;
    struct error error = {0};
    struct checkpoint checkpoint = {
        .key = KEY,
        .attempt = attempt,
        .progress = {step, step, 0.1 + (double)step},
        .state_hash = "00112233445566778899aabbccddeeff",
        .committed_step = step - 2,
    };
    cJSON *removed = cJSON_CreateArray();
    make_run(&run, (float)step);
    rows_add(&checkpoint.rows, &(struct evaluation){.step = step - 1});
    rows_add(&checkpoint.rows, &(struct evaluation){.step = step});
    if (!checkpoint_save(&checkpoint, folder, run.tensors, 2, removed, &error))
        fail_msg("%s", error.text);
    checkpoint_release(&checkpoint);
    return removed;
}

static void save(const char *folder, int64_t step, int64_t attempt)
{
    cJSON_Delete(save_and_tell(folder, step, attempt));
}

static struct checkpoint_search search_for(const char *folder, const char *key,
                                           int64_t to_step, struct run *run)
{
    return (struct checkpoint_search){
        .folder = folder,
        .key = key,
        .to_step = to_step,
        .stored_step = INT64_MAX,
        .user = run,
        .warn = on_warning,
        .on_damaged = on_damaged,
    };
}

static bool find(struct checkpoint *found, struct run *run, const char *folder,
                 const char *key, int64_t to_step)
{
    struct checkpoint_search search = search_for(folder, key, to_step, run);
    make_run(run, -1);
    return checkpoint_find(found, &search, run->tensors, 2);
}

static void assert_found(const char *folder, int64_t to_step, int64_t step)
{
    struct run run, expected;
    struct checkpoint found;
    make_run(&expected, (float)step);
    assert_true(find(&found, &run, folder, KEY, to_step));
    assert_int_equal(found.progress.step, step);
    assert_memory_equal(run.weight, expected.weight, sizeof run.weight);
    assert_memory_equal(run.bias, expected.bias, sizeof run.bias);
    checkpoint_release(&found);
}

static bool has(const char *folder, const char *name)
{
    char *path = path_in(folder, name);
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return is_there;
}

static void comes_back(void **state)
{
    const char *folder = *state;
    struct run run;
    struct checkpoint found;
    struct stat status;
    save(folder, 100, 7);
    assert_true(find(&found, &run, folder, KEY, 100));
    assert_string_equal(run.warnings, "");
    assert_string_equal(found.file, "100-7.safetensors");
    assert_string_equal(found.key, KEY);
    assert_string_equal(found.state_hash, "00112233445566778899aabbccddeeff");
    assert_int_equal(found.attempt, 7);
    assert_int_equal(found.progress.step, 100);
    assert_int_equal(found.progress.evaluated_step, 100);
    double seconds = 100.1;
    assert_memory_equal(&found.progress.seconds, &seconds, sizeof seconds);
    assert_int_equal(found.rows.count, 2);
    assert_int_equal(found.rows.items[1].step, 100);
    assert_int_equal(strlen(found.hash), 32);
    char *path = path_in(folder, found.file);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, found.bytes);
    free(path);
    checkpoint_release(&found);
}

static void nothing_there(void **state)
{
    struct run run;
    struct checkpoint found;
    char *none = path_in(*state, "none");
    assert_false(find(&found, &run, *state, KEY, 100));
    assert_string_equal(run.warnings, "");
    assert_false(find(&found, &run, none, KEY, 100));
    assert_non_null(strstr(run.warnings, "cannot read the folder"));
    free(none);
}

static void keeps_the_newest(void **state)
{
    const char *folder = *state;
    save(folder, 9, 1);
    save(folder, 100, 1);
    save(folder, 99, 2); /* older, but just written */
    assert_true(has(folder, "99-2.safetensors"));
    assert_true(has(folder, "100-1.safetensors"));
    assert_false(has(folder, "9-1.safetensors"));
    cJSON *removed = save_and_tell(folder, 100, 3);
    assert_int_equal(cJSON_GetArraySize(removed), 1);
    assert_string_equal(removed->child->valuestring, "99-2.safetensors");
    cJSON_Delete(removed);
    save(folder, 50, 4);
    assert_true(has(folder, "100-3.safetensors"));
    assert_true(has(folder, "100-1.safetensors"));
    assert_true(has(folder, "50-4.safetensors"));
    assert_false(has(folder, "99-2.safetensors"));
    assert_found(folder, 1000, 100);
}

static void leaves_other_files_alone(void **state)
{
    const char *folder = *state;
    static const char *const names[] = {"lock", "7.safetensors",
                                        "007-1.safetensors", "-5-1.safetensors",
                                        "8-1.safetensors.damaged"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char *path = path_in(folder, names[i]);
        write_file(path, "x", 1);
        free(path);
    }
    char *unfinished = path_in(folder, "9-1.safetensors.tmp");
    write_file(unfinished, "x", 1);
    for (int step = 1; step < 5; step++)
        save(folder, step, 1);
    assert_found(folder, 4, 4);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_true(has(folder, names[i]));
    assert_false(has(folder, "9-1.safetensors.tmp"));
    free(unfinished);
}

/* Each byte of a checkpoint turned: noticed, put aside, the one before taken,
 * and not a value touched by the damaged one. */
static void every_flip_is_noticed(void **state)
{
    const char *folder = *state;
    size_t size;
    save(folder, 10, 1);
    save(folder, 20, 2);
    char *path = path_in(folder, "20-2.safetensors");
    char *aside = path_in(folder, "20-2.safetensors.damaged");
    uint8_t *bytes = read_file(path, &size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x40;
        write_file(path, bytes, size);
        assert_found(folder, 100, 10);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(rename(aside, path), 0);
        bytes[i] ^= 0x40;
    }
    for (size_t cut = 0; cut < size; cut += 7) {
        write_file(path, bytes, cut);
        assert_found(folder, 100, 10);
        assert_int_equal(rename(aside, path), 0);
    }
    write_file(path, bytes, size);
    assert_found(folder, 100, 20);
    free(bytes);
    free(path);
    free(aside);
}

static void says_what_it_passes_over(void **state)
{
    const char *folder = *state;
    struct run run;
    struct checkpoint found;
    char expected[2000];
    save(folder, 10, 1);
    assert_false(find(&found, &run, folder, OTHER_KEY, 10));
    snprintf(expected, sizeof expected,
             "checkpoint \"%s/10-1.safetensors\" is not used: it belongs to "
             "the run with key " KEY ", expected " OTHER_KEY "\n",
             folder);
    assert_string_equal(run.warnings, expected);
    char *path = path_in(folder, "10-1.safetensors");
    write_file(path, "nonsense", 8);
    free(path);
    assert_false(find(&found, &run, folder, KEY, 10));
    snprintf(expected, sizeof expected,
             "checkpoint \"%s/10-1.safetensors\" is damaged and renamed to "
             "*.damaged: it carries no hash\n",
             folder);
    assert_string_equal(run.warnings, expected);
}

static void refuses_other_tensors(void **state)
{
    const char *folder = *state;
    struct run run;
    struct checkpoint found;
    struct checkpoint_search search = search_for(folder, KEY, 10, &run);
    save(folder, 10, 1);
    make_run(&run, -1);
    run.tensors[0].shape[0] = 3;
    run.tensors[0].shape[1] = 2;
    assert_false(checkpoint_find(&found, &search, run.tensors, 2));
    assert_non_null(strstr(run.warnings, "no tensor \"layers.0.weight\" of the "
                                         "run's type and shape"));
    assert_true(run.weight[0] == -1);
    save(folder, 10, 1);
    make_run(&run, -1);
    assert_false(checkpoint_find(&found, &search, run.tensors, 1));
    assert_non_null(strstr(run.warnings, "2 tensors, expected 1"));
}

/* One that is ahead serves only if it carries the row that is asked for. */
static void looks_behind(void **state)
{
    const char *folder = *state;
    struct run run;
    struct checkpoint found;
    save(folder, 10, 1);
    save(folder, 20, 2);
    assert_found(folder, 20, 20);
    assert_found(folder, 19, 20); /* its rows are 19 and 20 */
    assert_found(folder, 18, 10);
    assert_found(folder, 9, 10);
    assert_false(find(&found, &run, folder, KEY, 8));
    assert_true(has(folder, "20-2.safetensors"));
}

/* Its rows begin behind what the database has: that would leave a gap. */
static void leaves_no_gap(void **state)
{
    const char *folder = *state;
    struct run run;
    struct checkpoint found;
    struct checkpoint_search search = search_for(folder, KEY, 100, &run);
    save(folder, 10, 1); /* carries 9 and 10 */
    save(folder, 20, 2); /* carries 19 and 20 */
    static const struct {
        int64_t stored, found; /* found 0: none */
    } cases[] = {{20, 20}, {18, 20}, {17, 10}, {8, 10}, {7, 0}, {-1, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        make_run(&run, -1);
        search.stored_step = cases[i].stored;
        bool is_found = checkpoint_find(&found, &search, run.tensors, 2);
        assert_int_equal(is_found ? found.progress.step : 0, cases[i].found);
        if (is_found)
            checkpoint_release(&found);
    }
    assert_non_null(strstr(run.warnings, "is not used: it carries the rows "
                                         "behind step 18, but gaitd has them "
                                         "only up to -1"));
    assert_true(has(folder, "20-2.safetensors"));
}

/* A whole file that is not the one gaitd was told of, or not of its name. */
static void knows_a_file_by_its_hash(void **state)
{
    const char *folder = *state;
    struct run run;
    struct checkpoint found;
    struct checkpoint_search search = search_for(folder, KEY, 100, &run);
    save(folder, 10, 1);
    save(folder, 20, 2);
    cJSON *hashes = cJSON_Parse("{\"20-2.safetensors\": \"abc\"}");
    search.hashes = hashes;
    make_run(&run, -1);
    assert_true(checkpoint_find(&found, &search, run.tensors, 2));
    assert_int_equal(found.progress.step, 10);
    assert_non_null(strstr(run.warnings, "gaitd knows abc"));
    assert_true(has(folder, "20-2.safetensors.damaged"));
    checkpoint_release(&found);
    cJSON_Delete(hashes);
    char *path = path_in(folder, "10-1.safetensors");
    char *moved = path_in(folder, "30-3.safetensors");
    assert_int_equal(rename(path, moved), 0);
    assert_false(find(&found, &run, folder, KEY, 100));
    assert_non_null(
        strstr(run.warnings, "it was written as \"10-1.safetensors\""));
    free(path);
    free(moved);
}

/* What cannot be read at all: a folder in a file's place. */
static void sets_the_unreadable_aside(void **state)
{
    const char *folder = *state;
    char *path = path_in(folder, "20-2.safetensors");
    save(folder, 10, 1);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_found(folder, 100, 10);
    assert_true(has(folder, "20-2.safetensors.damaged"));
    free(path);
}

static void leaves_nothing_on_failure(void **state)
{
    struct run run;
    struct error error = {0};
    struct checkpoint checkpoint = {.key = KEY, .progress = {5, 5, 0}};
    char *path = path_in(*state, "5-0.safetensors");
    char expected[200];
    make_run(&run, 5);
    assert_int_equal(mkdir(path, 0700), 0); /* so that renaming fails */
    cJSON *removed = cJSON_CreateArray();
    assert_false(
        checkpoint_save(&checkpoint, *state, run.tensors, 2, removed, &error));
    assert_int_equal(cJSON_GetArraySize(removed), 0);
    cJSON_Delete(removed);
    snprintf(expected, sizeof expected,
             "cannot rename \"%s.tmp\": Is a directory", path);
    assert_string_equal(error.text, expected);
    assert_false(has(*state, "5-0.safetensors.tmp"));
    free(path);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(comes_back),
        TEST(nothing_there),
        TEST(keeps_the_newest),
        TEST(leaves_other_files_alone),
        TEST(every_flip_is_noticed),
        TEST(says_what_it_passes_over),
        TEST(refuses_other_tensors),
        TEST(looks_behind),
        TEST(leaves_no_gap),
        TEST(knows_a_file_by_its_hash),
        TEST(sets_the_unreadable_aside),
        TEST(leaves_nothing_on_failure),
    };
    return cmocka_run_group_tests_name("worker_checkpoint", tests, NULL, NULL);
}
