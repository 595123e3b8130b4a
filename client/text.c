#define _GNU_SOURCE /* wcwidth */
#include "client/text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "schema/json.h"
#include "schema/memory.h"

void text_clean(char *text, size_t bytes, const char *from)
{
    size_t used = 0;
    for (; *from != '\0' && used + 1 < bytes; from++) {
        unsigned char byte = (unsigned char)*from;
        bool is_c1 = byte == 0xc2 && (unsigned char)from[1] >= 0x80 &&
                     (unsigned char)from[1] < 0xa0;
        bool is_control = byte < 0x20 || byte == 0x7f || is_c1;
        text[used++] = is_control ? '?' : *from;
        from += is_c1;
    }
    text[used] = '\0';
}

char *text_cleaned(const char *from)
{
    size_t bytes = strlen(from) + 1;
    char *text = xmalloc(bytes);
    text_clean(text, bytes, from);
    return text;
}

/* Bytes of the first character of `text`, and the cells it takes. */
static size_t character(const char *text, int *cells)
{
    wchar_t wide;
    mbstate_t state = {0};
    size_t length = mbrtowc(&wide, text, strlen(text), &state);
    if (length == (size_t)-1 || length == (size_t)-2 || length == 0) {
        *cells = 1;
        return 1;
    }
    int width = wcwidth(wide);
    *cells = width < 0 ? 1 : width;
    return length;
}

int text_width(const char *text)
{
    int total = 0, cells;
    for (; *text != '\0'; total += cells)
        text += character(text, &cells);
    return total;
}

size_t text_fitting(const char *text, int cells)
{
    size_t bytes = 0;
    int used = 0;
    while (text[bytes] != '\0') {
        int wanted;
        size_t length = character(text + bytes, &wanted);
        if (used + wanted > cells)
            break;
        used += wanted;
        bytes += length;
    }
    return bytes;
}

void text_duration(char *text, size_t bytes, double seconds)
{
    if (!isfinite(seconds)) {
        snprintf(text, bytes, "-");
        return;
    }
    long long whole = llround(fmax(fmin(seconds, 1e15), 0));
    if (whole < 60)
        snprintf(text, bytes, "%lld s", whole);
    else if (whole < 3600)
        snprintf(text, bytes, "%lld min %02lld s", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(text, bytes, "%lld h %02lld min", whole / 3600,
                 whole / 60 % 60);
    else
        snprintf(text, bytes, "%lld d %lld h", whole / 86400,
                 whole / 3600 % 24);
}

void text_time(char *text, size_t bytes, double at)
{
    struct tm local;
    time_t seconds = isfinite(at) && fabs(at) < 1e15 ? (time_t)floor(at) : 0;
    if (seconds == 0 || localtime_r(&seconds, &local) == NULL ||
        strftime(text, bytes, "%Y-%m-%d %H:%M:%S", &local) == 0)
        snprintf(text, bytes, "-");
}

void text_percent(char *text, size_t bytes, double fraction)
{
    if (isfinite(fraction))
        snprintf(text, bytes, "%.2f", fraction * 100);
    else
        snprintf(text, bytes, "-");
}

void text_number(char *text, size_t bytes, double value)
{
    if (!isfinite(value))
        snprintf(text, bytes, "-");
    else if (value == floor(value) && fabs(value) < 1e15)
        snprintf(text, bytes, "%.0f", value);
    else
        snprintf(text, bytes, "%.6g", value);
}

void text_rate(char *text, size_t bytes, double value)
{
    static const char *const units[] = {"", " k", " M", " G"};
    size_t unit = 0;
    for (; value >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1000;
    if (isfinite(value))
        snprintf(text, bytes, "%.3g%s", value, units[unit]);
    else
        snprintf(text, bytes, "-");
}

bool text_to_real(const char *text, double *value)
{
    char *end;
    if (strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    errno = 0;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value);
}

char *text_of_value(const struct cJSON *value)
{
    if (value == NULL || cJSON_IsNull(value))
        return xstrdup("");
    if (cJSON_IsString(value))
        return xstrdup(value->valuestring);
    size_t length;
    return json_print(value, &length);
}
