/* One pass over the jobs, in the order of their ids.
 *
 * Jobs of equal settings are one group, and those of them that are of one
 * training (one key) one cell, for which the longest job that is done stands,
 * of equally long ones that of the newest replica.  Only done cells have
 * metrics, and those were kept with the jobs, so no history is read.  Both are
 * found by hash: grouping 100,000 jobs in SQL took three times as long.
 */
#include "daemon/query_groups.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/metrics.h"
#include "schema/json.h"
#include "schema/memory.h"

enum { GROUPS_MOST = 10000, KEY_DIGITS = 32 };

struct by {
    int count;
    int indexes[SETTING_COUNT]; /* into setting_table */
};

/* Names of what a group has of each metric, in the order of METRICS. */
#define STATISTIC_NAMES(kind, column)                                          \
    {#kind "_" #column "_mean", #kind "_" #column "_sd"},
static const struct {
    const char *mean, *sd;
} names[] = {METRICS(STATISTIC_NAMES)};
enum { METRIC_COUNT = sizeof names / sizeof *names };

/* Welford's running mean and sum of squared distances from it. */
struct spread {
    int64_t count;
    double mean, squares;
};

struct group {
    uint64_t hash;
    struct settings settings; /* of its first job, as they take effect */
    int64_t counts[3];        /* of trainings, by rating */
    struct spread spreads[METRIC_COUNT];
};

/* What a job came to, the best last. */
enum rating { UNFINISHED, FAILED, DONE };

struct cell {
    char key[KEY_DIGITS]; /* of the run */
    int group;
    int64_t nb_epochs;            /* of the longest job */
    enum rating rating;           /* the best of those as long */
    int64_t done_epochs, replica; /* of the job that stands for it; -1: none */
    int values;                   /* its: which of groups.values */
};

/* Numbers of items by hash; -1: free.  At most half full. */
struct table {
    int *places;
    size_t size; /* a power of two */
};

struct groups {
    struct by by;
    /* Which settings are read, into what; the others are not looked at. */
    int column_count, columns[SETTING_COUNT]; /* of setting_table */
    struct settings settings;
    /* Of them, which differ between jobs, as they are stored. */
    bool has_first;
    struct settings first;
    bool varies[SETTING_COUNT];
    struct table group_table, cell_table;
    int group_count, cell_count;
    struct group *groups; /* GROUPS_MOST of them */
    struct cell *cells;   /* as many as there are jobs */
    int value_count, value_capacity;
    double (*values)[METRIC_COUNT];
};

/* Parameters. */

static bool add_by(struct by *by, const struct cJSON *item, struct error *error)
{
    const char *name = cJSON_GetStringValue(item);
    if (!name)
        return error_set(error, ERROR_PARAMS,
                         "\"by\": expected names of settings");
    const struct setting *setting = setting_find(name);
    const char *nearest = setting_nearest(name);
    if (!setting && nearest)
        return error_set(error, ERROR_PARAMS,
                         "\"by\": unknown setting \"%s\", did you mean "
                         "\"%s\"?",
                         name, nearest);
    if (!setting)
        return error_set(error, ERROR_PARAMS, "\"by\": unknown setting \"%s\"",
                         name);
    int index = (int)(setting - setting_table);
    for (int i = 0; i < by->count; i++)
        if (by->indexes[i] == index)
            return error_set(error, ERROR_PARAMS, "\"by\" names \"%s\" twice",
                             name);
    by->indexes[by->count++] = index;
    return true;
}

static bool read_by(struct by *by, const struct cJSON *list,
                    struct error *error)
{
    const struct cJSON *item;
    by->count = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (!add_by(by, item, error))
            return false;
    }
    return true;
}

/* Tables. */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static void table_init(struct table *table, size_t items)
{
    table->size = 64;
    while (table->size < 2 * items)
        table->size *= 2;
    table->places = xmalloc(table->size * sizeof *table->places);
    memset(table->places, -1, table->size * sizeof *table->places);
}

