#include "daemon/sibling.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/columns.h"
#include "schema/memory.h"
#include "schema/spec.h"

enum { RUNS_MAX = 2000 }; /* that are looked at */

void siblings_add(struct siblings *siblings, const struct wish *wish)
{
    if (siblings->count == SIBLINGS_MAX)
        return;
    int i = siblings->count++;
    siblings->job[i].settings = wish->settings;
    siblings->job[i].distance = INT_MAX;
    memcpy(siblings->job[i].key, wish->key.hex, sizeof wish->key.hex);
    memcpy(siblings->job[i].digest, wish->shape->digest,
           sizeof siblings->job[i].digest);
    memcpy(siblings->job[i].label, wish->label, sizeof wish->label);
}

static bool is_in_key(const struct setting *setting)
{
    return setting->kind == SETTING_TRAJECTORY ||
           setting->kind == SETTING_MEASUREMENT;
}

/* Settings in which the two differ, at most 2; the last of them. */
static int distance(const struct settings *a, const struct settings *b,
                    const struct setting **setting)
{
    int count = 0;
    for (int i = 0; i < setting_count && count < 2; i++) {
        if (!is_in_key(&setting_table[i]) ||
            setting_equal(&setting_table[i], a, b))
            continue;
        *setting = &setting_table[i];
        count++;
    }
    return count;
}

/* Of a run of the same settings: what else makes it another. */
static const char *find_other(const struct siblings *siblings, int i,
                              const char *key, const char *digest)
{
    if (strcmp(siblings->job[i].digest, digest) != 0)
        return "the contents of its data set";
    return strcmp(siblings->job[i].key, key) != 0 ? "the version of the engine"
                                                  : "its device class";
}

static void compare(struct siblings *siblings, int i, struct statement *s,
                    const struct settings *settings)
{
    const struct setting *setting = NULL;
    int found = distance(&siblings->job[i].settings, settings, &setting);
    if (found > 1 || found >= siblings->job[i].distance)
        return;
    siblings->job[i].run = column_integer(s, 0);
    siblings->job[i].distance = found;
    siblings->job[i].setting = setting;
    if (setting)
        setting_print(setting, settings, siblings->job[i].value,
                      sizeof siblings->job[i].value);
    else
        siblings->job[i].otherwise =
            find_other(siblings, i, column_text(s, 1), column_text(s, 2));
}

static bool look(struct siblings *siblings, struct store *store,
                 int64_t first_run, struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT id, key, dataset_digest" RUN_COLUMNS
                          " FROM run WHERE id BETWEEN ? AND ? "
                          "AND epochs_done > 0 AND replica >= 0 "
                          "ORDER BY id DESC");
    bind_integer(s, first_run - RUNS_MAX);
    bind_integer(s, first_run - 1);
    while (statement_next(s)) {
        struct settings settings;
        int column = 3;
        settings_init(&settings);
        for (int i = 0; i < setting_count; i++)
            if (is_in_key(&setting_table[i]))
                column_read(s, column++, &setting_table[i], &settings);
        for (int i = 0; i < siblings->count; i++)
            compare(siblings, i, s, &settings);
    }
    return statement_finish(s, error);
}

static bool is_told(const struct siblings *siblings, int i)
{
    for (int before = 0; before < i; before++)
        if (siblings->job[before].run &&
            siblings->job[before].setting == siblings->job[i].setting)
            return true;
    return false;
}

static void tell(const struct siblings *siblings, int i, struct cJSON *notes)
{
    const char *label = siblings->job[i].label;
    const struct setting *setting = siblings->job[i].setting;
    const char *between = *label ? " is " : "";
    long long run = siblings->job[i].run;
    char *text =
        setting
            ? xprintf("%s%snew: differs from run %lld in %s (%s there)", label,
                      between, run, setting->name, siblings->job[i].value)
            : xprintf("%s%snew: differs from run %lld in %s", label, between,
                      run, siblings->job[i].otherwise);
    cJSON_AddItemToArray(notes, cJSON_CreateString(text));
    free(text);
}

bool siblings_note(struct siblings *siblings, struct store *store,
                   const struct submission *submission, int64_t first_run,
                   struct cJSON *notes, struct error *error)
{
    if (siblings->count && !look(siblings, store, first_run, error))
        return false;
    for (int i = 0; i < siblings->count; i++) {
        const struct setting *setting = siblings->job[i].setting;
        if (siblings->job[i].run && !is_told(siblings, i) &&
            !(setting && spec_varies(submission->spec, setting)))
            tell(siblings, i, notes);
    }
    return true;
}
