#include "client/news.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/text.h"
#include "schema/event.h"
#include "schema/json.h"

struct sentence {
    char *text;
    size_t bytes, used;
    const char *between;
};

__attribute__((format(printf, 2, 3))) static void add(struct sentence *sentence,
                                                      const char *format, ...)
{
    size_t left = sentence->bytes - sentence->used;
    va_list arguments;
    int length = snprintf(sentence->text + sentence->used, left, "%s",
                          sentence->between);
    if ((size_t)length >= left)
        return;
    sentence->used += (size_t)length;
    left -= (size_t)length;
    va_start(arguments, format);
    length =
        vsnprintf(sentence->text + sentence->used, left, format, arguments);
    va_end(arguments);
    sentence->used += (size_t)length < left ? (size_t)length : left - 1;
    sentence->between = "; ";
}

/* "restarted 02:14", with the date when that was not within a day. */
static void add_start(struct sentence *sentence, const struct cJSON *news,
                      const struct cJSON *counts, double now)
{
    char at[32];
    double started_at = json_real_or(news, "started_at", NAN);
    int64_t count = json_integer_or(counts, "started", 0);
    if (isnan(started_at))
        return;
    text_time(at, sizeof at, started_at);
    at[strlen(at) - 3] = '\0'; /* seconds */
    const char *shown =
        now - started_at < 86400 ? at + strlen("yyyy-mm-dd ") : at;
    if (count > 1)
        add(sentence, "restarted %lld times, last %s", (long long)count, shown);
    else
        add(sentence, "restarted %s", shown);
}

static void add_counts(struct sentence *sentence, const struct cJSON *counts)
{
    for (int i = 0; i < event_kind_count; i++) {
        const struct event_kind *kind = &event_kinds[i];
        long long count = json_integer_or(counts, kind->name, 0);
        const char *jobs = strncmp(kind->news, "jobs ", 5) == 0 ? "jobs " : "";
        if (count > 0 && *kind->news != '\0')
            add(sentence, "%lld %s%s", count,
                *jobs == '\0' ? ""
                : count == 1  ? "job "
                              : jobs,
                kind->news + strlen(jobs));
    }
}

void news_print(char *text, size_t bytes, const struct cJSON *news, double now)
{
    char ago[32];
    struct sentence sentence = {.text = text, .bytes = bytes, .between = ""};
    const struct cJSON *counts =
        cJSON_GetObjectItemCaseSensitive(news, "events");
    text[0] = '\0';
    if (!cJSON_IsObject(news))
        return;
    text_duration(ago, sizeof ago, now - json_real_or(news, "since", now));
    add(&sentence, "since %s ago", ago);
    sentence.between = ": ";
    add_start(&sentence, news, counts, now);
    add_counts(&sentence, counts);
    long long done = json_integer_or(news, "done", 0);
    double cost = json_real_or(news, "cost_s", 0);
    if (done > 0)
        add(&sentence, "%lld done", done);
    if (cost > 0) {
        text_duration(ago, sizeof ago, cost);
        add(&sentence, "%s of computing lost", ago);
    }
}
