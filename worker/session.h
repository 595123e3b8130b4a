/* session.h: what a worker says and does from hello to its end.
 */
#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

struct cJSON;
struct channel;
struct device;

/* The hello message (protocol.md), the caller's. */
struct cJSON *session_hello(const struct device *device);

/* Says hello and serves attempts, one at a time, until told to quit or until
 * the channel ends.  Data sets stay mapped between them. */
void session_run(struct channel *channel, struct device *device);

#endif
