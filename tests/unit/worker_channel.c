#include "worker/channel.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "schema/message.h"
#include "worker_fixture.h"

enum { LONG_MS = 60000, GRACE_MS = 60000 };

/* A channel, and gaitd's ends of its pipes. */
struct ends {
    struct channel *channel;
    int to, from; /* gaitd writes here, reads there */
    int in, out;  /* the channel's own */
};

static void open_ends(struct ends *ends, int lease_ms)
{
    int in[2], out[2];
    struct error error = {0};
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    *ends =
        (struct ends){.to = in[1], .in = in[0], .from = out[0], .out = out[1]};
    ends->channel =
        channel_open(ends->in, ends->out, lease_ms, GRACE_MS, &error);
    if (!ends->channel)
        fail_msg("%s", error.text);
}

static void close_ends(struct ends *ends)
{
    channel_close(ends->channel);
    close(ends->in);
    close(ends->out);
    if (ends->to >= 0)
        close(ends->to);
    if (ends->from >= 0)
        close(ends->from);
}

static void say(const struct ends *ends, const char *text)
{
    assert_int_equal(write(ends->to, text, strlen(text)), strlen(text));
}

/* What the channel writes next, up to `count` bytes. */
static void assert_written(const struct ends *ends, const char *expected)
{
    char text[200] = "";
    size_t used = 0;
    while (used < strlen(expected)) {
        ssize_t count = read(ends->from, text + used, strlen(expected) - used);
        assert_true(count > 0);
        used += (size_t)count;
    }
    assert_string_equal(text, expected);
}

static void assert_waits_for(struct ends *ends, const char *type)
{
    cJSON *message = channel_wait(ends->channel);
    assert_non_null(message);
    assert_string_equal(json_text_or(message, "type", ""), type);
    cJSON_Delete(message);
}

static void assert_ends(struct ends *ends, enum channel_end end)
{
    assert_null(channel_wait(ends->channel));
    assert_int_equal(channel_end(ends->channel), end);
    assert_null(channel_next(ends->channel));
}

static cJSON *make_message(const char *type)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", type);
    return message;
}

static void gives_whole_messages_in_order(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, LONG_MS);
    assert_null(channel_next(ends.channel));
    say(&ends, "{\"type\":\"a\"}\n{\"type\":\"b\"}\n{\"ty");
    assert_waits_for(&ends, "a");
    assert_waits_for(&ends, "b");
    assert_null(channel_next(ends.channel));
    say(&ends, "pe\":\"c\"}\n");
    assert_waits_for(&ends, "c");
    assert_int_equal(channel_end(ends.channel), CHANNEL_OPEN);
    close_ends(&ends);
}

static void gives_a_message_without_waiting(void **state)
{
    (void)state;
    struct ends ends;
    cJSON *message;
    open_ends(&ends, LONG_MS);
    say(&ends, "{\"type\":\"a\"}\n{\"type\":\"ping\"}\n");
    assert_written(
        &ends,
        "{\"type\":\"pong\",\"beats\":0,\"expected_s\":0}\n"); /* so the first
                                                                  is there */
    message = channel_next(ends.channel);
    assert_string_equal(json_text_or(message, "type", ""), "a");
    cJSON_Delete(message);
    assert_null(channel_next(ends.channel));
    close_ends(&ends);
}

static void writes_lines(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, LONG_MS);
    assert_true(channel_send(ends.channel, make_message("hello")));
    assert_written(&ends, "{\"type\":\"hello\"}\n");
    close_ends(&ends);
}

static void ends_at_end_of_file(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, LONG_MS);
    say(&ends, "{\"type\":\"cut");
    close(ends.to);
    ends.to = -1;
    assert_ends(&ends, CHANNEL_CLOSED);
    assert_true(channel_send(ends.channel, make_message("last")));
    assert_written(&ends, "{\"type\":\"last\"}\n");
    close_ends(&ends);
}

static void ends_at_what_is_no_message(void **state)
{
    static const char *const lines[] = {"nonsense\n", "[]\n", "{} {}\n", "\n"};
    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct ends ends;
        open_ends(&ends, LONG_MS);
        say(&ends, lines[i]);
        assert_ends(&ends, CHANNEL_CLOSED);
        close_ends(&ends);
    }
}

