#include "daemon/pulse.h"

enum { SLACK = 10 }; /* how often longer than expected a beat may take */

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

void pulse_limits_init(struct pulse_limits *limits, double lease_s,
                       double stall_s)
{
    limits->interval_s = smaller(lease_s, stall_s) / 3;
    limits->lease_s = lease_s;
    limits->stall_s = stall_s;
}

void pulse_init(struct pulse *pulse)
{
    *pulse = (struct pulse){.beats = -1};
}

void pulse_answer(struct pulse *pulse, int64_t beats, double expected_s)
{
    pulse->is_heard = true;
    pulse->has_moved |= beats != pulse->beats;
    pulse->beats = beats;
    pulse->expected_s = expected_s;
}

void pulse_move(struct pulse *pulse)
{
    pulse->is_heard = pulse->has_moved = true;
}

/* Half an interval for what sums of fractions are off. */
static bool has_reached(double seconds, double limit,
                        const struct pulse_limits *limits)
{
    return seconds + limits->interval_s / 2 > limit;
}

enum pulse_state pulse_tick(struct pulse *pulse,
                            const struct pulse_limits *limits, bool is_training)
{
    double patience = larger(limits->stall_s, SLACK * pulse->expected_s);
    if (!pulse->is_heard) {
        pulse->silent_s += limits->interval_s;
        return has_reached(pulse->silent_s, 2 * limits->lease_s, limits)
                   ? PULSE_LOST
                   : PULSE_FINE;
    }
    pulse->silent_s = 0;
    pulse->still_s += limits->interval_s;
    if (pulse->has_moved || !is_training)
        pulse->still_s = 0;
    pulse->is_heard = pulse->has_moved = false;
    return has_reached(pulse->still_s, patience, limits) ? PULSE_STALLED
                                                         : PULSE_FINE;
}
