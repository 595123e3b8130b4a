/* In which settings the jobs of a target differ.
 *
 * A sweep says it in its spec.  Of jobs by their ids the values decide that are
 * stored; but only those are read, of 100,000 jobs, that their sweeps, where
 * those are few, do not say to be the same everywhere.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/query.h"
#include "schema/json.h"
#include "schema/memory.h"

enum { SWEEPS_FEW = 64 };

/* Adds those in which the sweep says that they do. */
static bool vary_by_spec(const struct question *question, int64_t sweep,
                         bool varies[SETTING_COUNT], struct error *error)
{
    struct statement *s =
        db_sql(question->db, "SELECT spec FROM sweep WHERE id = ?");
    bind_integer(s, sweep);
    struct cJSON *object = NULL;
    if (statement_next(s))
        object = cJSON_Parse(column_text(s, 0));
    if (!statement_finish(s, error))
        return false;
    struct faults faults;
    struct spec spec;
    faults_init(&faults);
    bool is_fine = spec_init(&spec, object, &faults) ||
                   error_set(error, ERROR_CORRUPT,
                             "the stored spec of sweep-%lld cannot be read: "
                             "%s: %s",
                             (long long)sweep, faults.fault[0].where,
                             faults.fault[0].text);
    for (int i = 0; is_fine && i < setting_count; i++)
        varies[i] |= spec_varies(&spec, &setting_table[i]);
    spec_release(&spec);
    cJSON_Delete(object);
    return is_fine;
}

/* Candidates. */

/* The sweep after *sweep that jobs of the target may be of; 0: there is none.
 * `settings`: of its first job. */
static bool next_sweep(const struct question *question,
                       const struct target *target, int64_t *sweep,
                       struct settings *settings, struct error *error)
{
    struct statement *s = db_sql(
        question->db,
        "SELECT j.sweep_id" SETTING_COLUMNS " FROM job j JOIN run r "
        "ON r.id = j.run_id WHERE j.position = 0 AND j.sweep_id = "
        "(SELECT id FROM sweep INDEXED BY sweep_visible WHERE is_hidden = 0 "
        "AND is_complete = 1 AND id > ? AND id <= ? ORDER BY id LIMIT 1)");
    bind_integer(s, *sweep);
    bind_integer(s, target->high.sweep);
    *sweep = 0;
    while (statement_next(s)) {
        *sweep = column_integer(s, 0);
        columns_read(s, 1, settings);
    }
    return statement_finish(s, error);
}

static void note_differences(const struct settings *first,
                             const struct settings *settings,
                             bool is_candidate[SETTING_COUNT])
{
    for (int i = 0; i < setting_count; i++)
        is_candidate[i] |= !setting_equal(&setting_table[i], first, settings);
}

/* Also those of which something else is stored, for jobs that another setting
 * tells apart, than the spec says.  Some lean on those that are added here. */
static void add_leaning(bool is_candidate[SETTING_COUNT])
{
    bool has_more = true;
    while (has_more) {
        has_more = false;
        for (int i = 0; i < setting_count; i++)
            for (int k = 0; k < setting_count && !is_candidate[i]; k++)
                if (is_candidate[k] &&
                    setting_leans_on(&setting_table[i], &setting_table[k]))
                    is_candidate[i] = has_more = true;
    }
}

bool varying_candidates(const struct question *question,
                        const struct target *target,
                        bool is_candidate[SETTING_COUNT],
                        struct settings *common, struct error *error)
{
    bool are_few = !target->has_hidden &&
                   target->high.sweep - target->low.sweep < SWEEPS_FEW;
    settings_init(common);
    for (int i = 0; i < setting_count; i++)
        is_candidate[i] = !are_few;
    int64_t sweep = target->low.sweep - 1;
    for (int count = 0; are_few; count++) {
        struct settings settings;
        if (!next_sweep(question, target, &sweep, &settings, error))
            return false;
        if (!sweep)
            break;
        if (!count)
            *common = settings;
        note_differences(common, &settings, is_candidate);
        if (!vary_by_spec(question, sweep, is_candidate, error))
            return false;
    }
    add_leaning(is_candidate);
    return true;
}

/* Of candidates the values decide. */
static char *print_question(const bool is_candidate[SETTING_COUNT])
{
    char *sql = xstrdup("SELECT 0");
    for (int i = 0; i < setting_count; i++) {
        const struct setting *setting = &setting_table[i];
        char table = *column_table(setting);
        if (!is_candidate[i])
            continue;
        char *longer = xprintf("%s, min(%c.%s) <> max(%c.%s)", sql, table,
                               setting->name, table, setting->name);
        free(sql);
        sql = longer;
    }
    char *whole = xprintf("%s FROM job j CROSS JOIN run r ON r.id = j.run_id "
                          "WHERE " TARGET_RESULTS,
                          sql);
    free(sql);
    return whole;
}

static bool vary_by_values(const struct question *question,
                           const struct target *target,
                           bool varies[SETTING_COUNT], struct error *error)
{
    struct settings common;
    if (!varying_candidates(question, target, varies, &common, error))
        return false;
    char *sql = print_question(varies);
    struct statement *s = statement_new(question->db, sql);
    target_bind_results(s, target);
    while (statement_next(s))
        for (int i = 0, column = 1; i < setting_count; i++)
            varies[i] = varies[i] && column_integer(s, column++);
    bool is_fine = statement_finish(s, error);
    statement_free(s);
    free(sql);
    return is_fine;
}

bool varying_find(const struct question *question, const struct target *target,
                  struct varying *varying, struct error *error)
{
    bool varies[SETTING_COUNT] = {false};
    varying->count = 0;
    if (!(target->sweep && !target->has_hidden
              ? vary_by_spec(question, target->sweep, varies, error)
              : vary_by_values(question, target, varies, error)))
        return false;
    for (int i = 0; i < setting_count; i++)
        if (varies[i])
            varying->indexes[varying->count++] = i;
    return true;
}

void varying_write(const struct varying *varying, struct cJSON *answer)
{
    struct cJSON *names = cJSON_AddArrayToObject(answer, "varying");
    for (int i = 0; i < varying->count; i++)
        cJSON_AddItemToArray(names,
                             cJSON_CreateStringReference(
                                 setting_table[varying->indexes[i]].name));
}

void varying_write_row(const struct varying *varying, struct cJSON *row,
                       struct statement *s, int first)
{
    struct settings settings;
    if (!varying->count)
        return;
    columns_read(s, first, &settings);
    settings_effective(&settings);
    for (int i = 0; i < varying->count; i++) {
        const struct setting *setting = &setting_table[varying->indexes[i]];
        cJSON_AddItemToObjectCS(row, setting->name,
                                setting_show(setting, &settings));
    }
}
