#include "schema_fixture.h"

#include "schema/job.h"

/* Written out here as a table to read: a row per state, a column per event;
 * h held, q queued, r running, d done, f failed, c cancelled, - illegal. */
static void transitions_are_these(void **state)
{
    (void)state;
    static const char letters[] = "hqrdfc";
    static const struct {
        const char *state, *next;
    } rows[] = {
        /* hold release dispatch requeue finish fail cancel retry */
        {"held", "-q--dfc-"}, {"queued", "h-r-dfc-"}, {"running", "h--qdfc-"},
        {"done", "--------"}, {"failed", "-------q"}, {"cancelled", "-------q"},
    };
    assert_int_equal(COUNT(rows), JOB_STATE_COUNT);
    for (int s = 0; s < JOB_STATE_COUNT; s++) {
        assert_string_equal(job_state_name(s), rows[s].state);
        assert_int_equal(strlen(rows[s].next), JOB_EVENT_COUNT);
        for (int e = 0; e < JOB_EVENT_COUNT; e++) {
            int next = job_next(s, e);
            char letter = next < 0 ? '-' : letters[next];
            if (letter != rows[s].next[e])
                fail_msg("%s, %s: %c, expected %c", job_state_name(s),
                         job_event_name(e), letter, rows[s].next[e]);
        }
    }
}

static void names_find_states(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_COUNT; s++)
        assert_int_equal(job_state_find(job_state_name(s)), s);
    assert_int_equal(job_state_find("paused"), -1);
    assert_int_equal(job_state_find(""), -1);
    assert_string_equal(job_event_name(JOB_ON_retry), "retry");
}

static void final_states_are_left_by_request_only(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_COUNT; s++)
        for (int e = 0; e < JOB_EVENT_COUNT; e++)
            if (job_is_final(s) && e != JOB_ON_retry)
                assert_int_equal(job_next(s, e), -1);
    assert_false(job_is_final(JOB_held));
    assert_false(job_is_final(JOB_running));
    assert_true(job_is_final(JOB_cancelled));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transitions_are_these),
        cmocka_unit_test(names_find_states),
        cmocka_unit_test(final_states_are_left_by_request_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
