/* deadline.h: when --timeout is over. */
#ifndef CLIENT_DEADLINE_H
#define CLIENT_DEADLINE_H

#include <stdbool.h>

struct deadline {
    double timeout_s; /* as it was given; INFINITY: none */
    double at;        /* monotonic seconds */
};

/* `timeout_s` from now on. */
struct deadline deadline_after(double timeout_s);

bool deadline_is_over(const struct deadline *deadline);

/* Milliseconds until then, rounded up, or `most` when that is sooner; -1: for
 * ever, as poll has it. */
int deadline_patience(const struct deadline *deadline, int most_ms);

double monotonic_seconds(void);

#endif
