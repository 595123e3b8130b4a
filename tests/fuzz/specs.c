/* Specs of one job: read or refused with faults; what is read writes itself
 * and reads back the same, and has the same key. */
#include <cjson/cJSON.h>
#include <string.h>

#include "fuzz.h"
#include "schema/key.h"
#include "schema/message.h"
#include "schema/spec.h"

static const struct dataset_shape shape = {
    .digest = "00112233445566778899aabbccddeeff",
    .train_rows = 600,
    .test_rows = 100,
    .width = 784,
};

static void check_same(const struct settings *a, const struct settings *b)
{
    for (int i = 0; i < setting_count; i++)
        PROMISE(setting_equal(&setting_table[i], a, b));
}

static void check_settings(const struct settings *settings)
{
    struct settings canonical = *settings, again, effective = *settings;
    struct faults faults;
    struct key key, same;
    char text[SETTING_TEXT_BYTES];
    faults_init(&faults);
    settings_init(&again);
    size_t length;
    struct error error;
    struct cJSON *written = settings_write(settings);
    char *line = message_print(written, &length);
    cJSON_Delete(written);
    written = message_parse(line, length - 1, &error);
    PROMISE(written && settings_read(written, &again, &faults));
    check_same(settings, &again);
    cJSON_Delete(written);
    free(line);
    settings_effective(&effective);
    for (int i = 0; i < setting_count; i++)
        setting_print(&setting_table[i], &effective, text, sizeof text);
    settings_check(settings, &shape, &faults);
    if (faults.count)
        return;
    settings_canonical(&canonical, &shape);
    again = canonical;
    settings_canonical(&again, &shape);
    check_same(&canonical, &again);
    key_make(&key, &canonical, &shape);
    key_make(&same, &again, &shape);
    PROMISE(!strcmp(key.hex, same.hex) && strlen(key.hex) == 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error error;
    struct faults faults;
    struct spec spec;
    struct settings settings;
    struct cJSON *json = message_parse((const char *)bytes, size, &error);
    faults_init(&faults);
    if (!json)
        return 0;
    bool is_good = spec_init(&spec, json, &faults);
    PROMISE(is_good == (faults.count == 0));
    if (is_good && spec.job_count == 1) {
        PROMISE(!spec.name[0] || spec_name_check(spec.name, &error));
        spec_job(&spec, 0, &settings);
        check_settings(&settings);
    }
    cJSON_Delete(faults_write(&faults));
    spec_release(&spec);
    cJSON_Delete(json);
    return 0;
}
