#include "schema/utf8.h"

#include <stdbool.h>

static bool is_between(unsigned char byte, unsigned char least,
                       unsigned char most)
{
    return byte >= least && byte <= most;
}

/* The second byte's range is what rules out overlong forms, surrogates and
 * the numbers over U+10FFFF (table 3-7 of the Unicode standard). */
static size_t lead(unsigned char first, unsigned char *least,
                   unsigned char *most)
{
    *least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (is_between(first, 0xc2, 0xdf))
        return 2;
    if (is_between(first, 0xe0, 0xef))
        return 3;
    return is_between(first, 0xf0, 0xf4) ? 4 : 0;
}

size_t utf8_length(const char *text, size_t left)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (!left)
        return 0;
    if (bytes[0] < 0x80)
        return 1;
    unsigned char least, most;
    size_t length = lead(bytes[0], &least, &most);
    if (length > left || !length || !is_between(bytes[1], least, most))
        return 0;
    for (size_t i = 2; i < length; i++)
        if (!is_between(bytes[i], 0x80, 0xbf))
            return 0;
    return length;
}
