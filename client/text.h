/* text.h: values as people read them, and the room they take on a screen. */
#ifndef CLIENT_TEXT_H
#define CLIENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

/* Copies `from`, control characters replaced by '?': what another user wrote
 * must not steer this one's terminal.  Text that does not fit is cut. */
void text_clean(char *text, size_t bytes, const char *from);

/* The same without a limit: new text, the caller's. */
char *text_cleaned(const char *from);

/* Cells of a terminal that `text` takes. */
int text_width(const char *text);

/* The bytes of `text` that fit into `cells`. */
size_t text_fitting(const char *text, int cells);

/* "12 s", "3 min 20 s", "1 h 02 min", "3 d 4 h"; "-" for NaN. */
void text_duration(char *text, size_t bytes, double seconds);

/* "2024-05-01 13:45:10", local time; "-" for NaN. */
void text_time(char *text, size_t bytes, double at);

/* 0.93456 is "93.46"; "-" for NaN. */
void text_percent(char *text, size_t bytes, double fraction);

/* Six digits at most, and no more than needed: "0.0001", "12", "1e-07". */
void text_number(char *text, size_t bytes, double value);

/* Three digits, in thousands or millions where it is more: "12.5", "181 k",
 * "1.5 M"; "-" for NaN. */
void text_rate(char *text, size_t bytes, double value);

/* Numbers that read whole, within the range of a double: no NaN, nothing
 * after it. */
bool text_to_real(const char *text, double *value);

/* The value as data: numbers that read back to the same bits, text without
 * quotes, null as "".  The caller's (free). */
char *text_of_value(const struct cJSON *value);

#endif
