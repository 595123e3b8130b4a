#include "schema/widths.h"

#include <stddef.h>

enum { WIDTH_MAX = 65536 };

/* One number without leading zeros, so that widths have only one spelling. */
static const char *read_width(const char *text, int *width)
{
    *width = 0;
    if (*text == '0')
        return NULL;
    const char *start = text;
    for (; *text >= '0' && *text <= '9'; text++) {
        *width = 10 * *width + (*text - '0');
        if (*width > WIDTH_MAX)
            return NULL;
    }
    return text == start ? NULL : text;
}

const char *widths_read(const char *text, int widths[LAYERS_MAX], int *count)
{
    int used = 0;
    do {
        if (used == LAYERS_MAX)
            return "longer than 65 widths";
        text = read_width(text, &widths[used]);
        if (!text || (*text && *text != 'x'))
            return "not widths such as 784x500x200x10, each 1 to 65536";
        if (used && widths[used] > widths[used - 1])
            return "increasing, where each width must be at most the one "
                   "before";
        used++;
    } while (*text++);
    if (widths[used - 1] < CLASSES)
        return "too narrow at the end, where 10 classes need a width of 10";
    if (count)
        *count = used;
    return NULL;
}
