/* Sweeps: points and axes expanded, every job checked and labelled as a
 * submission is; a sweep is the same as itself. */
#include <cjson/cJSON.h>
#include <string.h>

#include "daemon/place.h"
#include "daemon/submission.h"
#include "fuzz.h"
#include "schema/message.h"
#include "schema/spec.h"

enum { JOBS_MAX = 300 }; /* that are looked at: more cost time, not insight */

#define SHAPE(first)                                                           \
    {                                                                          \
        .digest = first "112233445566778899aabbccddeeff", .train_rows = 600,   \
        .test_rows = 100, .width = 784                                         \
    }
static struct dataset sets[] = {
    {.name = "MNIST", .shape = SHAPE("00")},
    {.name = "KMNIST", .shape = SHAPE("11")},
};

static void check_jobs(const struct spec *spec)
{
    int64_t stride = spec->job_count / JOBS_MAX + 1;
    for (int64_t i = 0; i < spec->job_count; i += stride) {
        struct settings settings;
        spec_job(spec, i, &settings);
        for (int a = 0; a < spec->axis_count; a++) {
            const struct axis *axis = &spec->axes[a];
            PROMISE(axis->count > 0 && axis->count <= AXIS_VALUES_MAX);
            PROMISE((axis->count > 1) == spec_varies(spec, axis->setting));
        }
    }
}

static void look_over(const struct submission *submission,
                      const struct cJSON *json)
{
    struct faults faults;
    struct cJSON *notes = cJSON_CreateArray();
    faults_init(&faults);
    struct review *review = review_new(submission, &faults, notes);
    while (!review_go_on(review, JOBS_MAX / 3)) {
    }
    review_free(review);
    struct settings settings;
    char label[256];
    spec_job(submission->spec, submission->spec->job_count - 1, &settings);
    submission_label(submission, &settings, " ", label, sizeof label);
    if (!faults.count)
        PROMISE(submission_is_same(submission, json));
    cJSON_Delete(notes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error error;
    struct faults faults;
    struct spec spec;
    struct cJSON *json = message_parse((const char *)bytes, size, &error);
    faults_init(&faults);
    if (!json)
        return 0;
    bool is_good = spec_init(&spec, json, &faults);
    PROMISE(is_good == (faults.count == 0));
    if (is_good) {
        PROMISE(spec.job_count >= 1 && spec.job_count <= SPEC_JOBS_MAX);
        check_jobs(&spec);
        struct place place = {
            .number = -1, .device = "cpu", .gpu = -1, .slots = 4};
        struct submission submission = {
            .spec = &spec,
            .dataset_count = 2,
            .datasets = sets,
            .place_count = 1,
            .places = &place,
        };
        if (spec.job_count <= JOBS_MAX)
            look_over(&submission, json);
    }
    spec_release(&spec);
    cJSON_Delete(json);
    return 0;
}
