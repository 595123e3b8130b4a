#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "schema/memory.h"

static const struct {
    const char *name;
    int priority;
} levels[] = {
#define LEVEL_ENTRY(name, priority) {#name, priority},
    LOG_LEVELS(LEVEL_ENTRY)};

void log_init(struct log *log, enum log_level level)
{
    log->level = level;
    log->is_journal = getenv("JOURNAL_STREAM") != NULL;
}

int log_level_find(const char *name)
{
    for (int level = 0; level < LOG_LEVEL_COUNT; level++)
        if (strcmp(levels[level].name, name) == 0)
            return level;
    return -1;
}

static size_t head(const struct log *log, enum log_level level, double now,
                   char *line)
{
    if (log->is_journal)
        return (size_t)snprintf(line, LOG_LINE_BYTES, "<%d>",
                                levels[level].priority);
    time_t seconds = (time_t)now;
    struct tm date;
    char text[32];
    gmtime_r(&seconds, &date);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &date);
    return (size_t)snprintf(line, LOG_LINE_BYTES, "%s.%03dZ %-7s ", text,
                            (int)((now - (double)seconds) * 1000),
                            levels[level].name);
}

size_t log_format(const struct log *log, enum log_level level, double now,
                  const char *text, char line[LOG_LINE_BYTES])
{
    size_t used = head(log, level, now, line);
    for (; *text && used < LOG_LINE_BYTES - 1; text++) {
        unsigned char byte = (unsigned char)*text;
        line[used++] = byte < ' ' || byte == 127 ? ' ' : *text;
    }
    line[used++] = '\n';
    return used;
}

void log_write(const struct log *log, enum log_level level, const char *format,
               ...)
{
    if (level > log->level)
        return;
    char text[LOG_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char line[LOG_LINE_BYTES];
    size_t length = log_format(
        log, level, (double)now.tv_sec + (double)now.tv_nsec / 1e9, text, line);
    /* One write a line, so that lines of two processes do not mix.  A log
     * that cannot be written has nowhere to be told. */
    if (write(STDERR_FILENO, line, length) < 0)
        return;
}
