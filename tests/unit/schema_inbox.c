#include "schema_fixture.h"

/* Puts bytes in as a reader would, at most `piece` at a time. */
static void fill(struct inbox *inbox, const char *bytes, size_t count,
                 size_t piece)
{
    while (count) {
        size_t available;
        struct error error = {0};
        char *room = inbox_room(inbox, piece, &available, &error);
        if (!room)
            fail_msg("%s", error.text);
        assert_true(available >= piece);
        size_t now = count < piece ? count : piece;
        memcpy(room, bytes, now);
        inbox_filled(inbox, now);
        bytes += now;
        count -= now;
    }
}

static void assert_next(struct inbox *inbox, const char *expected)
{
    size_t length = 0;
    const char *line = inbox_next(inbox, &length);
    if (!line)
        fail_msg("no line, expected %s", expected);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(line, expected, length);
}

static void gives_whole_lines(void **state)
{
    (void)state;
    static const char bytes[] = "{\"a\":1}\n\n{\"b\":2}\r\n{\"c\"";
    for (size_t piece = 1; piece < sizeof bytes; piece++) {
        struct inbox inbox;
        size_t length;
        inbox_init(&inbox);
        assert_null(inbox_next(&inbox, &length));
        fill(&inbox, bytes, sizeof bytes - 1, piece);
        assert_next(&inbox, "{\"a\":1}");
        assert_next(&inbox, "");
        assert_next(&inbox, "{\"b\":2}\r");
        assert_null(inbox_next(&inbox, &length));
        assert_null(inbox_next(&inbox, &length));
        fill(&inbox, ":3}\n", 4, piece);
        assert_next(&inbox, "{\"c\":3}");
        assert_null(inbox_next(&inbox, &length));
        inbox_release(&inbox);
    }
}

/* Filling and taking in every rhythm, against a plain list of numbers. */
static void keeps_order_in_any_rhythm(void **state)
{
    (void)state;
    for (int rhythm = 1; rhythm < 50; rhythm++) {
        struct inbox inbox;
        inbox_init(&inbox);
        int written = 0, read = 0;
        char line[600], expected[600];
        while (read < 2000) {
            for (int i = 0; i < rhythm && written < 2000; i++, written++) {
                int used = snprintf(line, sizeof line, "%0*d\n",
                                    written * 7 % 500 + 1, written);
                fill(&inbox, line, (size_t)used, (size_t)rhythm * 13);
            }
            for (int i = 0; i < rhythm / 2 + 1 && read < written; i++) {
                snprintf(expected, sizeof expected, "%0*d", read * 7 % 500 + 1,
                         read);
                assert_next(&inbox, expected);
                read++;
            }
        }
        size_t length;
        assert_null(inbox_next(&inbox, &length));
        inbox_release(&inbox);
    }
}

static void refuses_a_line_without_end(void **state)
{
    (void)state;
    struct inbox inbox;
    inbox_init(&inbox);
    static char piece[65536];
    memset(piece, 'x', sizeof piece);
    for (size_t sent = 0; sent < MESSAGE_BYTES_MAX; sent += sizeof piece)
        fill(&inbox, piece, sizeof piece, sizeof piece);
    size_t available;
    struct error error = {0};
    assert_null(inbox_room(&inbox, 1, &available, &error));
    assert_int_equal(error.code, ERROR_TOO_LARGE);
    assert_string_equal(error.text, "a message of over 8388608 bytes");
    inbox_release(&inbox);
}

static void allows_the_longest_message(void **state)
{
    (void)state;
    struct inbox inbox;
    inbox_init(&inbox);
    char *bytes = malloc(MESSAGE_BYTES_MAX + 10);
    memset(bytes, 'x', MESSAGE_BYTES_MAX - 1);
    memcpy(bytes + MESSAGE_BYTES_MAX - 1, "\nshort\nre", 9);
    fill(&inbox, bytes, MESSAGE_BYTES_MAX + 8, 100000);
    size_t length;
    assert_non_null(inbox_next(&inbox, &length));
    assert_int_equal(length, MESSAGE_BYTES_MAX - 1);
    assert_next(&inbox, "short");
    fill(&inbox, "st\n", 3, 3);
    assert_next(&inbox, "rest");
    free(bytes);
    inbox_release(&inbox);
}

static void gives_memory_back(void **state)
{
    (void)state;
    struct inbox inbox;
    inbox_init(&inbox);
    size_t big = 4 << 20, length;
    char *bytes = malloc(big);
    memset(bytes, 'x', big);
    bytes[big - 4] = '\n';
    fill(&inbox, bytes, big, 65536);
    assert_true(inbox.capacity >= big);
    assert_non_null(inbox_next(&inbox, &length));
    assert_null(inbox_next(&inbox, &length));
    assert_true(inbox.capacity <= 256 << 10);
    fill(&inbox, "\n", 1, 65536);
    assert_next(&inbox, "xxx");
    free(bytes);
    inbox_release(&inbox);
    assert_null(inbox.bytes);
}

/* A long line that arrives in small pieces is scanned once in all. */
static void scans_every_byte_once(void **state)
{
    (void)state;
    struct inbox inbox;
    inbox_init(&inbox);
    size_t length;
    for (int i = 0; i < 1000; i++) {
        fill(&inbox, "xxxxxxx", 7, 7);
        assert_null(inbox_next(&inbox, &length));
        assert_int_equal(inbox.scanned, inbox.used);
    }
    fill(&inbox, "\n", 1, 1);
    assert_non_null(inbox_next(&inbox, &length));
    assert_int_equal(length, 7000);
    inbox_release(&inbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_whole_lines),
        cmocka_unit_test(keeps_order_in_any_rhythm),
        cmocka_unit_test(refuses_a_line_without_end),
        cmocka_unit_test(allows_the_longest_message),
        cmocka_unit_test(gives_memory_back),
        cmocka_unit_test(scans_every_byte_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
