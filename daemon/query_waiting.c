/* Reasons why a queued job does not run. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/explanation.h"
#include "schema/gpu_memory.h"
#include "schema/json.h"
#include "schema/memory.h"

/* The one number that a statement gives. */
static bool read_count(struct statement *s, int64_t *count, struct error *error)
{
    *count = 0;
    while (statement_next(s))
        *count = column_integer(s, 0);
    return statement_finish(s, error);
}

bool explanation_has_attempt(const struct explanation *e, bool *has,
                             struct error *error)
{
    int64_t count;
    struct statement *s = db_sql(
        e->question->db, "SELECT count(*) FROM attempt WHERE job_id = ? AND "
                         "ended_at IS NULL");
    bind_integer(s, e->job.id);
    bool is_fine = read_count(s, &count, error);
    *has = count > 0;
    return is_fine;
}

static bool is_drained(const struct explanation *e, char **text,
                       struct error *error)
{
    struct drained drained;
    char at[32];
    if (!question_drained(e->question, &drained, error))
        return false;
    if (drained.is_drained)
        *text = xprintf("is queued, and no job is started since %s had the "
                        "queue drained at %s: gaitctl drain --undo ends that",
                        drained.user, explanation_time(drained.at, at));
    return true;
}

/* "2 of its jobs failed and 1 was cancelled", or "". */
static void print_unlucky(char text[96], int64_t failed, int64_t cancelled)
{
    char end[48] = "";
    if (cancelled)
        snprintf(end, sizeof end, "%s%lld %s cancelled", failed ? " and " : "",
                 (long long)cancelled, cancelled == 1 ? "was" : "were");
    snprintf(text, 96, "%s", end);
    if (failed)
        snprintf(text, 96, "%lld failed%s", (long long)failed, end);
}

static bool read_after(const struct explanation *e, char name[SPEC_NAME_BYTES],
                       int64_t counts[JOB_STATE_COUNT], struct error *error)
{
    struct target target = {.sweep = e->job.after};
    struct statement *s =
        db_sql(e->question->db, "SELECT name FROM sweep WHERE id = ?");
    bind_integer(s, e->job.after);
    if (statement_next(s))
        column_copy(s, 0, name, SPEC_NAME_BYTES);
    return statement_finish(s, error) &&
           target_count(e->question->db, &target, counts, error);
}

static bool waits_for_sweep(const struct explanation *e, char **text,
                            struct error *error)
{
    char name[SPEC_NAME_BYTES] = "", unlucky[96], open[64] = "";
    int64_t counts[JOB_STATE_COUNT];
    if (!e->job.after)
        return true;
    if (!read_after(e, name, counts, error))
        return false;
    int64_t left = counts[JOB_held] + counts[JOB_queued] + counts[JOB_running];
    print_unlucky(unlucky, counts[JOB_failed], counts[JOB_cancelled]);
    if (left)
        snprintf(open, sizeof open, "%lld %s not done yet%s", (long long)left,
                 left == 1 ? "is" : "are", unlucky[0] ? ", " : "");
    *text = xprintf("waits for sweep \"%s\": of its jobs %s%s", name, open,
                    unlucky);
    if (unlucky[0]) {
        char *waits = *text;
        *text = xprintf("%s; \"gaitctl retry %s\" trains them again, "
                        "\"gaitctl release %s\" starts this sweep anyway",
                        waits, name, e->job.sweep_name);
        free(waits);
    }
    return true;
}

static bool has_no_slots(const struct explanation *e, char **text,
                         struct error *error)
{
    (void)error;
    if (!e->offer.slots)
        *text = xprintf("is queued: this gaitd has no slots");
    return true;
}

/* Whether the class is the one on which its run began, if that has begun. */
static bool has_class(const struct explanation *e, const struct place *place)
{
    char device_class[CLASS_BYTES];
    place_print_class(place, e->job.demand.threads, device_class);
    return !e->job.device_class[0] ||
           !strcmp(e->job.device_class, device_class);
}

static bool is_of_another_class(const struct explanation *e, char **text,
                                struct error *error)
{
    (void)error;
    char classes[600];
    for (int i = 0; i < e->offer.place_count; i++)
        if (has_class(e, &e->offer.places[i]))
            return true;
    places_print_classes(e->offer.places, e->offer.place_count, classes,
                         sizeof classes);
    *text = xprintf("waits for a slot of device class \"%s\", on which "
                    "its run began, and this machine offers %s: "
                    "gaitctl submit --fresh trains it anew here",
                    e->job.device_class, classes);
    return true;
}

static bool has_no_place(const struct explanation *e, char **text,
                         struct error *error)
{
    (void)error;
    char reason[PLACE_REASON_BYTES];
    struct demand one = e->job.demand;
    one.threads = 1;
    places_refuse(e->offer.places, e->offer.place_count, &one, reason);
    if (*reason)
        *text = xprintf("waits for another device: %s", reason);
    return true;
}

