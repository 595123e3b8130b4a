/* memory.h: small allocations, which die on failure.
 *
 * Large ones (tensors, messages, files) use malloc and report ERROR_MEMORY.
 */
#ifndef SCHEMA_MEMORY_H
#define SCHEMA_MEMORY_H

#include <stddef.h>

void *xmalloc(size_t bytes);
void *xcalloc(size_t count, size_t bytes);
void *xrealloc(void *memory, size_t bytes);
char *xstrdup(const char *text);
char *xprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Unsafe functions are banned at compile time. */
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atof gets

#endif
