/* process.h: a child that speaks one JSON message per line on its stdout.
 *
 * Workers, and the worker program's --identify and --prepare, are started
 * with pipes as stdin, stdout and stderr, in a session of their own (so that
 * Ctrl-C in gaitd's terminal is for gaitd alone).  Lines of stderr go to the
 * log, of a child that says no end of them only the first; the last ones are
 * kept, to say why a child ended.
 *
 * A process has finished when it has exited and both its outputs have ended,
 * in whatever order that happens, but at most 2 s after the exit, because a
 * grandchild can hold a pipe open.  One that ends its stdout and goes on for
 * as long is failed.
 */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/tail.h"
#include "schema/error.h"

struct cJSON;
struct log;
struct process;
struct uv_loop_s;

/* How it ended.  Borrowed. */
struct process_end {
    bool is_success; /* it exited with status 0 by itself */
    /* "exit status 3", "killed by signal 9, perhaps out of memory", or what
     * process_fail was told. */
    const char *reason;
    const char *stderr_text; /* its last lines there, "" for none */
    const char *story;       /* both in one text */
};

struct process_hooks {
    void *user;
    /* Borrowed.  Not called any more after process_fail. */
    void (*on_message)(void *user, const struct cJSON *message);
    /* Once, at the very end: the process is freed on return. */
    void (*on_end)(void *user, const struct process_end *end);
    /* Before messages that came together, and (`is_over`) after.  May be
     * NULL. */
    void (*on_several)(void *user, bool is_over);
};

enum { STDERR_BYTES = TAIL_BYTES };

/* Starts argv[0] (a path); `label` begins its lines in the log.  NULL when it
 * cannot be started; on_end is not called then. */
struct process *process_open(struct uv_loop_s *loop, const struct log *log,
                             const char *label, char *const argv[],
                             const struct process_hooks *hooks,
                             struct error *error);

/* The same with another environment than gaitd's own. */
struct process *process_open_in(char *const environment[],
                                struct uv_loop_s *loop, const struct log *log,
                                const char *label, char *const argv[],
                                const struct process_hooks *hooks,
                                struct error *error);

pid_t process_pid(const struct process *process);

/* Queues a message (taken) for its stdin.  A child that leaves more than 1 MiB
 * unread is failed. */
void process_send(struct process *process, struct cJSON *message);

/* Ends its stdin: a worker then saves and exits. */
void process_hang_up(struct process *process);

/* Kills it, if it has not exited, after so long from now; process_spare takes
 * that back. */
void process_kill_after(struct process *process, double seconds);
void process_spare(struct process *process);

/* It broke the protocol: nothing more of it is read, and it is killed.  Only
 * the first reason counts. */
void process_fail(struct process *process, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What stderr said last, as many whole lines as fit, in UTF-8; and forgets
 * what it said so far (another attempt begins). */
void process_stderr(const struct process *process, char text[STDERR_BYTES]);
void process_forget_stderr(struct process *process);

/* Runs a loop that has nothing but processes on it until all have ended. */
void process_wait_all(struct uv_loop_s *loop);

#endif
