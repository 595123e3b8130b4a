#include "daemon/ledger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "schema/memory.h"

enum { HASH = 16 }; /* digits */

/* Writing. */

bool ledger_file_add(struct ledger_file *file, const char *line)
{
    size_t length = strlen(line);
    char *text = xprintf("%s %016" PRIx64 "\n", line,
                         (uint64_t)XXH3_64bits(line, length));
    ssize_t bytes = (ssize_t)(length + 1 + HASH + 1);
    bool is_written = file->descriptor >= 0 &&
                      write(file->descriptor, text, (size_t)bytes) == bytes;
    free(text);
    if (is_written)
        file->bytes += bytes;
    else if (file->descriptor >= 0 &&
             ftruncate(file->descriptor, (off_t)file->bytes) != 0)
        ledger_file_close(file); /* nothing may follow half a line */
    return is_written;
}

bool ledger_file_open(struct ledger_file *file,
                      const struct ledger_content *content, struct error *error)
{
    file->descriptor = -1;
    file->bytes = content->bytes;
    if (content->base < 0)
        return true;
    file->descriptor = open(file->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return (file->descriptor >= 0 &&
            ftruncate(file->descriptor, (off_t)file->bytes) == 0) ||
           error_set(error, ERROR_IO, "cannot open the ledger \"%s\": %s",
                     file->path, strerror(errno));
}

bool ledger_file_renew(struct ledger_file *file, int64_t base)
{
    char path[PATH_BYTES], line[64];
    struct ledger_file made = {.descriptor = -1};
    if (snprintf(path, sizeof path, "%s.tmp", file->path) >= (int)sizeof path)
        return false;
    made.descriptor =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    snprintf(line, sizeof line, "base %" PRId64, base);
    if (!ledger_file_add(&made, line) || rename(path, file->path) != 0) {
        ledger_file_close(&made);
        return false;
    }
    ledger_file_close(file);
    file->descriptor = made.descriptor;
    file->bytes = made.bytes;
    return true;
}

void ledger_file_close(struct ledger_file *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
}

/* Reading. */

static char *read_all(const char *path, bool *is_there, struct error *error)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    *is_there = file != NULL;
    if (!file) {
        if (errno != ENOENT)
            error_set(error, ERROR_IO, "cannot read the ledger \"%s\": %s",
                      path, strerror(errno));
        return errno == ENOENT ? xstrdup("") : NULL;
    }
    ssize_t length = getdelim(&text, &room, '\0', file);
    bool is_read = !ferror(file);
    fclose(file);
    if (!is_read)
        error_set(error, ERROR_IO, "cannot read the ledger \"%s\"", path);
    else if (length >= 0)
        return text;
    free(text);
    return is_read ? xstrdup("") : NULL;
}

/* Cuts its hash off. */
static bool is_whole(char *line)
{
    char hash[HASH + 1];
    size_t length = strlen(line);
    if (length < HASH + 1 || line[length - HASH - 1] != ' ')
        return false;
    line[length - HASH - 1] = '\0';
    snprintf(hash, sizeof hash, "%016" PRIx64,
             (uint64_t)XXH3_64bits(line, length - HASH - 1));
    return memcmp(line + length - HASH, hash, HASH) == 0;
}

static void copy(char *to, size_t bytes, const char *from)
{
    snprintf(to, bytes, "%s", from ? from : "");
}

static int64_t number(char **rest)
{
    const char *text = strsep(rest, ":");
    return text ? strtoll(text, NULL, 10) : 0;
}

static void read_entry(struct ledger_content *content, char *text)
{
    struct ledger_entry entry = {.commit = content->last};
    copy(entry.kind, sizeof entry.kind, strsep(&text, ":"));
    copy(entry.name, sizeof entry.name, strsep(&text, ":"));
    entry.item = number(&text);
    entry.first = number(&text);
    entry.last = number(&text);
    entry.count = number(&text);
    if (content->entry_count == content->entry_room) {
        content->entry_room = 2 * content->entry_room + 64;
        content->entries =
            xrealloc(content->entries,
                     (size_t)content->entry_room * sizeof *content->entries);
    }
    content->entries[content->entry_count++] = entry;
}

static void read_commit(struct ledger_content *content, int64_t commit,
                        char *rest)
{
    char *entry;
    if (content->commit_count == content->commit_room) {
        content->commit_room = 2 * content->commit_room + 64;
        content->commits =
            xrealloc(content->commits,
                     (size_t)content->commit_room * sizeof *content->commits);
    }
    content->commits[content->commit_count++] = commit;
    content->last = commit;
    while ((entry = strsep(&rest, " ")))
        if (*entry)
            read_entry(content, entry);
}

/* False: the file ends before it. */
static bool read_line(struct ledger_content *content, char *line)
{
    if (!is_whole(line))
        return false;
    const char *word = strsep(&line, " ");
    const char *text = line ? strsep(&line, " ") : "";
    int64_t commit = strtoll(text, NULL, 10);
    if (strcmp(word, "base") == 0)
        content->base = content->copying = content->last = commit;
    else if (content->base < 0)
        return false;
    else if (strcmp(word, "copying") == 0)
        content->copying = commit > content->base ? commit : content->base;
    else if (strcmp(word, "commit") == 0)
        read_commit(content, commit, line);
    return true;
}

bool ledger_content_read(struct ledger_content *content, const char *path,
                         struct error *error)
{
    bool is_there;
    *content = (struct ledger_content){.base = -1, .copying = -1, .last = -1};
    char *text = read_all(path, &is_there, error), *rest = text, *line;
    while (rest && (line = strsep(&rest, "\n"))) {
        if (!rest || !read_line(content, line))
            break;
        content->bytes = rest - text;
    }
    free(text);
    return text != NULL;
}

void ledger_content_release(struct ledger_content *content)
{
    free(content->commits);
    free(content->entries);
    *content = (struct ledger_content){.base = -1};
}
