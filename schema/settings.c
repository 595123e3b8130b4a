/* settings.c: all settings together: defaults, JSON, what fits what. */
#include "schema/settings.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "schema/faults.h"
#include "schema/widths.h"

void settings_init(struct settings *settings)
{
    memset(settings, 0, sizeof *settings);
    for (int i = 0; i < SETTING_COUNT; i++)
        setting_reset(&setting_table[i], settings);
}

struct cJSON *settings_write(const struct settings *settings)
{
    cJSON *object = cJSON_CreateObject();
    for (int i = 0; i < SETTING_COUNT; i++)
        cJSON_AddItemToObjectCS(object, setting_table[i].name,
                                setting_write(&setting_table[i], settings));
    return object;
}

bool settings_override(const struct cJSON *object, struct settings *out,
                       struct faults *faults)
{
    int before = faults->count;
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        const struct setting *setting = setting_find(member->string);
        if (setting)
            setting_read(setting, member, out, faults);
        else
            setting_unknown(member->string, faults);
    }
    return faults->count == before;
}

bool settings_read(const struct cJSON *object, struct settings *out,
                   struct faults *faults)
{
    settings_init(out);
    return settings_override(object, out, faults);
}

static const char *tower_text(const struct settings *settings)
{
    bool is_none = !strcmp(settings->widths, "none");
    return is_none ? WIDTHS_INITIAL : settings->widths;
}

int settings_widths(const struct settings *settings, int width,
                    int widths[LAYERS_MAX])
{
    int count = 0;
    if (settings->tower)
        return widths_read(tower_text(settings), widths, &count) ? 0 : count;
    while (count < settings->nb_layers + 1 && count < LAYERS_MAX)
        widths[count++] = width;
    return count;
}

bool settings_is_orthogonal(const struct settings *settings)
{
    return settings->orthogonal_init || settings->orthogonal_reg == 0;
}

bool settings_is_published(const struct settings *settings)
{
    return !strcmp(settings->algorithm, "GAIT") &&
           !strcmp(settings->gait_form, "published");
}

