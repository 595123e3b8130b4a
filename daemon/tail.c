#include "daemon/tail.h"

#include <string.h>

#include "schema/memory.h"
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

static void take_line(struct tail *tail,
                      void (*on_line)(void *user, const char *line), void *user)
{
    clean(tail->partial, tail->used);
    tail->partial[tail->used] = '\0';
    memcpy(tail->lines[tail->next], tail->partial, tail->used + 1);
    tail->next = (tail->next + 1) % TAIL_LINES;
    tail->count += tail->count < TAIL_LINES;
    tail->used = 0;
    on_line(user, tail->partial);
}

void tail_add(struct tail *tail, const char *bytes, size_t count,
              void (*on_line)(void *user, const char *line), void *user)
{
    for (const char *end = bytes + count; bytes < end; bytes++) {
        if (*bytes == '\n')
            take_line(tail, on_line, user);
        else if (*bytes && tail->used < TAIL_LINE_BYTES - 1)
            tail->partial[tail->used++] = *bytes;
    }
}

void tail_end(struct tail *tail, void (*on_line)(void *user, const char *line),
              void *user)
{
    if (tail->used > 0)
        take_line(tail, on_line, user);
}

void tail_clear(struct tail *tail)
{
    tail->count = tail->next = 0;
    tail->used = 0;
}

static const char *line_at(const struct tail *tail, int back)
{
    return tail->lines[(tail->next - back + TAIL_LINES) % TAIL_LINES];
}

void tail_print(const struct tail *tail, char *text, size_t bytes)
{
    int first = 0; /* lines, counted from the newest */
    size_t used = 0;
    while (first < tail->count &&
           used + strlen(line_at(tail, first + 1)) + 1 <= bytes)
        used += strlen(line_at(tail, ++first)) + 1;
    char *at = text;
    for (int back = first; back > 0; back--) {
        const char *line = line_at(tail, back);
        size_t length = strlen(line);
        memcpy(at, line, length);
        at += length;
        if (back > 1)
            *at++ = '\n';
    }
    *at = '\0';
}
