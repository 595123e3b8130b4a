/* hello.h: who a worker says it is, and whether gaitd works with it.
 */
#ifndef DAEMON_HELLO_H
#define DAEMON_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/error.h"
#include "schema/paths.h"

struct cJSON;
struct config;
struct log;
struct uv_loop_s;

/* What a worker says of itself in its first message. */
struct hello {
    char build[64];
    int64_t pid;
    char device[64];
    char device_class[128];
    char uuid[96]; /* of a GPU */
};

/* ERROR_PROTOCOL when it is not a hello of this build, protocol and engine. */
bool hello_read(struct hello *hello, const struct cJSON *message,
                struct error *error);

/* Runs `program --identify` on a loop that has nothing else to do; `uuid` is
 * the GPU's, or NULL for the CPU. */
bool hello_ask(struct hello *hello, struct uv_loop_s *loop,
               const struct log *log, const char *program, const char *uuid,
               struct error *error);

/* Whether the GPU that a worker has opened is the one of that UUID: that of an
 * instance may come with another prefix. */
bool hello_is_on(const struct hello *hello, const char *uuid);

/* A worker's environment: gaitd's, in which it sees that GPU alone.  The
 * caller's to free, as one block. */
char **hello_environment(const char *uuid);

/* The worker program: the one configured, else gait-worker beside gaitd's own
 * executable, in ../libexec/gaitd from there, or in $PATH. */
bool worker_find(char path[PATH_BYTES], const struct config *config,
                 struct error *error);

#endif
