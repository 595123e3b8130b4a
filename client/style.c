#include "client/style.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && *value != '\0';
}

static bool is_dumb(void)
{
    const char *term = getenv("TERM");
    return term == NULL || *term == '\0' || strcmp(term, "dumb") == 0;
}

void style_measure(struct style *style)
{
    style->width = STYLE_WIDE;
    style->height = 24;
    struct winsize size;
    if (!style->is_terminal)
        return;
    style->width = 80;
    if (ioctl(style->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        style->width = size.ws_col;
        style->height = size.ws_row > 0 ? size.ws_row : 24;
    }
}

void style_init(struct style *style, int fd)
{
    *style = (struct style){.fd = fd, .is_terminal = isatty(fd) == 1};
    style->can_move = style->is_terminal && !is_dumb();
    style->has_colour = style->can_move && !is_set("NO_COLOR");
    style->has_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    style_measure(style);
}

const char *style_code(const struct style *style, enum style_name name)
{
    static const char *const codes[] = {
#define STYLE_ESCAPE(name, escape) [STYLE_##name] = escape,
        STYLES(STYLE_ESCAPE)};
    return style->has_colour ? codes[name] : "";
}

enum style_name style_of_state(const char *state)
{
    static const struct {
        const char *state;
        enum style_name name;
    } colours[] = {
        {"running", STYLE_CYAN},
        {"done", STYLE_GREEN},
        {"failed", STYLE_RED},
        {"cancelled", STYLE_YELLOW},
    };
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strcmp(colours[i].state, state) == 0)
            return colours[i].name;
    return STYLE_PLAIN;
}
