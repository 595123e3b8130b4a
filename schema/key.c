#include "schema/key.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* Two texts have over 100 bytes at most; the others take about 40 each. */
enum { BYTES_MAX = 2048 };

struct hashed {
    char bytes[BYTES_MAX];
    size_t used;
};

static void put(struct hashed *hashed, const char *text)
{
    size_t length = strlen(text);
    assert(hashed->used + length <= BYTES_MAX);
    memcpy(hashed->bytes + hashed->used, text, length);
    hashed->used += length;
}

/* As setting_print, but reals by their bits. */
static void value_text(const struct setting *setting,
                       const struct settings *settings,
                       char text[SETTING_TEXT_BYTES])
{
    const char *field = (const char *)settings + setting->offset;
    uint64_t bits;
    int64_t integer;
    switch (setting->type) {
    case SETTING_REAL:
        memcpy(&bits, field, sizeof bits);
        snprintf(text, SETTING_TEXT_BYTES, "%016" PRIx64, bits);
        return;
    case SETTING_INTEGER:
        memcpy(&integer, field, sizeof integer);
        snprintf(text, SETTING_TEXT_BYTES, "%" PRId64, integer);
        return;
    case SETTING_TEXT:
    case SETTING_BOOLEAN:
        setting_print(setting, settings, text, SETTING_TEXT_BYTES);
        return;
    }
}

static bool counts(const struct setting *setting,
                   const struct settings *settings,
                   const struct settings *defaults)
{
    return (setting->kind == SETTING_TRAJECTORY ||
            setting->kind == SETTING_MEASUREMENT) &&
           setting->offset != offsetof(struct settings, dataset) &&
           !setting_equal(setting, settings, defaults);
}

/* Those that count, sorted by name: they are few, so by insertion. */
static int collect(const struct setting *sorted[SETTING_COUNT],
                   const struct settings *settings)
{
    struct settings defaults;
    settings_init(&defaults);
    int count = 0;
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (!counts(setting, settings, &defaults))
            continue;
        int at = count++;
        for (; at && strcmp(sorted[at - 1]->name, setting->name) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = setting;
    }
    return count;
}

static void digest(struct key *key, const struct hashed *hashed)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical,
                             XXH3_128bits(hashed->bytes, hashed->used));
    for (int i = 0; i < 32; i++) {
        int byte = canonical.digest[i / 2];
        key->hex[i] = "0123456789abcdef"[i % 2 ? byte & 15 : byte >> 4];
    }
    key->hex[32] = '\0';
}

void key_make(struct key *key, const struct settings *settings,
              const struct dataset_shape *shape)
{
    struct settings canonical = *settings;
    settings_canonical(&canonical, shape);
    const struct setting *sorted[SETTING_COUNT];
    int count = collect(sorted, &canonical);

    struct hashed hashed = {.used = 0};
    char text[SETTING_TEXT_BYTES];
    snprintf(text, sizeof text, "%s\n%d\n", shape->digest, ENGINE_VERSION);
    put(&hashed, text);
    for (int i = 0; i < count; i++) {
        put(&hashed, sorted[i]->name);
        put(&hashed, "=");
        value_text(sorted[i], &canonical, text);
        put(&hashed, text);
        put(&hashed, "\n");
    }
    digest(key, &hashed);
}
