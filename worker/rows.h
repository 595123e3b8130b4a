/* rows.h: evaluations that gaitd has not yet said are on disk.
 *
 * In the order of their steps.  Each is sent once it is measured; until it is
 * committed it also travels in the run's checkpoints, as one JSON object a
 * line with the members of a `row` message.
 */
#ifndef WORKER_ROWS_H
#define WORKER_ROWS_H

#include "schema/error.h"
#include "worker/engine/trainer.h"

struct cJSON;

struct rows {
    struct evaluation *items;
    int count, capacity;
};

void rows_release(struct rows *rows); /* empty again */
void rows_add(struct rows *rows, const struct evaluation *row);

/* Rows up to `step` are on disk at gaitd: drops them. */
void rows_commit(struct rows *rows, int64_t step);

/* The row of that step, or NULL. */
const struct evaluation *rows_find(const struct rows *rows, int64_t step);

/* Adds the members of a `row` message to an object. */
void row_write(const struct evaluation *row, struct cJSON *object);

/* All of them as text, the caller's; and back.  False: not such text, or
 * steps that do not increase; `rows` is then empty. */
char *rows_print(const struct rows *rows);
bool rows_init(struct rows *rows, const char *text, struct error *error);

#endif