static bool needs_more_slots(const struct explanation *e, char **text,
                             struct error *error)
{
    (void)error;
    long long slots = 0;
    for (int i = 0; i < e->offer.place_count; i++) {
        const struct place *place = &e->offer.places[i];
        if (place_suits(place, &e->job.demand))
            return true;
        if (place->gpu < 0)
            slots = place->slots;
    }
    *text =
        xprintf("waits for %lld slots at once, and there %s %lld",
                (long long)e->job.threads, slots == 1 ? "is" : "are", slots);
    return true;
}

/* What keeps the job from a place: "" for nothing but its turn. */
static void look_at(const struct explanation *e, int i, char obstacle[512])
{
    const struct place *place = &e->offer.places[i];
    const struct cJSON *live = cJSON_GetArrayItem(e->offer.list, i);
    const char *trouble = json_text_or(live, "trouble", "");
    int64_t left = json_integer_or(live, "room_bytes", 0) -
                   json_integer_or(live, "taken_bytes", 0);
    char need[GPU_SIZE_BYTES], there[GPU_SIZE_BYTES];
    bool is_short = place->gpu >= 0 && left < e->job.demand.gpu_bytes &&
                    json_integer_or(live, "free_slots", 0) > 0;
    obstacle[0] = '\0';
    int64_t serving = json_integer_or(live, "serving", place->slots);
    if (!serving)
        snprintf(obstacle, 512, "%s is %.450s", place->device, trouble);
    else if (serving < place_slots(place, &e->job.demand))
        snprintf(obstacle, 512,
                 "it needs %lld slots at once, and of %s's %d one is %.400s",
                 (long long)e->job.threads, place->device, place->slots,
                 trouble);
    else if (is_short)
        snprintf(obstacle, 512, "it needs %s of GPU memory, %s free on GPU %s",
                 gpu_size(e->job.demand.gpu_bytes, need),
                 gpu_size(left < 0 ? 0 : left, there),
                 place->device + strlen("cuda:"));
}

/* Something is in the way at every place that it could have. */
static bool waits_for_device(const struct explanation *e, char **text,
                             struct error *error)
{
    (void)error;
    char all[1024] = "", obstacle[512];
    size_t used = 0;
    for (int i = 0; e->job.is_ready && i < e->offer.place_count; i++) {
        if (!place_suits(&e->offer.places[i], &e->job.demand) ||
            !has_class(e, &e->offer.places[i]))
            continue;
        look_at(e, i, obstacle);
        if (!*obstacle)
            return true;
        if (used < sizeof all)
            used += (size_t)snprintf(all + used, sizeof all - used, "%s%s",
                                     used ? "; " : "", obstacle);
    }
    if (*all)
        *text = xprintf("is queued: %s", all);
    return true;
}

/* "waits 5 s after a crash (2 of 3)" says how long in all; what is left of it
 * is what one wants to know (never more, whatever the clock says). */
static bool waits_after_crash(const struct explanation *e, char **text,
                              struct error *error)
{
    (void)error;
    const char *reason = e->job.reason;
    const char *rest = strstr(reason, " after ");
    double all = strtod(reason + strcspn(reason, " "), NULL);
    if (e->job.wait_s > 0)
        *text = xprintf("is queued: waits %.0f s%s",
                        ceil(fmin(e->job.wait_s, all)), rest ? rest : "");
    return true;
}

static bool is_set_aside(const struct explanation *e, char **text,
                         struct error *error)
{
    (void)error;
    if (e->job.reason[0])
        *text = xprintf("is queued: %s", e->job.reason);
    return true;
}

static bool still_stops(const struct explanation *e, char **text,
                        struct error *error)
{
    bool has;
    if (!explanation_has_attempt(e, &has, error))
        return false;
    if (has)
        *text = xprintf("is queued: its last worker still saves a checkpoint");
    return true;
}

/* The other job that keeps the run busy, or comes first. */
static bool waits_for_twin(const struct explanation *e, char **text,
                           struct error *error)
{
    if (e->job.is_ready)
        return true;
    struct statement *s = db_sql(
        e->question->db,
        "SELECT j.id, j.is_ready = 0 FROM job j WHERE j.run_id = ? AND "
        "j.id <> ? AND (j.is_ready = 1 OR j.state = 'running' OR EXISTS "
        "(SELECT 1 FROM attempt a WHERE a.job_id = j.id AND a.ended_at IS NULL)"
        ") ORDER BY j.is_ready LIMIT 1");
    bind_integer(s, e->job.run);
    bind_integer(s, e->job.id);
    if (statement_next(s))
        *text = xprintf("is queued: its run is %s by job %lld",
                        column_integer(s, 1) ? "being trained"
                                             : "to be trained first",
                        (long long)column_integer(s, 0));
    return statement_finish(s, error);
}

/* Jobs under way: what limits count. */
#define RUNNING                                                                \
    "SELECT count(*) FROM attempt a INDEXED BY attempt_open "                  \
    "JOIN job j ON j.id = a.job_id WHERE a.ended_at IS NULL AND "

