#include "daemon/wish.h"

#include <stdio.h>
#include <string.h>

#include "daemon/columns.h"
#include "daemon/submission.h"
#include "schema/spec.h"

void wish_init(struct wish *wish, const struct submission *s, int64_t position,
               int64_t first_run)
{
    spec_job(s->spec, position, &wish->settings);
    submission_label(s, &wish->settings, " ", wish->label, sizeof wish->label);
    wish->shape = submission_shape(s, &wish->settings);
    settings_canonical(&wish->settings, wish->shape);
    key_make(&wish->key, &wish->settings, wish->shape);
    submission_demand(&wish->settings, wish->shape, &wish->demand);
    wish->places = s->places;
    wish->place_count = s->place_count;
    wish->fresh_from = s->fresh ? first_run : 0;
}

/* How well a run serves.  Ranks are of three kinds, and between replicas only
 * the kind counts: what is there, what can be trained here, what cannot. */
enum rank {
    RANK_NONE,
    RANK_GONE,
    RANK_UNBOUND,
    RANK_CLASS,
    RANK_DONE,
    RANK_DONE_CLASS
};

static int kind_of(enum rank rank)
{
    return rank >= RANK_DONE ? 3 : rank >= RANK_UNBOUND ? 2 : rank;
}

/* Whether the wish may run where that class is. */
static bool is_offered(const struct wish *wish, const char *device_class)
{
    char offered[160];
    for (int i = 0; i < wish->place_count; i++) {
        place_print_class(&wish->places[i], wish->demand.threads, offered);
        if (place_suits(&wish->places[i], &wish->demand) &&
            !strcmp(offered, device_class))
            return true;
    }
    return false;
}

/* The first class that it may run on. */
static void choose_class(const struct wish *wish, char text[160])
{
    text[0] = '\0';
    for (int i = 0; i < wish->place_count && !*text; i++)
        if (place_suits(&wish->places[i], &wish->demand))
            place_print_class(&wish->places[i], wish->demand.threads, text);
}

static bool has_threads(const struct wish *wish, const char *device_class)
{
    char end[32];
    int length = snprintf(end, sizeof end, " threads-%lld",
                          (long long)wish->settings.threads);
    size_t bytes = strlen(device_class);
    return bytes > (size_t)length &&
           !strcmp(device_class + bytes - (size_t)length, end);
}

/* Of an unfinished run.  Its jobs that wait may use another number of threads:
 * then they will bind it to another class. */
static enum rank rank_open(const struct store *store, const struct wish *wish,
                           const char *device_class, bool is_promised)
{
    if (!*device_class)
        return is_promised ? RANK_NONE : RANK_UNBOUND;
    if (is_offered(wish, device_class))
        return RANK_CLASS;
    return has_threads(wish, device_class) &&
                   !store_offers(store, device_class,
                                 (int)wish->settings.threads)
               ? RANK_GONE
               : RANK_NONE;
}

static enum rank rank_run(const struct store *store, const struct wish *wish,
                          const struct found_run *run, bool is_promised)
{
    if (run->epochs_done < wish->settings.nb_epochs)
        return rank_open(store, wish, run->device_class, is_promised);
    return is_offered(wish, run->device_class) ? RANK_DONE_CLASS : RANK_DONE;
}

static void read_run(struct statement *s, struct found_run *run)
{
    run->id = column_integer(s, 0);
    column_copy(s, 2, run->device_class, sizeof run->device_class);
    run->epochs_done = column_integer_or(s, 3, -1);
    run->diverged_epoch = column_integer_or(s, 4, INT64_MAX);
    column_copy(s, 5, run->failure, sizeof run->failure);
}

/* What is known of the wish's key. */
struct candidates {
    struct found_run best; /* id 0: none */
    enum rank rank;
    int64_t replica;      /* of the best */
    int64_t next_replica; /* that a new run gets */
    bool is_promised;     /* an unbound run will be bound by other jobs */
};

static bool is_better(const struct candidates *found, enum rank rank,
                      int64_t replica)
{
    if (kind_of(rank) != kind_of(found->rank))
        return kind_of(rank) > kind_of(found->rank);
    if (replica != found->replica)
        return rank != RANK_NONE && replica > found->replica;
    return rank > found->rank;
}

/* A fresh wish takes no run from before its submission, but their next
 * replica. */
static void consider(const struct store *store, const struct wish *wish,
                     struct statement *s, struct candidates *found)
{
    struct found_run run;
    read_run(s, &run);
    int64_t replica = column_integer(s, 1);
    bool is_old = run.id < wish->fresh_from;
    if (replica + is_old > found->next_replica)
        found->next_replica = replica + is_old;
    if (is_old)
        return;
    bool is_promised = column_integer(s, 6);
    enum rank rank = rank_run(store, wish, &run, is_promised);
    found->is_promised = found->is_promised || is_promised;
    if (!is_better(found, rank, replica))
        return;
    run.is_gone = rank == RANK_GONE;
    found->best = run;
    found->rank = rank;
    found->replica = replica;
}

static bool find_run(struct store *store, const struct wish *wish,
                     struct candidates *found, struct error *error)
{
    struct statement *s = db_sql(
        store->db,
        "SELECT r.id, r.replica, r.device_class, r.epochs_done, "
        "r.diverged_epoch, r.failure, r.device_class IS NULL AND EXISTS "
        "(SELECT 1 FROM job j WHERE j.run_id = r.id AND j.threads <> ? AND "
        "+j.state IN ('held', 'queued')) FROM run r WHERE r.key = ? AND "
        "r.replica >= 0");
    bind_integer(s, wish->settings.threads);
    bind_text(s, wish->key.hex);
    while (statement_next(s))
        consider(store, wish, s, found);
    return statement_finish(s, error);
}

static bool insert_run(struct store *store, const struct wish *wish,
                       const char *device_class, int64_t replica,
                       struct found_run *run, struct error *error)
{
    const struct settings *settings = &wish->settings;
    struct statement *s =
        db_sql(store->db,
               "INSERT INTO run (key, device_class, replica, dataset_digest, "
               "steps_per_epoch" RUN_COLUMNS
               ") VALUES (?, ?, ?, ?, ?" RUN_PARAMETERS ")");
    bind_text(s, wish->key.hex);
    bind_text(s, device_class);
    bind_integer(s, replica);
    bind_text(s, wish->shape->digest);
    bind_integer(s, settings_train_rows(settings, wish->shape) /
                        settings->batch_size);
    columns_bind(s, settings);
    if (!statement_run(s, error))
        return false;
    *run = (struct found_run){.id = db_last_id(store->db),
                              .epochs_done = -1,
                              .diverged_epoch = INT64_MAX};
    if (device_class)
        snprintf(run->device_class, sizeof run->device_class, "%s",
                 device_class);
    return true;
}

bool wish_grant(const struct wish *wish, struct store *store, bool dry_run,
                struct found_run *run, struct error *error)
{
    struct candidates found = {.rank = RANK_NONE};
    if (!find_run(store, wish, &found, error))
        return false;
    *run = found.best;
    if (run->id)
        return true;
    char device_class[160];
    choose_class(wish, device_class);
    bool is_bound = found.is_promised && *device_class;
    if (!dry_run)
        return insert_run(store, wish, is_bound ? device_class : NULL,
                          found.next_replica, run, error);
    *run = (struct found_run){.epochs_done = -1, .diverged_epoch = INT64_MAX};
    return true;
}
