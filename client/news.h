/* news.h: what happened since one last looked, as one sentence. */
#ifndef CLIENT_NEWS_H
#define CLIENT_NEWS_H

#include <stddef.h>

struct cJSON;

/* "since 3 h ago: restarted 02:14; 6 jobs resumed; 2 failed; 40 done" of `news`
 * of status at `now`; empty when it is null. */
void news_print(char *text, size_t bytes, const struct cJSON *news, double now);

#endif
