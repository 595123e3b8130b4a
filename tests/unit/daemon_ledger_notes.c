/* What a transaction notes for the ledger is joined. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "daemon/ledger_notes.h"

static void expect(const struct ledger_entry *entry, const char *kind,
                   const char *name, const int64_t numbers[4])
{
    assert_string_equal(entry->kind, kind);
    assert_string_equal(entry->name, name);
    assert_int_equal(entry->item, numbers[0]);
    assert_int_equal(entry->first, numbers[1]);
    assert_int_equal(entry->last, numbers[2]);
    assert_int_equal(entry->count, numbers[3]);
}

static void what_is_alike_is_joined(void **state)
{
    (void)state;
    struct ledger_notes notes = {0};
    static const char key[] = "0123456789abcdef0123456789abcdef";
    ledger_notes_row(&notes, 7, key, 20);
    ledger_notes_job(&notes, 3, "done");
    ledger_notes_row(&notes, 8, "fedcba9876543210", 0);
    ledger_notes_job(&notes, 5, "done");
    ledger_notes_row(&notes, 7, key, 10);
    ledger_notes_job(&notes, 4, "failed");
    ledger_notes_job(&notes, 2, "done");
    ledger_notes_join(&notes);
    assert_int_equal(notes.count, 5);
    expect(&notes.entries[0], "jobs", "done", (int64_t[]){2, 2, 3, 2});
    expect(&notes.entries[1], "jobs", "done", (int64_t[]){5, 5, 5, 1});
    expect(&notes.entries[2], "jobs", "failed", (int64_t[]){4, 4, 4, 1});
    expect(&notes.entries[3], "rows", "0123456789ab",
           (int64_t[]){7, 10, 20, 2});
    expect(&notes.entries[4], "rows", "fedcba987654", (int64_t[]){8, 0, 0, 1});
    ledger_notes_release(&notes);
}

static void what_is_taken_back_is_gone(void **state)
{
    (void)state;
    struct ledger_notes notes = {0};
    for (int i = 0; i < 1000; i++)
        ledger_notes_job(&notes, i, i < 100 ? "done" : "cancelled");
    notes.count = 200;
    ledger_notes_join(&notes);
    assert_int_equal(notes.count, 2);
    expect(&notes.entries[0], "jobs", "cancelled",
           (int64_t[]){100, 100, 199, 100});
    expect(&notes.entries[1], "jobs", "done", (int64_t[]){0, 0, 99, 100});
    ledger_notes_release(&notes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_alike_is_joined),
        cmocka_unit_test(what_is_taken_back_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
