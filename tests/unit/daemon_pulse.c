#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "daemon/pulse.h"

/* When a worker is lost, and when its training stalls.  No clock is read:
 * whatever clocks do, these are the only verdicts there are. */

static struct pulse_limits limits_of(double lease_s, double stall_s)
{
    struct pulse_limits limits;
    pulse_limits_init(&limits, lease_s, stall_s);
    return limits;
}

/* The seconds after which there is a verdict, of a worker that answers pings
 * or does not; -1: none in an hour. */
static double await(struct pulse *pulse, const struct pulse_limits *limits,
                    bool answers, bool is_training, enum pulse_state expected)
{
    for (double s = limits->interval_s; s < 3600; s += limits->interval_s) {
        if (answers)
            pulse_answer(pulse, 5, pulse->expected_s);
        enum pulse_state verdict = pulse_tick(pulse, limits, is_training);
        if (verdict == PULSE_FINE)
            continue;
        assert_int_equal(verdict, expected);
        return s;
    }
    return -1;
}

static struct pulse begun(const struct pulse_limits *limits, double expected_s)
{
    struct pulse pulse;
    pulse_init(&pulse);
    pulse_answer(&pulse, 5, expected_s);
    assert_int_equal(pulse_tick(&pulse, limits, true), PULSE_FINE);
    return pulse;
}

static void assert_seconds(double value, double expected)
{
    if (fabs(value - expected) > 1e-6)
        fail_msg("%.9g s, expected %.9g s", value, expected);
}

static void one_that_says_nothing_is_lost(void **state)
{
    (void)state;
    const double leases[] = {30, 0.5, 0.7};
    for (size_t i = 0; i < sizeof leases / sizeof *leases; i++) {
        struct pulse_limits limits = limits_of(leases[i], 1000);
        struct pulse pulse = begun(&limits, 0);
        assert_seconds(await(&pulse, &limits, false, true, PULSE_LOST),
                       2 * leases[i]);
        pulse = begun(&limits, INFINITY);
        assert_seconds(await(&pulse, &limits, false, false, PULSE_LOST),
                       2 * leases[i]);
    }
}

static void one_without_a_beat_is_stalled(void **state)
{
    (void)state;
    struct pulse_limits limits = limits_of(30, 60);
    struct pulse pulse = begun(&limits, 5);
    assert_seconds(await(&pulse, &limits, true, true, PULSE_STALLED), 60);
    pulse = begun(&limits, 20); /* ten times what it expects */
    assert_seconds(await(&pulse, &limits, true, true, PULSE_STALLED), 200);
    pulse = begun(&limits, INFINITY);
    assert_seconds(await(&pulse, &limits, true, true, PULSE_STALLED), -1);
    pulse = begun(&limits, 5); /* nothing is due without an attempt */
    assert_seconds(await(&pulse, &limits, true, false, PULSE_STALLED), -1);
}

static void a_beat_or_a_message_is_life(void **state)
{
    (void)state;
    struct pulse_limits limits = limits_of(30, 60);
    for (int by_message = 0; by_message < 2; by_message++) {
        struct pulse pulse = begun(&limits, 0);
        for (int i = 0; i < 1000; i++) {
            bool is_due = i % 5 == 4;
            pulse_answer(&pulse, is_due && !by_message ? i : pulse.beats, 0);
            if (is_due && by_message)
                pulse_move(&pulse);
            assert_int_equal(pulse_tick(&pulse, &limits, true), PULSE_FINE);
        }
    }
}

/* Stopped for a little less than it takes to be lost, it has done nothing; but
 * then it could not. */
static void silence_is_not_stillness(void **state)
{
    (void)state;
    struct pulse_limits limits = limits_of(30, 60);
    struct pulse pulse = begun(&limits, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pulse_tick(&pulse, &limits, true), PULSE_FINE);
    for (int i = 0; i < 5; i++) /* all answers at once */
        pulse_answer(&pulse, 5, 0);
    assert_int_equal(pulse_tick(&pulse, &limits, true), PULSE_FINE);
    assert_seconds(pulse.still_s, 10);
    assert_seconds(pulse.silent_s, 0);
}

static void pings_are_frequent_enough(void **state)
{
    (void)state;
    assert_seconds(limits_of(30, 60).interval_s, 10);
    assert_seconds(limits_of(30, 3).interval_s, 1);
    struct pulse_limits limits = limits_of(30, 3);
    struct pulse pulse = begun(&limits, 0);
    assert_seconds(await(&pulse, &limits, true, true, PULSE_STALLED), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_says_nothing_is_lost),
        cmocka_unit_test(one_without_a_beat_is_stalled),
        cmocka_unit_test(a_beat_or_a_message_is_life),
        cmocka_unit_test(silence_is_not_stillness),
        cmocka_unit_test(pings_are_frequent_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
