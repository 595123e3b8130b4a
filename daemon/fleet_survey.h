/* fleet_survey.h: looks at GPUs, elsewhere than on the loop, when somebody
 * wants to know.
 *
 * A GPU that jobs wait for is looked at at once when a job of ours has been on
 * it since the last time, and else after foreign_s: so while nobody waits,
 * nobody looks, and others are not polled.
 */
#ifndef DAEMON_FLEET_SURVEY_H
#define DAEMON_FLEET_SURVEY_H

#include "daemon/devices.h"

struct survey;
struct uv_loop_s;

struct survey_setup {
    struct uv_loop_s *loop;
    const struct config *config;
    struct devices *devices; /* whose state is kept */
    void *user;
    /* What was seen of a device by its number, or why it has failed. */
    void (*on_seen)(void *user, int device, const struct nvml_state *state);
    void (*on_failed)(void *user, int device, const char *why);
    /* The answer to survey_want, after on_seen. */
    void (*on_answer)(void *user, int device);
};

/* The setup's members are borrowed. */
struct survey *survey_new(const struct survey_setup *setup);
/* Waits, on the loop, for a look that is under way; then `on_freed`. */
void survey_free(struct survey *survey, void (*on_freed)(void *user),
                 void *user);

void survey_want(struct survey *survey, int device);
/* A job of ours is on it. */
void survey_spoil(struct survey *survey, int device);
/* Now, at the devices that `is_wanted`, or at all GPUs; `on_done` may be NULL,
 * and comes when what was seen is told. */
void survey_look(struct survey *survey,
                 bool (*is_wanted)(const void *user, int device),
                 void (*on_done)(void *user), void *user);

#endif
