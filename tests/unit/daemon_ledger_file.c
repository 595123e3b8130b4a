// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ledger_file.h"
#include "schema/memory.h"

struct place {
    char folder[64];
    struct ledger_file file;
    struct ledger_content content;
};

static struct place *place_new(void)
{
    struct place *place = xcalloc(1, sizeof *place);
    snprintf(place->folder, sizeof place->folder, "/tmp/gaitd-test-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->file.path, sizeof place->file.path, "%s/ledger",
             place->folder);
    place->file.descriptor = -1;
    place->content.base = -1;
    return place;
}

static void place_free(struct place *place)
{
    ledger_content_release(&place->content);
    ledger_file_close(&place->file);
    unlink(place->file.path);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
}

static void read_again(struct place *place)
{
    struct error error;
    ledger_content_release(&place->content);
    if (!ledger_content_read(&place->content, place->file.path, &error))
        fail_msg("%s", error.text);
}

static void append(struct place *place, const char *text)
{
    FILE *file = fopen(place->file.path, "a");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void no_file_is_no_ledger(void **state)
{
    (void)state;
    struct place *place = place_new();
    read_again(place);
    assert_int_equal(place->content.base, -1);
    assert_int_equal(place->content.last, -1);
    place_free(place);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct place *place = place_new();
    assert_true(ledger_file_renew(&place->file, 5));
    assert_true(ledger_file_add(&place->file,
                                "commit 6 sweep:a:7:50:52:3 rows:k:2:0:30:4"));
    assert_true(ledger_file_add(&place->file, "copying 6"));
    assert_true(ledger_file_add(&place->file, "commit 8"));
    read_again(place);
    const struct ledger_content *c = &place->content;
    assert_int_equal(c->base, 5);
    assert_int_equal(c->copying, 6);
    assert_int_equal(c->last, 8);
    assert_int_equal(c->commit_count, 2);
    assert_int_equal(c->entry_count, 2);
    assert_string_equal(c->entries[0].kind, "sweep");
    assert_string_equal(c->entries[0].name, "a");
    assert_int_equal(c->entries[0].commit, 6);
    assert_int_equal(c->entries[0].item, 7);
    assert_int_equal(c->entries[0].first, 50);
    assert_int_equal(c->entries[0].last, 52);
    assert_int_equal(c->entries[0].count, 3);
    assert_string_equal(c->entries[1].kind, "rows");
    assert_true(ledger_file_renew(&place->file, 8));
    read_again(place);
    assert_int_equal(c->base, 8);
    assert_int_equal(c->entry_count, 0);
    place_free(place);
}

/* A line that is not whole ends it, and is gone when it is gone on with. */
static void half_a_line_ends_it(void **state)
{
    (void)state;
    static const char *const tails[] = {
        "commit 7 jobs:done:1:1:1:1", /* cut off */
        "commit 7 jobs:done:1:1:1:1 0123456789abcdef\ncommit 8\n",
        "\n\n\n",
    };
    for (int i = 0; i < 3; i++) {
        struct place *place = place_new();
        struct error error;
        assert_true(ledger_file_renew(&place->file, 5));
        assert_true(ledger_file_add(&place->file, "commit 6"));
        ledger_file_close(&place->file);
        append(place, tails[i]);
        read_again(place);
        assert_int_equal(place->content.last, 6);
        assert_int_equal(place->content.entry_count, 0);
        assert_true(ledger_file_open(&place->file, &place->content, &error));
        assert_true(ledger_file_add(&place->file, "commit 9"));
        read_again(place);
        assert_int_equal(place->content.last, 9);
        assert_int_equal(place->content.commit_count, 2);
        place_free(place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_is_no_ledger),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(half_a_line_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
