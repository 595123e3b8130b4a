#include "schema/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *error, enum error_code code, const char *format,
               ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

bool error_prefix(struct error *error, const char *format, ...)
{
    enum { BYTES = sizeof error->text };
    char head[BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(head, BYTES - 2, format, arguments);
    va_end(arguments);
    size_t used = strlen(head);
    memcpy(head + used, ": ", 2);
    used += 2;
    size_t tail = strnlen(error->text, BYTES - 1 - used);
    memmove(error->text + used, error->text, tail);
    memcpy(error->text, head, used);
    error->text[used + tail] = '\0';
    return false;
}
