#include "schema_fixture.h"

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
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
