#include "schema_fixture.h"

#include "schema/control.h"
#include "schema/json.h"

static bool read(struct controls *controls, struct faults *faults,
                 const char *text)
{
    cJSON *object = json(text);
    faults_init(faults);
    faults->context = "controls";
    controls_init(controls);
    bool is_fine = controls_read(object, controls, faults);
    cJSON_Delete(object);
    return is_fine;
}

static void check_written(const struct controls *controls, const char *member,
                          const char *expected)
{
    size_t length;
    cJSON *object = cJSON_CreateObject();
    controls_write(controls, object);
    cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(object, member);
    char *text = json_print(value, &length);
    assert_string_equal(text, expected);
    free(text);
    cJSON_Delete(value);
    cJSON_Delete(object);
}

static void nothing_said_is_nothing_special(void **state)
{
    (void)state;
    struct controls controls;
    struct faults faults;
    assert_true(read(&controls, &faults, "{}"));
    check_written(&controls, "priority", "0");
    check_written(&controls, "hold", "false");
    check_written(&controls, "max_running", "null");
    check_written(&controls, "after", "null");
}

static void what_is_said_comes_back(void **state)
{
    (void)state;
    struct controls controls;
    struct faults faults;
    assert_true(read(&controls, &faults,
                     "{'priority': -7, 'hold': true, 'max_running': 4, "
                     "'after': 'pilot'}"));
    check_written(&controls, "priority", "-7");
    check_written(&controls, "hold", "true");
    check_written(&controls, "max_running", "4");
    check_written(&controls, "after", "\"pilot\"");
    assert_true(
        read(&controls, &faults, "{'max_running': 'none', 'after': null}"));
    check_written(&controls, "max_running", "null");
    check_written(&controls, "after", "null");
}

static void every_fault_is_told(void **state)
{
    (void)state;
    struct controls controls;
    struct faults faults;
    assert_false(read(&controls, &faults,
                      "{'priorty': 1, 'priority': 101, 'hold': 1, "
                      "'max_running': 0, 'after': ''}"));
    assert_faults(&faults,
                  "controls.priorty: unknown control, did you mean "
                  "\"priority\"?\n"
                  "controls.priority: 101 is above 100\n"
                  "controls.hold: 1 is not true or false\n"
                  "controls.max_running: 0 is below 1\n"
                  "controls.after: \"\" is not a name of 1 to 127 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_nothing_special),
        cmocka_unit_test(what_is_said_comes_back),
        cmocka_unit_test(every_fault_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
