/* query.h: the questions that readers answer, one function each.
 *
 * A question is asked within one read transaction, so that all of an answer
 * belongs to one moment.  Parameters' names and types have been checked by
 * request.c; their values are checked here.
 */
#ifndef DAEMON_QUERY_H
#define DAEMON_QUERY_H

#include "daemon/db.h"
#include "daemon/target.h"

struct cJSON;

struct question {
    struct db *db;
    const struct cJSON *params;
    const struct caller *caller;
};

/* The answer is the caller's; NULL with an error. */
typedef struct cJSON *query_function(const struct question *question,
                                     struct error *error);
query_function *query_find(const char *method); /* NULL: no such question */

query_function query_list, query_sweeps, query_show, query_history,
    query_results, query_counts, query_explain, query_verification,
    query_deletion, query_events, query_fsck, query_backup;

/* The page that is asked for, as it fills.  It is full at `limit` rows, or
 * before they no longer fit one message. */
struct page {
    int64_t limit, after;
    int64_t count, bytes;
    struct cJSON *rows; /* borrowed */
};

/* ERROR_PARAMS when a value is out of range. */
bool page_init(struct page *page, const struct question *question,
               struct cJSON *rows, struct error *error);
bool page_is_full(const struct page *page);
void page_add(struct page *page, struct cJSON *row); /* taken */
/* Adds "next": null when there is nothing more, which `next` 0 says. */
void page_end(struct cJSON *answer, int64_t next);

/* params.target. */
bool question_target(const struct question *question, struct target *target,
                     struct error *error);

/* The settings in which the target's jobs differ from each other. */
struct varying {
    int count;
    int indexes[SETTING_COUNT]; /* into setting_table */
};
bool varying_find(const struct question *question, const struct target *target,
                  struct varying *varying, struct error *error);
/* Those in which they may: all others are as in `common`, the columns of which
 * need not be read. */
bool varying_candidates(const struct question *question,
                        const struct target *target,
                        bool is_candidate[SETTING_COUNT],
                        struct settings *common, struct error *error);
void varying_write(const struct varying *varying, struct cJSON *answer);

/* Those of a row of SETTING_COLUMNS from `first` on, as they take effect. */
void varying_write_row(const struct varying *varying, struct cJSON *row,
                       struct statement *s, int first);

/* Values of a row. */
void row_integer(struct cJSON *row, const char *name, struct statement *s,
                 int column); /* NULL is null, as in the others */
void row_real(struct cJSON *row, const char *name, struct statement *s,
              int column);
void row_text(struct cJSON *row, const char *name, struct statement *s,
              int column);
void row_boolean(struct cJSON *row, const char *name, struct statement *s,
                 int column);

/* Several of them: the names are those of the columns from `first` on. */
struct field {
    const char *name;
    void (*write)(struct cJSON *row, const char *name, struct statement *s,
                  int column);
};
void row_fields(struct cJSON *row, const struct field *fields, int count,
                struct statement *s, int first);

/* Whether the queue is drained, since when and by whom. */
struct drained {
    bool is_drained;
    double at;
    char user[64];
};
bool question_drained(const struct question *question, struct drained *drained,
                      struct error *error);

/* `news`, what happened since the caller has looked, and `seen`, up to where.
 */
bool query_news_write(const struct question *question, struct cJSON *answer,
                      struct error *error);

/* What list and show have in common. */
extern const char query_sweep_columns[]; /* of a sweep s */
bool query_sweep_write(const struct question *question, int64_t id,
                       struct cJSON **sweep, struct error *error);
bool query_job_write(const struct question *question, int64_t id,
                     struct cJSON **job, struct error *error);

#endif
