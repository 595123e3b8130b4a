/* columns.h: settings as columns of the database.
 *
 * Trajectory and measurement settings are columns of `run`, placement and
 * length settings columns of `job`; both follow from the settings table, at
 * compile time, so that every SQL text is a constant.
 */
#ifndef DAEMON_COLUMNS_H
#define DAEMON_COLUMNS_H

#include "daemon/db.h"
#include "schema/control.h"
#include "schema/settings.h"

/* ", r.algorithm, r.dataset, ... j.device, j.threads, j.nb_epochs": every
 * setting, in the order of the table, of a run r and a job j. */
#define COLUMN_TRAJECTORY(name) ", r." #name
#define COLUMN_MEASUREMENT(name) ", r." #name
#define COLUMN_PLACEMENT(name) ", j." #name
#define COLUMN_LENGTH(name) ", j." #name
#define COLUMN(name, type, kind, initial, least, most, words, help)            \
    COLUMN_##kind(name)
#define SETTING_COLUMNS SETTINGS(COLUMN)

/* The same of `run` only, and as many parameters, for an INSERT. */
#define RUN_COLUMN_TRAJECTORY(text) text
#define RUN_COLUMN_MEASUREMENT(text) text
#define RUN_COLUMN_PLACEMENT(text)
#define RUN_COLUMN_LENGTH(text)
#define RUN_COLUMN(name, type, kind, initial, least, most, words, help)        \
    RUN_COLUMN_##kind(", " #name)
#define RUN_PARAMETER(name, type, kind, initial, least, most, words, help)     \
    RUN_COLUMN_##kind(", ?")
#define RUN_COLUMNS SETTINGS(RUN_COLUMN)
#define RUN_PARAMETERS SETTINGS(RUN_PARAMETER)

/* The controls, columns of `sweep`: ", priority, hold, ...", and as many
 * parameters. */
#define CONTROL_COLUMN(name, type, initial, least, most, words, help) ", " #name
#define CONTROL_PARAMETER(name, type, initial, least, most, words, help) ", ?"
#define CONTROL_COLUMNS CONTROLS(CONTROL_COLUMN)
#define CONTROL_PARAMETERS CONTROLS(CONTROL_PARAMETER)

/* Binds for CONTROL_PARAMETERS; reads CONTROL_COLUMNS from `first` on. */
void controls_bind(struct statement *statement,
                   const struct controls *controls);
void controls_load(struct statement *statement, int first,
                   struct controls *controls);

/* "run", "job" or "sweep". */
const char *column_table(const struct setting *setting);

/* Binds the settings of `run`, for RUN_PARAMETERS. */
void columns_bind(struct statement *statement, const struct settings *settings);

/* Reads SETTING_COLUMNS, the first of which is column `first`. */
void columns_read(struct statement *statement, int first,
                  struct settings *settings);

/* One setting or control; `fields` are its struct settings or controls. */
void column_bind(struct statement *statement, const struct setting *setting,
                 const void *fields);
void column_read(struct statement *statement, int column,
                 const struct setting *setting, void *fields);

#endif
