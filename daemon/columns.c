#include "daemon/columns.h"

const char *column_table(const struct setting *setting)
{
    static const char *const tables[] = {
        [SETTING_TRAJECTORY] = "run", [SETTING_MEASUREMENT] = "run",
        [SETTING_PLACEMENT] = "job",  [SETTING_LENGTH] = "job",
        [SETTING_CONTROL] = "sweep",
    };
    return tables[setting->kind];
}

static bool is_of_run(const struct setting *setting)
{
    return setting->kind == SETTING_TRAJECTORY ||
           setting->kind == SETTING_MEASUREMENT;
}

void column_bind(struct statement *statement, const struct setting *setting,
                 const void *fields)
{
    const void *field = (const char *)fields + setting->offset;
    switch (setting->type) {
    case SETTING_TEXT:
        bind_text(statement, field);
        break;
    case SETTING_INTEGER:
        bind_integer(statement, *(const int64_t *)field);
        break;
    case SETTING_REAL:
        bind_real(statement, *(const double *)field);
        break;
    case SETTING_BOOLEAN:
        bind_integer(statement, *(const bool *)field);
        break;
    }
}

void column_read(struct statement *statement, int column,
                 const struct setting *setting, void *fields)
{
    void *field = (char *)fields + setting->offset;
    switch (setting->type) {
    case SETTING_TEXT:
        column_copy(statement, column, field, SETTING_TEXT_BYTES);
        break;
    case SETTING_INTEGER:
        *(int64_t *)field = column_integer(statement, column);
        break;
    case SETTING_REAL:
        *(double *)field = column_real(statement, column);
        break;
    case SETTING_BOOLEAN:
        *(bool *)field = column_integer(statement, column) != 0;
        break;
    }
}

void columns_bind(struct statement *statement, const struct settings *settings)
{
    for (int i = 0; i < setting_count; i++)
        if (is_of_run(&setting_table[i]))
            column_bind(statement, &setting_table[i], settings);
}

void columns_read(struct statement *statement, int first,
                  struct settings *settings)
{
    for (int i = 0; i < setting_count; i++)
        column_read(statement, first + i, &setting_table[i], settings);
}

void controls_bind(struct statement *statement, const struct controls *controls)
{
    for (int i = 0; i < CONTROL_COUNT; i++)
        column_bind(statement, &control_table[i], controls);
}

void controls_load(struct statement *statement, int first,
                   struct controls *controls)
{
    controls_init(controls);
    for (int i = 0; i < CONTROL_COUNT; i++)
        column_read(statement, first + i, &control_table[i], controls);
}
