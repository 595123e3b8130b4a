/* Where jobs can run, and why nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <string.h>

#include "daemon/choice.h"
#include "daemon/place.h"

static const struct place places[] = {
    {.device = "cuda:0", .device_class = "a", .slots = 1, .bytes = 1000},
    {.device = "cuda:3",
     .device_class = "b",
     .gpu = 3,
     .slots = 2,
     .bytes = 3 << 20},
    {.device = "cpu", .device_class = "c", .gpu = -1, .slots = 4},
};

static void assert_refused(int count, const char *device, int threads,
                           int64_t bytes, const char *expected)
{
    char reason[PLACE_REASON_BYTES];
    struct demand demand = {.threads = threads, .gpu_bytes = bytes};
    strncpy(demand.device, device, sizeof demand.device - 1);
    places_refuse(places, count, &demand, reason);
    assert_string_equal(reason, expected);
}

static void jobs_have_places_or_a_reason(void **state)
{
    (void)state;
    assert_refused(3, "any", 4, 5000, "");
    assert_refused(3, "cuda", 8, 5000, "");
    assert_refused(3, "3", 1, 3 << 20, "");
    assert_refused(2, "any", 1, 3000000, "");
    assert_refused(3, "any", 5, INT64_C(5) << 30,
                   "needs 5.0 GiB of GPU memory, and the largest GPU it may "
                   "have gives 3.0 MiB");
    assert_refused(3, "cpu", 5, 0, "5 is above 4, the CPU slots of this gaitd");
    assert_refused(3, "1", 1, 0, "no GPU 1: this gaitd has GPU 0, 3");
    assert_refused(2, "cpu", 1, 0, "no CPU slots: this gaitd has GPUs only");
    assert_refused(0, "cuda", 1, 0, "no GPU: this gaitd has CPU slots only");
}

static void lanes_are_of_about_one_size(void **state)
{
    (void)state;
    char a[LANE_BYTES], b[LANE_BYTES];
    int lanes = 0;
    lane_print(a, &(struct demand){"any", 2, 0});
    assert_string_equal(a, "any 2 0");
    for (int64_t bytes = 1; bytes < INT64_C(1) << 40; bytes += bytes / 50 + 1) {
        lane_print(b, &(struct demand){"any", 1, bytes});
        lanes += strcmp(a, b) != 0;
        memcpy(a, b, sizeof a);
    }
    assert_in_range(lanes, 100, 320);
}

static void assert_choice(const char *text, const char *expected)
{
    struct choice choice;
    struct error error = {.text = ""};
    struct cJSON *entry = cJSON_Parse(text);
    choice_read(&choice, entry, &error);
    cJSON_Delete(entry);
    if (!strstr(error.text, expected))
        fail_msg("%s: \"%s\" has no \"%s\"", text, error.text, expected);
    if (!*expected && *error.text)
        fail_msg("%s: %s", text, error.text);
}

static void choices_are_checked(void **state)
{
    (void)state;
    static const char *const good[] = {"0",
                                       "\"0\"",
                                       "\"12.3:2\"",
                                       "\"GPU-5c2d0000\"",
                                       "\"MIG-5c2d0000:7\"",
                                       "\"!2\"",
                                       "\"!GPU-5c2d0000\"",
                                       "\"cpu:4\"",
                                       "\"auto\""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_choice(good[i], "");
    assert_choice("{}", "not a text or a list of them");
    assert_choice("1.5e300", "names no device");
    assert_choice("\"\"", "names no device");
    assert_choice("\"-1\"", "names no device");
    assert_choice("\"GPU-5\"", "names no device");
    assert_choice("\"0.\"", "names no device");
    assert_choice("\"!2:2\"", "is given slots");
    assert_choice("\"auto:2\"", "is given slots");
    assert_choice("\"0:\"", "has \"\" slots, expected 1 to 1024");
    assert_choice("\"0:0\"", "has \"0\" slots");
    assert_choice("\"0:1x\"", "has \"1x\" slots");
    assert_choice("\"0:2000\"", "has \"2000\" slots");
}

static void no_device_is_named_twice(void **state)
{
    (void)state;
    struct error error;
    struct cJSON *list = cJSON_Parse("[\"0:2\", \"1\", \"!0\"]");
    assert_false(choices_check(list, &error));
    assert_string_equal(error.text, "names \"0\" twice");
    cJSON_Delete(list);
    list = cJSON_Parse("[]");
    assert_false(choices_check(list, &error));
    cJSON_Delete(list);
}

static void choices_name_devices(void **state)
{
    (void)state;
    struct choice choice = {.what = "0"};
    assert_true(choice_names(&choice, "cuda:0", "GPU-5c2d0000"));
    assert_false(choice_names(&choice, "cuda:0.1", "MIG-5c2d0001"));
    assert_false(choice_names(&choice, "cpu", ""));
    choice = (struct choice){.what = "gpu-5C2D"};
    assert_true(choice_names(&choice, "cuda:7", "GPU-5c2d0000"));
    assert_false(choice_names(&choice, "cuda:7", "GPU-5c2e0000"));
    assert_false(choice_names(&choice, "cpu", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_have_places_or_a_reason),
        cmocka_unit_test(lanes_are_of_about_one_size),
        cmocka_unit_test(choices_are_checked),
        cmocka_unit_test(no_device_is_named_twice),
        cmocka_unit_test(choices_name_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