static int *table_place(const struct table *table, uint64_t hash, size_t probe)
{
    return &table->places[(hash + probe) & (table->size - 1)];
}

/* Groups. */

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0;
    while (*text)
        hash = mix(hash, (unsigned char)*text++);
    return hash;
}

static uint64_t hash_field(const struct setting *setting, const void *field)
{
    uint64_t bits = 0;
    switch (setting->type) {
    case SETTING_TEXT:
        return hash_text(field);
    case SETTING_BOOLEAN:
        return *(const bool *)field;
    case SETTING_INTEGER:
    case SETTING_REAL:
        memcpy(&bits, field, sizeof bits);
        return bits;
    }
    return 0;
}

static uint64_t hash_settings(const struct by *by,
                              const struct settings *settings)
{
    uint64_t hash = 0;
    for (int i = 0; i < by->count; i++) {
        const struct setting *setting = &setting_table[by->indexes[i]];
        const char *field = (const char *)settings + setting->offset;
        hash = mix(hash, setting_has_effect(setting, settings)
                             ? hash_field(setting, field)
                             : 0);
    }
    return hash;
}

/* What has no effect on either is equal, whatever it says. */
static bool is_equal(const struct setting *setting, const struct settings *a,
                     const struct settings *b)
{
    bool has_effect = setting_has_effect(setting, a);
    return has_effect == setting_has_effect(setting, b) &&
           (!has_effect || setting_equal(setting, a, b));
}

static bool is_group(const struct by *by, const struct group *group,
                     uint64_t hash, const struct settings *settings)
{
    if (group->hash != hash)
        return false;
    for (int i = 0; i < by->count; i++)
        if (!is_equal(&setting_table[by->indexes[i]], &group->settings,
                      settings))
            return false;
    return true;
}

/* The number of the group, which is made when it is new; -1: too many. */
static int find_group(struct groups *g, const struct settings *settings)
{
    uint64_t hash = hash_settings(&g->by, settings);
    int *place;
    for (size_t probe = 0;; probe++) {
        place = table_place(&g->group_table, hash, probe);
        if (*place < 0)
            break;
        if (is_group(&g->by, &g->groups[*place], hash, settings))
            return *place;
    }
    if (g->group_count == GROUPS_MOST)
        return -1;
    *place = g->group_count++;
    struct group *group = &g->groups[*place];
    group->hash = hash;
    group->settings = *settings;
    return *place;
}

/* Cells. */

static struct cell *find_cell(struct groups *g, int group, const char *key)
{
    uint64_t words[KEY_DIGITS / sizeof(uint64_t)];
    memcpy(words, key, sizeof words);
    uint64_t hash = mix(mix(words[0], words[3]), (uint64_t)group);
    int *place;
    for (size_t probe = 0;; probe++) {
        place = table_place(&g->cell_table, hash, probe);
        if (*place < 0)
            break;
        struct cell *cell = &g->cells[*place];
        if (cell->group == group && !memcmp(cell->key, key, sizeof cell->key))
            return cell;
    }
    *place = g->cell_count++;
    struct cell *cell = &g->cells[*place];
    *cell = (struct cell){.group = group, .nb_epochs = -1, .done_epochs = -1};
    memcpy(cell->key, key, sizeof cell->key);
    return cell;
}

static void spread_add(struct spread *spread, double value)
{
    double distance = value - spread->mean;
    spread->count++;
    spread->mean += distance / (double)spread->count;
    spread->squares += distance * (value - spread->mean);
}

/* Jobs.  Columns: key, nb_epochs, state, replica, the metrics, settings. */

enum { FIRST_METRIC = 4, FIRST_SETTING = FIRST_METRIC + METRIC_COUNT };

static enum rating rate(struct statement *s)
{
    int state = job_state_find(column_text(s, 2));
    return state == JOB_done ? DONE : state == JOB_failed ? FAILED : UNFINISHED;
}