bool settings_inverts(const struct settings *settings)
{
#define RULE_INVERTS(name, suffix, inverts)                                    \
    if (inverts && !strcmp(settings->algorithm, #name))                        \
        return true;
    RULES(RULE_INVERTS)
    return false;
}

int64_t settings_train_rows(const struct settings *settings,
                            const struct dataset_shape *shape)
{
    return settings->train_rows ? settings->train_rows
                                : shape->train_rows - settings->valid_rows;
}

int64_t settings_test_rows(const struct settings *settings,
                           const struct dataset_shape *shape)
{
    return settings->test_rows ? settings->test_rows : shape->test_rows;
}

static void check_widths(const struct settings *settings,
                         const struct dataset_shape *shape,
                         struct faults *faults)
{
    int widths[LAYERS_MAX];
    if (!settings->tower && strcmp(settings->widths, "none"))
        faults_add(faults, "widths", "needs \"tower\": true");
    if (!settings_widths(settings, shape->width, widths))
        faults_add(faults, "widths", "\"%.40s\" cannot be read",
                   settings->widths);
    else if (widths[0] > shape->width)
        faults_add(
            faults, "widths", "%s begins with %d, but %s has %d pixels a row",
            tower_text(settings), widths[0], settings->dataset, shape->width);
    else if (!settings->tower && shape->width < CLASSES)
        faults_add(faults, "dataset",
                   "%s has %d pixels a row, too few for %d classes",
                   settings->dataset, shape->width, CLASSES);
}

/* A count of rows that its half of the data set does not have. */
static bool check_rows(const char *name, int64_t rows, int64_t most,
                       const char *half, const struct settings *settings,
                       struct faults *faults)
{
    if (rows <= most)
        return true;
    faults_add(faults, name, "%lld, but %s has %lld %s rows", (long long)rows,
               settings->dataset, (long long)most, half);
    return false;
}

static void check_batch(const struct settings *settings,
                        const struct dataset_shape *shape,
                        struct faults *faults)
{
    int64_t rows = settings_train_rows(settings, shape);
    if (settings->batch_size > rows)
        faults_add(faults, "batch_size",
                   "%lld is more than the %lld rows trained on",
                   (long long)settings->batch_size, (long long)rows);
}

/* Its rounding grows a thousandfold a layer: float32 would leave nothing. */
static void check_form(const struct settings *settings, struct faults *faults)
{
    if (settings_is_published(settings) &&
        strcmp(settings->precision, "float64"))
        faults_add(faults, "gait_form",
                   "\"published\" needs \"precision\": \"float64\"");
}

void settings_check(const struct settings *settings,
                    const struct dataset_shape *shape, struct faults *faults)
{
    check_form(settings, faults);
    check_widths(settings, shape, faults);
    check_rows("test_rows", settings->test_rows, shape->test_rows, "test",
               settings, faults);
    bool is_train_good =
        check_rows("train_rows", settings->train_rows, shape->train_rows,
                   "training", settings, faults);
    bool is_valid_good =
        check_rows("valid_rows", settings->valid_rows, shape->train_rows,
                   "training", settings, faults);
    if (!is_train_good || !is_valid_good)
        return;
    if (settings->train_rows + settings->valid_rows > shape->train_rows)
        faults_add(faults, "valid_rows",
                   "%lld and %lld train_rows, but %s has %lld training rows",
                   (long long)settings->valid_rows,
                   (long long)settings->train_rows, settings->dataset,
                   (long long)shape->train_rows);
    else
        check_batch(settings, shape, faults);
}

static void reset(struct settings *settings, const char *name)
{
    setting_reset(setting_find(name), settings);
}

/* Each answer depends on none but settings that always have an effect, or have
 * one where it matters here: so they may be reset in any order. */
bool setting_has_effect(const struct setting *setting,
                        const struct settings *settings)
{
    bool is_gait = !strcmp(settings->algorithm, "GAIT");
    switch (setting->offset) {
    case offsetof(struct settings, gamma): /* linear units have no kink */
        return is_gait &&
               (!settings->linear || settings_is_published(settings));
    case offsetof(struct settings, gait_form):
        return is_gait;
    case offsetof(struct settings, nb_layers):
        return !settings->tower;
    case offsetof(struct settings, orthogonal_form):
        return settings->orthogonal_reg != 0;
    case offsetof(struct settings, eval_offset):
        return settings->eval_every != 0;
    case offsetof(struct settings, tf32):
        return !strcmp(settings->precision, "float32") &&
               strcmp(settings->device, "cpu") != 0;
    default:
        return true;
    }
}

bool setting_leans_on(const struct setting *setting,
                      const struct setting *other)
{
#define LEANS(name, on)                                                        \
    {                                                                          \
        offsetof(struct settings, name), offsetof(struct settings, on)         \
    }
    static const size_t pairs[][2] = {
        LEANS(gamma, algorithm),
        LEANS(gamma, linear),
        LEANS(gamma, gait_form),
        LEANS(gait_form, algorithm),
        LEANS(nb_layers, tower),
        LEANS(orthogonal_form, orthogonal_reg),
        LEANS(orthogonal_init, orthogonal_reg),
        LEANS(eval_offset, eval_every),
        LEANS(tf32, precision),
        LEANS(tf32, device),
        LEANS(train_rows, dataset),
        LEANS(train_rows, valid_rows),
        LEANS(test_rows, dataset),
    };
#undef LEANS
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (setting->offset == pairs[i][0] && other->offset == pairs[i][1])
            return true;
    return false;
}

void settings_effective(struct settings *settings)
{
    settings->orthogonal_init = settings_is_orthogonal(settings);
}

struct cJSON *setting_show(const struct setting *setting,
                           const struct settings *effective)
{
    return setting_has_effect(setting, effective)
               ? setting_write(setting, effective)
               : cJSON_CreateNull();
}

void settings_canonical(struct settings *settings,
                        const struct dataset_shape *shape)
{
    for (int i = 0; i < SETTING_COUNT; i++)
        if (!setting_has_effect(&setting_table[i], settings))
            setting_reset(&setting_table[i], settings);
    if (!strcmp(settings->widths, WIDTHS_INITIAL))
        reset(settings, "widths");
    if (settings->orthogonal_reg == 0)
        reset(settings, "orthogonal_init");
    if (settings->train_rows == shape->train_rows - settings->valid_rows)
        reset(settings, "train_rows");
    if (settings->test_rows == shape->test_rows)
        reset(settings, "test_rows");
    settings->learning_rate += 0.0; /* -0 becomes 0 */
    settings->orthogonal_reg += 0.0;
}
