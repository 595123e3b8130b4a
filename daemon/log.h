/* log.h: what happened, one line an event, on stderr.
 *
 * Lines for people begin with the time (UTC) and the level; when stderr is
 * the systemd journal ($JOURNAL_STREAM) they begin with its <N> priority
 * instead, because the journal knows the time.  Control characters of a text
 * are replaced, so that a line stays a line whatever a worker prints.
 * Only the loop's thread logs.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* X(name, journal priority) */
#define LOG_LEVELS(X) X(error, 3) X(warning, 4) X(info, 6) X(debug, 7)
#define LOG_LEVEL_ENUM(name, priority) LOG_##name,
enum log_level { LOG_LEVELS(LOG_LEVEL_ENUM) LOG_LEVEL_COUNT };

struct log {
    enum log_level level; /* nothing below it is written */
    bool is_journal;
};

enum { LOG_LINE_BYTES = 2048 };

void log_init(struct log *log, enum log_level level);

/* -1 when there is no level of that name. */
int log_level_find(const char *name);

void log_write(const struct log *log, enum log_level level, const char *format,
               ...) __attribute__((format(printf, 3, 4)));

/* The line log_write would write at `now`, with its newline; its length. */
size_t log_format(const struct log *log, enum log_level level, double now,
                  const char *text, char line[LOG_LINE_BYTES]);

#endif
