/* utf8.h: well-formed UTF-8 (RFC 3629), one character at a time. */
#ifndef SCHEMA_UTF8_H
#define SCHEMA_UTF8_H

#include <stddef.h>

/* Bytes of the character at `text`, of which `left` bytes may be read: 1 to 4,
 * or 0 when it is cut short, overlong, a surrogate or over U+10FFFF. */
size_t utf8_length(const char *text, size_t left);

#endif