/* Takes the metrics of a done job for its cell's. */
static void keep_values(struct groups *g, struct cell *cell,
                        struct statement *s)
{
    if (cell->done_epochs < 0)
        cell->values = g->value_count++;
    if (cell->values >= g->value_capacity) {
        g->value_capacity = 2 * g->value_capacity + 64;
        g->values =
            xrealloc(g->values, (size_t)g->value_capacity * sizeof *g->values);
    }
    for (int i = 0; i < METRIC_COUNT; i++)
        g->values[cell->values][i] = column_real(s, FIRST_METRIC + i);
    cell->done_epochs = column_integer(s, 1);
    cell->replica = column_integer(s, 3);
}

/* A training that failed behind a job that is done counts as both. */
static void add_cell(struct groups *g, const struct cell *cell)
{
    struct group *group = &g->groups[cell->group];
    if (cell->rating != DONE)
        group->counts[cell->rating]++;
    if (cell->done_epochs < 0)
        return;
    group->counts[DONE]++;
    for (int i = 0; i < METRIC_COUNT; i++) {
        double value = g->values[cell->values][i];
        if (!isnan(value))
            spread_add(&group->spreads[i], value);
    }
}

static void compare(struct groups *g, const struct settings *settings)
{
    if (!g->has_first)
        g->first = *settings;
    g->has_first = true;
    for (int c = 0; c < g->column_count; c++) {
        int i = g->columns[c];
        if (!g->varies[i])
            g->varies[i] =
                !setting_equal(&setting_table[i], &g->first, settings);
    }
}

/* False: too many groups. */
static bool add_job(struct groups *g, struct statement *s)
{
    for (int i = 0; i < g->column_count; i++)
        column_read(s, FIRST_SETTING + i, &setting_table[g->columns[i]],
                    &g->settings);
    compare(g, &g->settings);
    settings_effective(&g->settings);
    int group = find_group(g, &g->settings);
    if (group < 0)
        return false;
    struct cell *cell = find_cell(g, group, column_text(s, 0));
    int64_t nb_epochs = column_integer(s, 1), replica = column_integer(s, 3);
    enum rating rating = rate(s);
    if (nb_epochs > cell->nb_epochs ||
        (nb_epochs == cell->nb_epochs && rating > cell->rating)) {
        cell->nb_epochs = nb_epochs;
        cell->rating = rating;
    }
    if (rating == DONE &&
        (nb_epochs > cell->done_epochs ||
         (nb_epochs == cell->done_epochs && replica > cell->replica)))
        keep_values(g, cell, s);
    return true;
}

#define METRIC_NAME(kind, column) ", j." #kind "_" #column
static bool too_large(struct error *error)
{
    return error_set(error, ERROR_TOO_LARGE,
                     "more groups than fit one answer (at most %d): name "
                     "fewer settings in \"by\"",
                     GROUPS_MOST);
}

static bool is_asked_for(const struct by *by, int setting)
{
    for (int i = 0; i < by->count; i++)
        if (by->indexes[i] == setting ||
            setting_leans_on(&setting_table[by->indexes[i]],
                             &setting_table[setting]))
            return true;
    return false;
}

/* Each column costs: where the spec says which settings vary, those of `by` are
 * enough, with those that decide on them. */
static bool choose_columns(struct groups *g, const struct question *question,
                           const struct target *target, struct error *error)
{
    bool is_candidate[SETTING_COUNT];
    bool by_values = !target->sweep || target->has_hidden;
    if (!varying_candidates(question, target, is_candidate, &g->settings,
                            error))
        return false;
    for (int i = 0; i < setting_count; i++)
        if (is_candidate[i] && (by_values || is_asked_for(&g->by, i)))
            g->columns[g->column_count++] = i;
    return true;
}