static bool is_limited_by_sweep(const struct explanation *e, char **text,
                                struct error *error)
{
    int64_t running;
    if (!e->job.max_running)
        return true;
    struct statement *s = db_sql(e->question->db, RUNNING "j.sweep_id = ?");
    bind_integer(s, e->job.sweep);
    if (!read_count(s, &running, error))
        return false;
    const char *name = e->job.sweep_name;
    if (running >= e->job.max_running)
        *text = xprintf("is queued: %lld of sweep \"%s\" run, as many as its "
                        "max_running allows; \"gaitctl limit %s N\" changes it",
                        (long long)running, name, name);
    return true;
}

static bool is_limited_by_user(const struct explanation *e, char **text,
                               struct error *error)
{
    int64_t running;
    if (!e->offer.max_running_per_user)
        return true;
    struct statement *s = db_sql(e->question->db, RUNNING "j.owner_uid = ?");
    bind_integer(s, e->job.owner_uid);
    if (!read_count(s, &running, error))
        return false;
    if (running >= e->offer.max_running_per_user)
        *text = xprintf("is queued: %lld of %s's jobs run, as many as this "
                        "gaitd's max_running_per_user allows",
                        (long long)running, e->job.owner);
    return true;
}

/* Those that are ready and go first: of higher priority, older ones of its
 * owner, and owners that it takes turns with. */
struct ahead {
    int64_t higher, own, owners;
};

static bool count_ahead(const struct explanation *e, struct ahead *ahead,
                        struct error *error)
{
    struct db *db = e->question->db;
    struct statement *s =
        db_sql(db, "SELECT count(*) FROM job INDEXED BY job_ready "
                   "WHERE is_ready = 1 AND priority > ?");
    bind_integer(s, e->job.priority);
    if (!read_count(s, &ahead->higher, error))
        return false;
    s = db_sql(db, "SELECT count(*) FROM job INDEXED BY job_ready "
                   "WHERE is_ready = 1 AND priority = ? AND owner_uid = ? AND "
                   "(sweep_id, id) < (?, ?)");
    bind_integer(s, e->job.priority);
    bind_integer(s, e->job.owner_uid);
    bind_integer(s, e->job.sweep);
    bind_integer(s, e->job.id);
    if (!read_count(s, &ahead->own, error))
        return false;
    s = db_sql(db, "SELECT count(DISTINCT owner_uid) FROM job "
                   "INDEXED BY job_ready WHERE is_ready = 1 AND priority = ? "
                   "AND owner_uid <> ?");
    bind_integer(s, e->job.priority);
    bind_integer(s, e->job.owner_uid);
    return read_count(s, &ahead->owners, error);
}

/* "3 jobs of higher priority and 5 more of ann", "5 jobs" */
static void print_ahead(char text[192], const struct explanation *e,
                        const struct ahead *ahead)
{
    const char *end = ahead->higher == 1 ? "" : "s";
    bool has_others = ahead->higher || ahead->owners;
    int used = 0;
    if (ahead->higher)
        used =
            snprintf(text, 192, "%lld job%s of higher priority%s",
                     (long long)ahead->higher, end, ahead->own ? " and " : "");
    if (ahead->higher && ahead->own)
        end = " more";
    else
        end = ahead->own == 1 ? " job" : " jobs";
    if (ahead->own)
        snprintf(text + used, 192 - (size_t)used, "%lld%s%s%s",
                 (long long)ahead->own, end, has_others ? " of " : "",
                 has_others ? e->job.owner : "");
}

static bool waits_its_turn(const struct explanation *e, char **text,
                           struct error *error)
{
    struct ahead ahead;
    char jobs[192], turns[160] = "", slots[48] = "a slot is free";
    if (!e->job.is_ready)
        return true;
    if (!count_ahead(e, &ahead, error))
        return false;
    if (ahead.owners)
        snprintf(turns, sizeof turns, "; %s takes turns with %lld other user%s",
                 e->job.owner, (long long)ahead.owners,
                 ahead.owners == 1 ? "" : "s");
    if (e->job.threads > 1)
        snprintf(slots, sizeof slots, "%lld slots are free at once",
                 (long long)e->job.threads);
    print_ahead(jobs, e, &ahead);
    if (ahead.higher || ahead.own)
        *text = xprintf("is queued behind %s%s", jobs, turns);
    else
        *text = xprintf("is queued: it comes next, when %s%s", slots, turns);
    return true;
}

static bool is_being_woken(const struct explanation *e, char **text,
                           struct error *error)
{
    (void)e, (void)error;
    *text = xprintf("is queued, and is about to get its place in the queue");
    return true;
}

/* The first that holds is told; one always does. */
static explanation_function *const reasons[] = {
    is_drained,          waits_for_sweep,  has_no_slots,
    is_of_another_class, has_no_place,     needs_more_slots,
    waits_after_crash,   waits_for_device, is_set_aside,
    still_stops,         waits_for_twin,   is_limited_by_sweep,
    is_limited_by_user,  waits_its_turn,   is_being_woken,
};

bool explain_queued(const struct explanation *e, char **text,
                    struct error *error)
{
    for (size_t i = 0; !*text && i < sizeof reasons / sizeof *reasons; i++)
        if (!reasons[i](e, text, error))
            return false;
    return true;
}
