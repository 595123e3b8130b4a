/* style.h: what the other end of a stream can show.
 *
 * Colours are used on a terminal only, and never with NO_COLOR or a TERM that
 * is unset or dumb.  Characters beyond ASCII are used where the locale says
 * UTF-8 (main calls setlocale for LC_CTYPE).
 */
#ifndef CLIENT_STYLE_H
#define CLIENT_STYLE_H

#include <stdbool.h>

enum { STYLE_WIDE = 1 << 20 }; /* the width of what is no terminal */

struct style {
    bool is_terminal;
    bool can_move; /* the cursor: a terminal that is not dumb */
    bool has_colour;
    bool has_utf8;
    int width, height; /* in cells; STYLE_WIDE x 24 when not a terminal */
    int fd;
};

/* X(name, escape sequence) */
#define STYLES(X)                                                              \
    X(PLAIN, "\033[0m")                                                        \
    X(BOLD, "\033[1m")                                                         \
    X(DIM, "\033[2m")                                                          \
    X(RED, "\033[31m")                                                         \
    X(GREEN, "\033[32m")                                                       \
    X(YELLOW, "\033[33m")                                                      \
    X(BLUE, "\033[34m")                                                        \
    X(MAGENTA, "\033[35m")                                                     \
    X(CYAN, "\033[36m")

#define STYLE_ENUM(name, escape) STYLE_##name,
enum style_name { STYLES(STYLE_ENUM) STYLE_COUNT };

void style_init(struct style *style, int fd);

/* Asks the terminal for its size again. */
void style_measure(struct style *style);

/* The escape sequence, or "" without colours. */
const char *style_code(const struct style *style, enum style_name name);

/* The colour of a job's state. */
enum style_name style_of_state(const char *state);

#endif
