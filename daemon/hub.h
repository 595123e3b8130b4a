/* hub.h: who watches what, and telling them.
 *
 * A watch begins in the reply to `watch` and ends with its connection; what
 * is delivered after the reply is pushed, in the order of its delivery.  A
 * connection that watches something twice hears of it once.
 */
#ifndef DAEMON_HUB_H
#define DAEMON_HUB_H

#include <stdbool.h>
#include <stdint.h>

struct cJSON;
struct connection;
struct hub;
struct job_change;

/* A sweep, or the jobs first..last when `sweep` is 0. */
struct watched {
    int64_t sweep, first, last;
};

/* `watched` is a struct watched (so that fleet_running can take this). */
bool watched_has(const void *watched, int64_t sweep, int64_t job);

struct hub *hub_new(void);
void hub_free(struct hub *hub);

void hub_watch(struct hub *hub, struct connection *connection,
               const struct watched *watched);
/* The connection is told that there are events from now on. */
void hub_follow(struct hub *hub, struct connection *connection);
void hub_forget(struct hub *hub, struct connection *connection);

void hub_change(struct hub *hub, const struct job_change *change);
void hub_progress(struct hub *hub, int64_t sweep, int64_t job,
                  const struct cJSON *progress);
void hub_event(struct hub *hub, int64_t event, const char *kind);
void hub_shutdown(struct hub *hub, double at);

#endif
