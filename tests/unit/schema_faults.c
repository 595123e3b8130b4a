#include "schema_fixture.h"

#include "schema/spec.h"

static void places_are_spelled_out(void **state)
{
    (void)state;
    struct faults faults;
    faults_init(&faults);
    faults_add(&faults, "", "of the whole");
    faults_add(&faults, "seed", "plain %d", 1);
    faults.context = "points[2]";
    faults_add(&faults, "tower", "in a point");
    faults_add(&faults, "", "of the point");
    faults.context = "axes";
    faults_add_member(&faults, "seed", "steps", "of a member");
    assert_faults(&faults, "spec: of the whole\n"
                           "seed: plain 1\n"
                           "points[2].tower: in a point\n"
                           "points[2]: of the point\n"
                           "axes.seed.steps: of a member");
    assert_string_equal(faults.fault[4].setting, "seed");
}

static void too_many_are_counted(void **state)
{
    (void)state;
    struct faults faults;
    faults_init(&faults);
    for (int i = 0; i < FAULTS_MAX + 5; i++)
        faults_add(&faults, "seed", "%d", i);
    assert_int_equal(faults.count, FAULTS_MAX + 5);
    assert_string_equal(faults.fault[FAULTS_MAX - 1].text, "19");
    cJSON *list = faults_write(&faults);
    assert_int_equal(cJSON_GetArraySize(list), FAULTS_MAX);
    size_t length;
    char *text = json_print(list->child, &length);
    assert_string_equal(
        text, "{\"where\":\"seed\",\"setting\":\"seed\",\"text\":\"0\"}");
    free(text);
    cJSON_Delete(list);
}

/* Nobody reads the words of what is only counted, and looking for them takes
 * seconds in a spec of megabytes. */
static void a_full_list_takes_no_more_words(void **state)
{
    (void)state;
    enum { COUNT = FAULTS_MAX + 3 };
    struct faults faults;
    struct spec spec;
    cJSON *object = cJSON_CreateObject();
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "learning_rat%d", i);
        cJSON_AddNumberToObject(object, name, 1);
    }
    faults_init(&faults);
    assert_false(faults_is_full(&faults));
    assert_false(spec_init(&spec, object, &faults));
    assert_true(faults_is_full(&faults));
    assert_int_equal(faults.count, COUNT);
    assert_string_equal(faults.fault[FAULTS_MAX - 1].text,
                        "unknown setting, did you mean \"learning_rate\"?");
    spec_release(&spec);
    cJSON_Delete(object);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    struct faults faults;
    faults_init(&faults);
    struct fault *fault = &faults.fault[0];
    char name[sizeof *fault];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    faults.context = name;
    faults_add_member(&faults, name, name, "%s", name);
    assert_int_equal(strlen(fault->where), sizeof fault->where - 1);
    assert_int_equal(strlen(fault->setting), sizeof fault->setting - 1);
    assert_int_equal(strlen(fault->text), sizeof fault->text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_spelled_out),
        cmocka_unit_test(too_many_are_counted),
        cmocka_unit_test(a_full_list_takes_no_more_words),
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
