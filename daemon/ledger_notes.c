#include "daemon/ledger_notes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"

enum { KEY_DIGITS_TOLD = 12 };

void ledger_notes_release(struct ledger_notes *notes)
{
    free(notes->entries);
    *notes = (struct ledger_notes){0};
}

static struct ledger_entry *add(struct ledger_notes *notes, const char *kind,
                                int64_t item, int64_t first)
{
    if (notes->count == notes->room) {
        notes->room = 2 * notes->room + 64;
        notes->entries =
            xrealloc(notes->entries, notes->room * sizeof *notes->entries);
    }
    struct ledger_entry *entry = &notes->entries[notes->count++];
    *entry = (struct ledger_entry){
        .item = item, .first = first, .last = first, .count = 1};
    snprintf(entry->kind, sizeof entry->kind, "%s", kind);
    return entry;
}

void ledger_notes_row(struct ledger_notes *notes, int64_t run, const char *key,
                      int64_t step)
{
    struct ledger_entry *entry = add(notes, "rows", run, step);
    snprintf(entry->name, sizeof entry->name, "%.*s", KEY_DIGITS_TOLD, key);
}

void ledger_notes_job(struct ledger_notes *notes, int64_t job,
                      const char *state)
{
    struct ledger_entry *entry = add(notes, "jobs", job, job);
    snprintf(entry->name, sizeof entry->name, "%s", state);
}

/* Rows of a run by their steps. */
static int compare(const void *a, const void *b)
{
    const struct ledger_entry *x = a, *y = b;
    int order = strcmp(x->kind, y->kind);
    if (!order)
        order = strcmp(x->name, y->name);
    if (!order)
        order = (x->item > y->item) - (x->item < y->item);
    return order ? order : (x->first > y->first) - (x->first < y->first);
}

/* Whether `entry` goes on with what `before` says. */
static bool extends(const struct ledger_entry *before,
                    const struct ledger_entry *entry)
{
    if (strcmp(before->kind, entry->kind) != 0 ||
        strcmp(before->name, entry->name) != 0)
        return false;
    return strcmp(entry->kind, "jobs") == 0 ? entry->item == before->last + 1
                                            : entry->item == before->item;
}

void ledger_notes_join(struct ledger_notes *notes)
{
    size_t joined = 0;
    if (notes->count > 1)
        qsort(notes->entries, notes->count, sizeof *notes->entries, compare);
    for (size_t i = 0; i < notes->count; i++) {
        const struct ledger_entry *entry = &notes->entries[i];
        struct ledger_entry *before =
            joined ? &notes->entries[joined - 1] : NULL;
        if (before && extends(before, entry)) {
            before->last = entry->last;
            before->count++;
        } else {
            notes->entries[joined++] = *entry;
        }
    }
    notes->count = joined;
}
