/* cmd_watch.c: bars of a sweep as it runs, or a line per event. */

#include "client/board.h"
#include "client/command.h"
#include "client/watcher.h"

static int run(struct client *client, struct error *error)
{
    struct board board;
    struct watch_view view;
    struct watcher watcher;
    struct deadline deadline = client_deadline(client);
    int status = -1;
    if (watcher_open(&watcher, client_target(client), &deadline, error)) {
        board_init(&board, &client->output, &view);
        status = watcher_run(&watcher, &view, error);
    }
    watcher_close(&watcher);
    return status;
}

static const struct option options[] = {
    {"timeout", 0, OPTION_SECONDS, "TIME",
     "seconds, or 30m, 2h; then exit 124"},
};

const struct command command_watch = {
    .name = "watch",
    .synopsis = "[TARGET] [--timeout TIME]",
    .summary = "watch jobs until all of them are final",
    .details =
        "On a terminal a bar per running job; elsewhere, and with -o, one "
        "line\n"
        "per change of a job's state.  Without TARGET: the sweep that you\n"
        "submitted last.  Ctrl-C detaches, the jobs go on.\n",
    .options = OPTION_TABLE(options),
    .words_most = 1,
    .run = run,
};
