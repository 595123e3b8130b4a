#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"

static void *alive(void *memory, size_t bytes)
{
    if (!memory && bytes) {
        fprintf(stderr, "out of memory: %zu bytes were wanted\n", bytes);
        abort();
    }
    return memory;
}

void *xmalloc(size_t bytes)
{
    return alive(malloc(bytes), bytes);
}

void *xcalloc(size_t count, size_t bytes)
{
    return alive(calloc(count, bytes), count && bytes ? bytes : 0);
}

/* Never frees: zero bytes keep one, so that the result can be freed once. */
void *xrealloc(void *memory, size_t bytes)
{
    return alive(realloc(memory, bytes ? bytes : 1), bytes);
}

char *xstrdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(xmalloc(bytes), text, bytes);
}

/* What is short is printed once. */
char *xprintf(const char *format, ...)
{
    char few[256];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(few, sizeof few, format, arguments);
    va_end(arguments);
    size_t bytes = length < 0 ? 1 : (size_t)length + 1;
    char *text = xcalloc(bytes, 1);
    if (bytes <= sizeof few && length > 0)
        memcpy(text, few, bytes);
    else if (length > 0)
        vsnprintf(text, bytes, format, again);
    va_end(again);
    return text;
}
