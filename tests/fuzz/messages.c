/* Frames: bytes in pieces of any size become lines, and lines become messages
 * whose print reads back as the same message. */
#include <cjson/cJSON.h>
#include <string.h>

#include "fuzz.h"
#include "schema/message.h"

static void check_line(const char *line, size_t length)
{
    struct error error = {0};
    size_t printed, again;
    PROMISE(!memchr(line, '\n', length));
    struct cJSON *message = message_parse(line, length, &error);
    if (!message) {
        PROMISE(error.code != ERROR_NONE && error.text[0]);
        return;
    }
    char *first = message_print(message, &printed);
    PROMISE(first[printed - 1] == '\n' && !memchr(first, '\n', printed - 1));
    cJSON_Delete(message);
    message = message_parse(first, printed - 1, &error);
    PROMISE(message);
    char *second = message_print(message, &again);
    PROMISE(printed == again && !memcmp(first, second, printed));
    cJSON_Delete(message);
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct inbox inbox;
    struct error error;
    size_t piece = size ? 1 + (size_t)bytes[0] * bytes[0] : 1;
    size_t lines = 0, newlines = 0;
    inbox_init(&inbox);
    for (size_t at = 1; at < size; at += piece) {
        size_t count = size - at < piece ? size - at : piece, available, length;
        char *room = inbox_room(&inbox, count, &available, &error);
        PROMISE(room && available >= count);
        memcpy(room, bytes + at, count);
        inbox_filled(&inbox, count);
        const char *line;
        while ((line = inbox_next(&inbox, &length))) {
            check_line(line, length);
            lines++;
        }
    }
    for (size_t at = 1; at < size; at++)
        newlines += bytes[at] == '\n';
    PROMISE(lines == newlines);
    inbox_release(&inbox);
    return 0;
}