static void ends_when_nobody_reads_any_more(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, LONG_MS);
    close(ends.from);
    ends.from = -1;
    assert_false(channel_send(ends.channel, make_message("row")));
    assert_ends(&ends, CHANNEL_CLOSED);
    assert_false(channel_send(ends.channel, make_message("row")));
    close_ends(&ends);
}

static void ends_when_nothing_is_heard(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, 20);
    assert_ends(&ends, CHANNEL_UNHEARD);
    close_ends(&ends);
}

static void ends_at_signals(void **state)
{
    static const int signals[] = {SIGTERM, SIGHUP};
    (void)state;
    for (size_t i = 0; i < COUNT(signals); i++) {
        struct ends ends;
        open_ends(&ends, LONG_MS);
        channel_catch_signals(ends.channel);
        raise(SIGINT); /* is ignored */
        assert_int_equal(channel_end(ends.channel), CHANNEL_OPEN);
        raise(signals[i]);
        assert_ends(&ends, CHANNEL_TERMINATED);
        close_ends(&ends);
    }
}

static void can_be_woken(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, LONG_MS);
    channel_wake(ends.channel);
    assert_null(channel_wait(ends.channel));
    assert_int_equal(channel_end(ends.channel), CHANNEL_OPEN);
    say(&ends, "{\"type\":\"a\"}\n");
    assert_waits_for(&ends, "a");
    close_ends(&ends);
}

/* A full pipe holds the writer up until the end, and pings go unanswered, but
 * reading goes on. */
static void is_not_held_up_past_the_end(void **state)
{
    (void)state;
    struct ends ends;
    size_t sent = 0;
    open_ends(&ends, 200);
    say(&ends, "{\"type\":\"ping\"}\n");
    assert_written(&ends, "{\"type\":\"pong\",\"beats\":0,\"expected_s\":0}\n");
    while (channel_send(ends.channel, make_message("row")))
        sent++;
    assert_int_equal(channel_end(ends.channel), CHANNEL_UNHEARD);
    assert_true(sent > 1000);
    for (size_t i = 0; i < sent; i++) /* and every message is whole */
        assert_written(&ends, "{\"type\":\"row\"}\n");
    struct pollfd fd = {.fd = ends.from, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 0), 0);
    close_ends(&ends);
}

static void pongs_carry_the_beat(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, LONG_MS);
    channel_beat(ends.channel, 0.25);
    channel_beat(ends.channel, 2.5);
    say(&ends, "{\"type\":\"ping\"}\n");
    assert_written(&ends,
                   "{\"type\":\"pong\",\"beats\":2,\"expected_s\":2.5}\n");
    channel_beat(ends.channel, INFINITY);
    say(&ends, "{\"type\":\"ping\"}\n");
    assert_written(&ends,
                   "{\"type\":\"pong\",\"beats\":3,\"expected_s\":null}\n");
    close_ends(&ends);
}

/* Nobody is there to kill a worker that hangs when its gaitd is gone. */
static void one_that_hangs_ends_itself(void **state)
{
    (void)state;
    int in[2], out[2], status;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error error;
        close(in[1]); /* end of file */
        dup2(out[1], STDERR_FILENO);
        struct channel *channel =
            channel_open(in[0], out[1], LONG_MS, 50, &error);
        while (channel) /* and never channel_close */
            pause();
        _exit(2);
    }
    close(in[1]);
    close(out[1]);
    char text[200] = "";
    size_t used = 0;
    ssize_t count;
    while ((count = read(out[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)count;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_string_equal(
        text, "gait-worker: did not come to an end in 0.05 s, leaving\n");
    close(in[0]);
    close(out[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_whole_messages_in_order),
        cmocka_unit_test(gives_a_message_without_waiting),
        cmocka_unit_test(writes_lines),
        cmocka_unit_test(ends_at_end_of_file),
        cmocka_unit_test(ends_at_what_is_no_message),
        cmocka_unit_test(ends_when_nobody_reads_any_more),
        cmocka_unit_test(ends_when_nothing_is_heard),
        cmocka_unit_test(ends_at_signals),
        cmocka_unit_test(can_be_woken),
        cmocka_unit_test(is_not_held_up_past_the_end),
        cmocka_unit_test(pongs_carry_the_beat),
        cmocka_unit_test(one_that_hangs_ends_itself),
    };
    return cmocka_run_group_tests_name("worker_channel", tests, NULL, NULL);
}
