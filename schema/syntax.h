/* syntax.h: whether a text is JSON (RFC 8259), strictly and within limits.
 *
 * One pass, without recursion or allocation, before any parser builds a tree:
 * a hostile text costs its own length and no more.  Refused beyond the
 * grammar: invalid UTF-8, NUL and its escape, lone surrogates, numbers of more
 * than 60 characters or so small that they would be read as 0, a byte order
 * mark.
 */
#ifndef SCHEMA_SYNTAX_H
#define SCHEMA_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#include "schema/error.h"

enum {
    SYNTAX_DEPTH_MAX = 16,      /* arrays and objects within another */
    SYNTAX_VALUES_MAX = 500000, /* values, each of which costs 64 bytes */
};

/* ERROR_PARSE, with the place as a byte counted from 1, or ERROR_TOO_LARGE.
 * `*values` receives how many there are. */
bool syntax_check(const char *text, size_t length, size_t *values,
                  struct error *error);

#endif
