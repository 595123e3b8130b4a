#include "daemon/wish.h"

#include <stdio.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/submission.h"
#include "schema/spec.h"

void wish_init(struct wish *wish, const struct submission *s, int64_t position)
{
    spec_job(s->spec, position, &wish->settings);
    submission_label(s, &wish->settings, " ", wish->label, sizeof wish->label);
    wish->shape = submission_shape(s, &wish->settings);
    settings_canonical(&wish->settings, wish->shape);
    key_make(&wish->key, &wish->settings, wish->shape);
    snprintf(wish->device_class, sizeof wish->device_class, "%s threads-%lld",
             s->device_class, (long long)wish->settings.threads);
}

/* How well a run serves: with all epochs, of the right class, unbound. */
enum rank { RANK_NONE, RANK_UNBOUND, RANK_CLASS, RANK_DONE, RANK_DONE_CLASS };

static enum rank rank_run(const struct wish *wish, const char *device_class,
                          int64_t epochs_done)
{
    bool is_class = device_class && !strcmp(device_class, wish->device_class);
    if (epochs_done >= wish->settings.nb_epochs)
        return is_class ? RANK_DONE_CLASS : RANK_DONE;
    return is_class ? RANK_CLASS : device_class ? RANK_NONE : RANK_UNBOUND;
}

static bool find_run(struct store *store, const struct wish *wish,
                     struct found_run *run, enum rank *best,
                     struct error *error)
{
    struct statement *s = db_sql(
        store->db, "SELECT id, device_class, epochs_done, diverged_epoch, "
                   "failure FROM run WHERE key = ? AND replica = 0 "
                   "ORDER BY id");
    bind_text(s, wish->key.hex);
    run->id = 0;
    *best = RANK_NONE;
    while (statement_next(s)) {
        int64_t epochs_done = column_integer_or(s, 2, -1);
        enum rank rank = rank_run(wish, column_text(s, 1), epochs_done);
        if (rank <= *best)
            continue;
        *best = rank;
        run->id = column_integer(s, 0);
        run->epochs_done = epochs_done;
        run->diverged_epoch = column_integer_or(s, 3, INT64_MAX);
        column_copy(s, 4, run->failure, sizeof run->failure);
    }
    return statement_finish(s, error);
}

/* Whether the jobs that will bind the run use another number of threads. */
static bool is_promised(struct store *store, const struct wish *wish,
                        const struct found_run *run, bool *is_promised,
                        struct error *error)
{
    struct statement *s =
        db_sql(store->db, "SELECT 1 FROM job WHERE run_id = ? AND threads <> ? "
                          "AND state IN ('held', 'queued') LIMIT 1");
    bind_integer(s, run->id);
    bind_integer(s, wish->settings.threads);
    *is_promised = statement_next(s);
    return statement_finish(s, error);
}

static bool insert_run(struct store *store, const struct wish *wish,
                       const char *device_class, struct found_run *run,
                       struct error *error)
{
    const struct settings *settings = &wish->settings;
    struct statement *s =
        db_sql(store->db, "INSERT INTO run (key, device_class, dataset_digest, "
                          "steps_per_epoch" RUN_COLUMNS
                          ") VALUES (?, ?, ?, ?" RUN_PARAMETERS ")");
    bind_text(s, wish->key.hex);
    bind_text(s, device_class);
    bind_text(s, wish->shape->digest);
    bind_integer(s, settings_train_rows(settings, wish->shape) /
                        settings->batch_size);
    columns_bind(s, settings);
    if (!statement_run(s, error))
        return false;
    *run = (struct found_run){.id = db_last_id(store->db),
                              .epochs_done = -1,
                              .diverged_epoch = INT64_MAX};
    return true;
}

bool wish_grant(const struct wish *wish, struct store *store, bool dry_run,
                struct found_run *run, bool *is_new, struct error *error)
{
    enum rank rank;
    bool is_other = false;
    if (!find_run(store, wish, run, &rank, error))
        return false;
    if (rank == RANK_UNBOUND &&
        !is_promised(store, wish, run, &is_other, error))
        return false;
    *is_new = !run->id || is_other;
    if (!*is_new)
        return true;
    if (!dry_run)
        return insert_run(store, wish, is_other ? wish->device_class : NULL,
                          run, error);
    *run = (struct found_run){.epochs_done = -1, .diverged_epoch = INT64_MAX};
    return true;
}
