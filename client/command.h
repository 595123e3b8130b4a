/* command.h: what a command of gaitctl is.
 *
 * A command is one file, cmd_<name>.c, that holds its function and its entry
 * `command_<name>` (a few that are much alike share one); COMMANDS lists them.
 * Usage, help and flag parsing follow from the entry.
 */
#ifndef CLIENT_COMMAND_H
#define CLIENT_COMMAND_H

#include <math.h>

#include "client/deadline.h"
#include "client/options.h"
#include "client/output.h"
#include "client/style.h"
#include "schema/error.h"

/* G(title) and the X(name) of its group, in the order of the usage. */
#define COMMAND_GROUPS(G, X)                                                   \
    G("train")                                                                 \
    X(submit)                                                                  \
    X(watch)                                                                   \
    X(wait)                                                                    \
    X(verify)                                                                  \
    G("look")                                                                  \
    X(list)                                                                    \
    X(show)                                                                    \
    X(explain)                                                                 \
    X(events)                                                                  \
    G("answers")                                                               \
    X(results)                                                                 \
    X(history)                                                                 \
    X(plot)                                                                    \
    G("queue")                                                                 \
    X(cancel)                                                                  \
    X(retry)                                                                   \
    X(hold)                                                                    \
    X(release)                                                                 \
    X(pause)                                                                   \
    X(resume)                                                                  \
    X(priority)                                                                \
    X(limit)                                                                   \
    G("disk")                                                                  \
    X(keep)                                                                    \
    X(delete)                                                                  \
    G("daemon")                                                                \
    X(status)                                                                  \
    X(devices)                                                                 \
    X(fsck)                                                                    \
    X(backup)                                                                  \
    X(drain)                                                                   \
    X(shutdown)

#define COMMAND_NO_TITLE(title)
#define COMMANDS(X) COMMAND_GROUPS(COMMAND_NO_TITLE, X)

/* What a command works with.  Data goes to `output` (stdout), talk to stderr.
 */
struct client {
    const struct command *command;
    struct options options;
    struct output output;
    struct style err; /* of stderr */
};

struct command {
    const char *name;
    const char *synopsis; /* the words after the name */
    const char *summary;  /* one line, lower case */
    const char *details;  /* paragraphs of the help, ending in a newline */
    struct option_table options;
    bool has_settings; /* every setting is a flag */
    int words_least, words_most;
    /* Returns the exit status, or -1 with `error` filled: the caller prints
     * it and exits by its code (exits.h). */
    int (*run)(struct client *client, struct error *error);
};

#define COMMAND_DECLARE(name) extern const struct command command_##name;
COMMANDS(COMMAND_DECLARE)

/* The command's first word, or "last": the sweep that one submitted last. */
static inline const char *client_target(const struct client *client)
{
    return client->options.word_count > 0 ? client->options.words[0] : "last";
}

/* --timeout, from now on. */
static inline struct deadline client_deadline(const struct client *client)
{
    return deadline_after(options_real(&client->options, "timeout", INFINITY));
}

#endif
