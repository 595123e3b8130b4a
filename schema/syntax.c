#include "schema/syntax.h"

#include <stdlib.h>
#include <string.h>

#include "schema/utf8.h"

enum { NUMBER_BYTES_MAX = 60 }; /* cJSON reads 63 and leaves the rest */

struct syntax {
    const char *text;
    size_t length, at;
    size_t values;
    int depth;
    char closing[SYNTAX_DEPTH_MAX]; /* what ends each open container */
    struct error *error;
};

static bool unexpected(struct syntax *s)
{
    if (s->at >= s->length)
        return error_set(s->error, ERROR_PARSE, "not JSON: it ends too early");
    return error_set(s->error, ERROR_PARSE,
                     "not JSON: unexpected text at byte %zu", s->at + 1);
}

static int peek(const struct syntax *s)
{
    return s->at < s->length ? (unsigned char)s->text[s->at] : -1;
}

static bool take(struct syntax *s, char wanted)
{
    if (peek(s) != wanted)
        return false;
    s->at++;
    return true;
}

static void skip_space(struct syntax *s)
{
    while (s->at < s->length && s->text[s->at] &&
           strchr(" \t\r\n", s->text[s->at]))
        s->at++;
}

static size_t skip_digits(struct syntax *s)
{
    size_t start = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at - start;
}

/* Whether a number that is not 0 would be read as 0. */
static bool vanishes(const char *number, size_t length)
{
    char text[NUMBER_BYTES_MAX + 1] = "";
    memcpy(text, number, length);
    size_t mantissa = strcspn(text, "eE");
    return text[mantissa] && strcspn(text, "123456789") < mantissa &&
           strtod(text, NULL) == 0;
}

static bool number(struct syntax *s)
{
    size_t start = s->at;
    take(s, '-');
    if (!take(s, '0') && !skip_digits(s))
        return unexpected(s);
    if (take(s, '.') && !skip_digits(s))
        return unexpected(s);
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '-'))
            take(s, '+');
        if (!skip_digits(s))
            return unexpected(s);
    }
    if (s->at - start > NUMBER_BYTES_MAX)
        return error_set(s->error, ERROR_PARSE,
                         "the number at byte %zu has over %d characters",
                         start + 1, NUMBER_BYTES_MAX);
    if (vanishes(s->text + start, s->at - start))
        return error_set(s->error, ERROR_PARSE,
                         "the number at byte %zu is below 4.9e-324 and not 0",
                         start + 1);
    return true;
}

static bool word(struct syntax *s, const char *expected)
{
    for (; *expected; expected++)
        if (!take(s, *expected))
            return unexpected(s);
    return true;
}

/* Four hexadecimal digits after \u, or -1. */
static long code_unit(struct syntax *s)
{
    long unit = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        int c = peek(s);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* After \u.  A surrogate must be the first of a pair. */
static bool code_point(struct syntax *s, size_t start)
{
    long unit = code_unit(s);
    if (unit < 0)
        return unexpected(s);
    if (unit == 0)
        return error_set(s->error, ERROR_PARSE, "NUL at byte %zu", start + 1);
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    long low = -1;
    if (unit < 0xdc00 && take(s, '\\') && take(s, 'u'))
        low = code_unit(s);
    if (low >= 0xdc00 && low <= 0xdfff)
        return true;
    return error_set(s->error, ERROR_PARSE, "half a surrogate pair at byte %zu",
                     start + 1);
}

static bool escape(struct syntax *s)
{
    size_t start = s->at++;
    if (take(s, 'u'))
        return code_point(s, start);
    if (peek(s) <= 0 || !strchr("\"\\/bfnrt", peek(s)))
        return unexpected(s);
    s->at++;
    return true;
}

static bool character(struct syntax *s)
{
    if (peek(s) == '\\')
        return escape(s);
    if (peek(s) < ' ')
        return unexpected(s);
    size_t length = utf8_length(s->text + s->at, s->length - s->at);
    if (!length)
        return error_set(s->error, ERROR_PARSE, "not UTF-8 at byte %zu",
                         s->at + 1);
    s->at += length;
    return true;
}

static bool string(struct syntax *s)
{
    if (!take(s, '"'))
        return unexpected(s);
    while (!take(s, '"'))
        if (!character(s))
            return false;
    return true;
}

static bool open(struct syntax *s, char closing)
{
    if (s->depth == SYNTAX_DEPTH_MAX)
        return error_set(s->error, ERROR_PARSE, "deeper than %d levels",
                         SYNTAX_DEPTH_MAX);
    s->closing[s->depth++] = closing;
    s->at++;
    return true;
}

/* A value, of which a container is only opened. */
static bool value(struct syntax *s)
{
    if (++s->values > SYNTAX_VALUES_MAX)
        return error_set(s->error, ERROR_TOO_LARGE, "more than %d values",
                         SYNTAX_VALUES_MAX);
    switch (peek(s)) {
    case '{':
        return open(s, '}');
    case '[':
        return open(s, ']');
    case '"':
        return string(s);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    default:
        return number(s);
    }
}

static bool member_name(struct syntax *s)
{
    if (!string(s))
        return false;
    skip_space(s);
    if (!take(s, ':'))
        return unexpected(s);
    skip_space(s);
    return true;
}

/* One value of the innermost container, or its end.  `is_first`: right after
 * it was opened, where it may end at once and no comma is due. */
static bool element(struct syntax *s, bool is_first)
{
    char closing = s->closing[s->depth - 1];
    if (take(s, closing)) {
        s->depth--;
        return true;
    }
    if (!is_first) {
        if (!take(s, ','))
            return unexpected(s);
        skip_space(s);
    }
    if (closing == '}' && !member_name(s))
        return false;
    return value(s);
}

bool syntax_check(const char *text, size_t length, size_t *values,
                  struct error *error)
{
    struct syntax s = {.text = text, .length = length, .error = error};
    skip_space(&s);
    if (s.at == length)
        return error_set(error, ERROR_PARSE, "not JSON: there is no text");
    int depth = 0;
    if (!value(&s))
        return false;
    for (skip_space(&s); s.depth; skip_space(&s)) {
        bool is_first = s.depth > depth;
        depth = s.depth;
        if (!element(&s, is_first))
            return false;
    }
    *values = s.values;
    return s.at == length || unexpected(&s);
}
