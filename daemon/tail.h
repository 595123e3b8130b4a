/* tail.h: the last lines of what a child says on its stderr, as printable
 * UTF-8 whatever its bytes are.
 */
#ifndef DAEMON_TAIL_H
#define DAEMON_TAIL_H

#include <stddef.h>

enum {
    TAIL_BYTES = 4096, /* that are kept at least */
    TAIL_LINE_BYTES = 400
};

struct tail {
    char text[4 * TAIL_BYTES]; /* whole lines, then one without newline yet */
    size_t used;
    size_t line; /* where that one begins */
};

/* Takes bytes as they come; calls on_line for each whole line.  Long lines
 * are cut. */
void tail_add(struct tail *tail, const char *bytes, size_t count,
              void (*on_line)(void *user, const char *line), void *user);

/* What is left without a newline is a line too. */
void tail_end(struct tail *tail, void (*on_line)(void *user, const char *line),
              void *user);

void tail_clear(struct tail *tail);

/* The last lines, oldest first, separated by newlines: as many whole ones as
 * fit in `bytes`, but no more than are kept. */
void tail_print(const struct tail *tail, char *text, size_t bytes);

#endif
