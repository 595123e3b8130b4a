/* inbox.h: bytes that have come in and are not yet a message.
 *
 * A reader asks for room, reads into it, says how much came, and takes lines
 * until there is none:
 *
 *     char *room = inbox_room(&inbox, 65536, &available, &error);
 *     inbox_filled(&inbox, read(fd, room, available));
 *     while ((line = inbox_next(&inbox, &length))) ...
 *
 * Every byte is scanned once and moved at most about once, however it came;
 * memory taken by a large message goes back when it has been handed out.
 */
#ifndef SCHEMA_INBOX_H
#define SCHEMA_INBOX_H

#include <stddef.h>

#include "schema/error.h"

enum { MESSAGE_BYTES_MAX = 8 << 20 }; /* of one message, newline included */

struct inbox {
    char *bytes;
    size_t used, capacity;
    size_t scanned; /* no newline between `taken` and this */
    size_t taken;   /* bytes of messages handed out, to be dropped */
};

void inbox_init(struct inbox *inbox);
void inbox_release(struct inbox *inbox);

/* Room for at least `wanted` more bytes; *available says how many.  NULL with
 * ERROR_TOO_LARGE when the message under way is over MESSAGE_BYTES_MAX, or
 * with ERROR_MEMORY. */
char *inbox_room(struct inbox *inbox, size_t wanted, size_t *available,
                 struct error *error);
void inbox_filled(struct inbox *inbox, size_t count);

/* Bytes that are in but were not handed out. */
static inline size_t inbox_pending(const struct inbox *inbox)
{
    return inbox->used - inbox->taken;
}

/* The next whole line without its newline, or NULL when there is none yet.
 * Valid until the next call of any inbox function.  A line over
 * MESSAGE_BYTES_MAX that came in at once is handed out: message_parse refuses
 * it. */
const char *inbox_next(struct inbox *inbox, size_t *length);

#endif
