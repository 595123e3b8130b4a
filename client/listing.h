/* listing.h: questions whose answers come in pages of rows.
 *
 * A listing asks for page after page and hands the rows to the output, or to
 * a function, so that a million rows need the memory of one page.  Its columns
 * are put together from fixed ones and the settings.
 */
#ifndef CLIENT_LISTING_H
#define CLIENT_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "client/connection.h"
#include "client/output.h"

enum { COLUMNS_MAX = 80 };

struct columns {
    int count;
    struct column column[COLUMNS_MAX];
};

void columns_add(struct columns *columns, const struct column *added,
                 int count);

/* Every setting, those that `varying` (a list of names, or NULL) holds in the
 * table too. */
void columns_add_settings(struct columns *columns, const struct cJSON *varying);

/* Every control of a sweep, that of the name `shown` (NULL: all) in the table.
 */
void columns_add_controls(struct columns *columns, const char *shown);

/* The settings of a list of names, in its order. */
void columns_add_varying(struct columns *columns, const struct cJSON *varying);

/* Whether a list of texts holds `name`. */
bool list_has(const struct cJSON *list, const char *name);

/* The names of a comma-separated text as a new list; NULL: one is no setting.
 */
struct cJSON *list_of_settings(const char *text, struct error *error);

/* One page at a time; false from `on_page` ends it, as a failure. */
typedef bool listing_page(void *user, const struct cJSON *page,
                          struct error *error);

struct listing {
    const char *method;
    const char *rows;     /* the member of the answer that holds the rows */
    struct cJSON *params; /* taken; NULL for none */
    int64_t after;        /* where to begin, 0: at the beginning */
    int64_t limit;        /* of rows, 0: all */
    bool has_more;        /* afterwards: the limit left some out */
};

bool listing_run(struct listing *listing, struct connection *connection,
                 listing_page *on_page, void *user, struct error *error);

/* The settings that vary over a target: a new list of names, or NULL. */
struct cJSON *listing_varying(struct connection *connection, const char *target,
                              struct error *error);

/* {"target": target} */
struct cJSON *params_of_target(const char *target);

#endif
