#include "schema/inbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_LEAST = 4096, CAPACITY_KEPT = 256 << 10 };

void inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){0};
}

void inbox_release(struct inbox *inbox)
{
    free(inbox->bytes);
    inbox_init(inbox);
}

/* The first newline that was not handed out, or NULL. */
static char *newline(struct inbox *inbox)
{
    if (inbox->scanned == inbox->used)
        return NULL;
    char *start = inbox->bytes + inbox->scanned;
    char *found = memchr(start, '\n', inbox->used - inbox->scanned);
    inbox->scanned = found ? (size_t)(found - inbox->bytes) : inbox->used;
    return found;
}

/* Drops what was handed out, unless that would move more than it drops: so
 * moving costs no more than reading did. */
static void drop_taken(struct inbox *inbox)
{
    size_t kept = inbox->used - inbox->taken;
    if (!inbox->taken || kept > inbox->taken)
        return;
    memmove(inbox->bytes, inbox->bytes + inbox->taken, kept);
    inbox->used = kept;
    inbox->scanned -= inbox->taken;
    inbox->taken = 0;
}

static bool resize(struct inbox *inbox, size_t capacity)
{
    char *bytes = realloc(inbox->bytes, capacity);
    if (!bytes)
        return false;
    inbox->bytes = bytes;
    inbox->capacity = capacity;
    return true;
}

/* When a message of megabytes has gone.  A failed resize keeps the old. */
static void shrink(struct inbox *inbox)
{
    if (inbox->capacity > CAPACITY_KEPT && inbox->used < CAPACITY_KEPT / 4)
        (void)resize(inbox, CAPACITY_KEPT);
}

static bool grow(struct inbox *inbox, size_t wanted)
{
    size_t least = inbox->used + wanted;
    if (least <= inbox->capacity)
        return true;
    size_t capacity = inbox->capacity ? inbox->capacity : CAPACITY_LEAST;
    while (capacity < least)
        capacity *= 2;
    return resize(inbox, capacity);
}

char *inbox_room(struct inbox *inbox, size_t wanted, size_t *available,
                 struct error *error)
{
    drop_taken(inbox);
    if (inbox->used - inbox->taken >= MESSAGE_BYTES_MAX && !newline(inbox)) {
        error_set(error, ERROR_TOO_LARGE, "a message of over %d bytes",
                  MESSAGE_BYTES_MAX);
        return NULL;
    }
    if (!grow(inbox, wanted)) {
        error_set(error, ERROR_MEMORY, "no memory for a message of %zu bytes",
                  inbox->used + wanted);
        return NULL;
    }
    *available = inbox->capacity - inbox->used;
    return inbox->bytes + inbox->used;
}

void inbox_filled(struct inbox *inbox, size_t count)
{
    assert(count <= inbox->capacity - inbox->used);
    inbox->used += count;
}

const char *inbox_next(struct inbox *inbox, size_t *length)
{
    char *end = newline(inbox);
    if (!end) {
        drop_taken(inbox);
        shrink(inbox);
        return NULL;
    }
    const char *start = inbox->bytes + inbox->taken;
    *length = (size_t)(end - start);
    inbox->scanned++;
    inbox->taken = inbox->scanned;
    return start;
}
