#include "client/deadline.h"

#include <math.h>
#include <stdint.h>
#include <time.h>

double monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct deadline deadline_after(double timeout_s)
{
    return (struct deadline){.timeout_s = timeout_s,
                             .at = monotonic_seconds() + timeout_s};
}

bool deadline_is_over(const struct deadline *deadline)
{
    return monotonic_seconds() >= deadline->at;
}

int deadline_patience(const struct deadline *deadline, int most_ms)
{
    if (isinf(deadline->at))
        return most_ms;
    double left = ceil((deadline->at - monotonic_seconds()) * 1000);
    left = fmax(fmin(left, INT32_MAX), 0);
    return most_ms >= 0 && most_ms < left ? most_ms : (int)left;
}
