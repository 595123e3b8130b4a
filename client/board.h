/* board.h: how a watch looks: bars redrawn in place, or a line per event.
 *
 * On a terminal the sweep and each running job have a bar, drawn again at most
 * twenty times a second when something was pushed.  Elsewhere, and for data
 * formats, every change of a job's state is one line or row, and stderr says
 * first how things stand.
 */
#ifndef CLIENT_BOARD_H
#define CLIENT_BOARD_H

#include "client/output.h"
#include "client/watcher.h"

struct board {
    struct output *output; /* borrowed */
    bool has_bars;
    bool is_dirty;   /* something changed since it was drawn */
    double drawn_at; /* monotonic seconds */
    int lines;       /* of the last drawing, above the cursor */
};

/* The view of `board`, which must outlive it. */
void board_init(struct board *board, struct output *output,
                struct watch_view *view);

/* A bar of `cells`, filled to `part` of it, in `text` (4 bytes a cell). */
void board_bar(char *text, size_t bytes, double part, int cells, bool has_utf8);

#endif
