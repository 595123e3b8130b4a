/* widths.h: the layer widths of a tower, as text: 784x500x200x10. */
#ifndef SCHEMA_WIDTHS_H
#define SCHEMA_WIDTHS_H

#include "schema/settings.h"

/* What "none" stands for. */
#define WIDTHS_INITIAL "784x500x200x10"

/* Reads `text` into `widths[0..*count)`; `count` may be NULL.  Returns NULL,
 * or what the text is instead of widths: each 1 to 65536, none above the one
 * before, the last at least CLASSES, at most LAYERS_MAX of them. */
const char *widths_read(const char *text, int widths[LAYERS_MAX], int *count);

#endif
