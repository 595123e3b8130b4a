#include "daemon/tail.h"

#include <string.h>

#include "schema/utf8.h"

/* What is neither UTF-8 nor printable becomes '?', a tab a space. */
static void clean(char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t step = utf8_length(text + i, length - i);
        if (text[i] == '\t')
            text[i] = ' ';
        else if (step == 0 || (unsigned char)text[i] < ' ' || text[i] == 127)
            text[i] = '?';
        i += step ? step : 1;
    }
}

/* Where the last whole lines begin that fit in `bytes`. */
static size_t find_last(const struct tail *tail, size_t bytes)
{
    size_t from = tail->line > bytes ? tail->line - bytes : 0;
    while (from > 0 && from < tail->line && tail->text[from - 1] != '\n')
        from++;
    return from;
}

/* Rarely, so that a child that says no end of lines costs little. */
static void make_room(struct tail *tail)
{
    if (tail->used + TAIL_LINE_BYTES < sizeof tail->text)
        return;
    size_t from = find_last(tail, TAIL_BYTES);
    memmove(tail->text, tail->text + from, tail->used - from);
    tail->used -= from;
    tail->line -= from;
}

static void take_line(struct tail *tail,
                      void (*on_line)(void *user, const char *line), void *user)
{
    char *line = tail->text + tail->line;
    clean(line, tail->used - tail->line);
    tail->text[tail->used] = '\0';
    on_line(user, line);
    tail->text[tail->used++] = '\n';
    tail->line = tail->used;
    make_room(tail);
}

void tail_add(struct tail *tail, const char *bytes, size_t count,
              void (*on_line)(void *user, const char *line), void *user)
{
    for (const char *end = bytes + count; bytes < end; bytes++) {
        if (*bytes == '\n')
            take_line(tail, on_line, user);
        else if (*bytes && tail->used - tail->line < TAIL_LINE_BYTES - 1)
            tail->text[tail->used++] = *bytes;
    }
}

void tail_end(struct tail *tail, void (*on_line)(void *user, const char *line),
              void *user)
{
    if (tail->used > tail->line)
        take_line(tail, on_line, user);
}

void tail_clear(struct tail *tail)
{
    tail->used = tail->line = 0;
}

void tail_print(const struct tail *tail, char *text, size_t bytes)
{
    size_t from = find_last(tail, bytes);
    size_t length = tail->line - from;
    memcpy(text, tail->text + from, length);
    text[length ? length - 1 : 0] = '\0';
}
