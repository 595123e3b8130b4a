#define _GNU_SOURCE /* strptime */
#include "client/moment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/text.h"
#include "schema/json.h"

enum { DIGITS_MAX = 15 };

static const struct {
    char letter;
    double seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
enum { UNIT_COUNT = sizeof units / sizeof *units };

/* Reads digits with at most one point; NULL when there are none. */
static const char *read_number(const char *text, double *number)
{
    size_t length = strspn(text, "0123456789.");
    char digits[DIGITS_MAX + 1], *end;
    if (length == 0 || length > DIGITS_MAX)
        return NULL;
    memcpy(digits, text, length);
    digits[length] = '\0';
    *number = strtod(digits, &end);
    return *end == '\0' ? text + length : NULL;
}

bool duration_read(const char *text, double *seconds)
{
    int unit = 0;
    *seconds = 0;
    if (*text == '\0')
        return false;
    while (*text != '\0') {
        double number;
        text = read_number(text, &number);
        if (text == NULL)
            return false;
        while (unit < UNIT_COUNT && units[unit].letter != *text)
            unit++;
        if (unit == UNIT_COUNT)
            return false;
        *seconds += number * units[unit++].seconds;
        text++;
    }
    return true;
}

struct cJSON *duration_value(const struct setting *setting, const char *text,
                             struct error *error)
{
    double seconds;
    if (duration_read(text, &seconds))
        return json_number(seconds);
    if (text_to_real(text, &seconds) || strcmp(text, setting->words) == 0)
        return setting_value(setting, text);
    error_set(error, ERROR_PARAMS,
              "--time-limit: \"%s\" is not a time: expected seconds, or a "
              "duration (30m, 2h, 3d), or \"%s\"",
              text, setting->words);
    return NULL;
}

static bool is_id(const char *text)
{
    size_t length = strspn(text, "0123456789");
    return length > 0 && length <= DIGITS_MAX && text[length] == '\0';
}

/* Times that do not exist (31 April) are refused: mktime would mend them. */
static bool read_local(const char *text, double now, double *at)
{
    static const char *const formats[] = {
        "%Y-%m-%d",          "%Y-%m-%d %H:%M",    "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%H:%M"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        time_t today = (time_t)now;
        struct tm local = {0}, mended;
        if (formats[i][1] == 'H' && localtime_r(&today, &local) == NULL)
            return false;
        local.tm_sec = 0;
        const char *end = strptime(text, formats[i], &local);
        if (end == NULL || *end != '\0')
            continue;
        local.tm_isdst = -1;
        mended = local;
        *at = (double)mktime(&mended);
        return *at != -1 && mended.tm_mday == local.tm_mday;
    }
    return false;
}

bool moment_read(const char *text, double now, struct moment *moment,
                 struct error *error)
{
    double seconds;
    *moment = (struct moment){.event = 0};
    if (is_id(text)) {
        moment->event = strtoll(text, NULL, 10);
        return true;
    }
    if (duration_read(text, &seconds)) {
        moment->at = fmax(floor(now - seconds), 0);
        return true;
    }
    if (read_local(text, now, &moment->at))
        return true;
    return error_set(error, ERROR_PARAMS,
                     "\"%s\" is not a time: expected a duration (30m, 2h, 3d), "
                     "a date (2026-05-01), a date and time (2026-05-01T13:45) "
                     "or an event's id",
                     text);
}