static struct statement *select_jobs(const struct groups *g, struct db *db,
                                     char **sql)
{
    *sql = xstrdup("SELECT r.key, j.nb_epochs, j.state, "
                   "r.replica" METRICS(METRIC_NAME));
    for (int i = 0; i < g->column_count; i++) {
        const struct setting *setting = &setting_table[g->columns[i]];
        char *longer =
            xprintf("%s, %c.%s", *sql, *column_table(setting), setting->name);
        free(*sql);
        *sql = longer;
    }
    char *whole = xprintf("%s FROM job j CROSS JOIN run r ON r.id = j.run_id "
                          "WHERE " TARGET_RESULTS " ORDER BY j.id",
                          *sql);
    free(*sql);
    *sql = whole;
    return statement_new(db, *sql);
}

static bool read_jobs(struct groups *g, const struct question *question,
                      const struct target *target, struct error *error)
{
    char *sql;
    if (!choose_columns(g, question, target, error))
        return false;
    struct statement *s = select_jobs(g, question->db, &sql);
    bool is_fine = true;
    target_bind_results(s, target);
    while (is_fine && statement_next(s))
        is_fine = add_job(g, s);
    bool is_whole = statement_finish(s, error);
    statement_free(s);
    free(sql);
    return is_fine ? is_whole : too_large(error);
}

/* Answers. */

static struct cJSON *write_group(const struct group *group, const struct by *by)
{
    struct cJSON *row = cJSON_CreateObject();
    for (int i = 0; i < by->count; i++) {
        const struct setting *setting = &setting_table[by->indexes[i]];
        cJSON_AddItemToObjectCS(row, setting->name,
                                setting_show(setting, &group->settings));
    }
    cJSON_AddItemToObjectCS(row, "n", json_integer(group->counts[DONE]));
    cJSON_AddItemToObjectCS(row, "failed", json_integer(group->counts[FAILED]));
    cJSON_AddItemToObjectCS(row, "unfinished",
                            json_integer(group->counts[UNFINISHED]));
    for (int i = 0; i < METRIC_COUNT; i++) {
        const struct spread *spread = &group->spreads[i];
        int64_t n = spread->count;
        double sd = n > 1 ? sqrt(spread->squares / (double)(n - 1)) : NAN;
        cJSON_AddItemToObjectCS(row, names[i].mean,
                                json_number(n ? spread->mean : NAN));
        cJSON_AddItemToObjectCS(row, names[i].sd, json_number(sd));
    }
    return row;
}

static bool write_groups(const struct groups *g, struct page *page,
                         struct error *error)
{
    page->limit = GROUPS_MOST;
    for (int i = 0; i < g->group_count; i++) {
        if (page_is_full(page))
            return too_large(error);
        page_add(page, write_group(&g->groups[i], &g->by));
    }
    return true;
}

/* Of a sweep its spec says it; else its jobs do. */
static bool find_varying(const struct groups *g,
                         const struct question *question,
                         const struct target *target, struct varying *varying,
                         struct error *error)
{
    if (target->sweep && !target->has_hidden)
        return varying_find(question, target, varying, error);
    varying->count = 0;
    for (int i = 0; i < setting_count; i++)
        if (g->varies[i])
            varying->indexes[varying->count++] = i;
    return true;
}

bool query_groups(const struct question *question, const struct target *target,
                  const struct cJSON *by, struct varying *varying,
                  struct page *page, struct error *error)
{
    struct groups g = {0};
    if (!read_by(&g.by, by, error))
        return false;
    table_init(&g.group_table, GROUPS_MOST);
    table_init(&g.cell_table, (size_t)target->job_count);
    g.groups = xcalloc(GROUPS_MOST, sizeof *g.groups);
    g.cells = xcalloc((size_t)target->job_count, sizeof *g.cells);
    bool is_fine = read_jobs(&g, question, target, error);
    for (int i = 0; is_fine && i < g.cell_count; i++)
        add_cell(&g, &g.cells[i]);
    is_fine = is_fine && write_groups(&g, page, error) &&
              find_varying(&g, question, target, varying, error);
    free(g.group_table.places);
    free(g.cell_table.places);
    free(g.groups);
    free(g.cells);
    free(g.values);
    return is_fine;
}
