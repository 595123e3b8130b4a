#include "daemon/datasets.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/loop_stat.h"
#include "daemon/process.h"
#include "schema/memory.h"
#include "schema/message.h"

/* A file that a data set was read from. */
struct source {
    struct entry *entry;
    char *file;
    int64_t bytes;
    double modified;
};

struct waiter {
    struct waiter *next;
    datasets_found *found;
    void *user;
};

struct entry {
    struct entry *next;
    struct datasets *datasets;
    struct dataset dataset;
    bool is_known;
    struct source *sources;
    int source_count, stats_left;
    struct waiter *waiters; /* not empty while something is under way */
    struct process *process;
    struct error error; /* of the preparation under way */
};

struct datasets {
    struct uv_loop_s *loop;
    const struct log *log;
    const struct config *config;
    const char *worker;
    struct entry *entries;
    bool is_stopping;
};

static void add_folder(struct cJSON *list, const char *folder, const char *sub)
{
    char *path = xprintf("%s/%s", folder, sub);
    cJSON_AddItemToArray(list, cJSON_CreateString(path));
    free(path);
}

struct cJSON *datasets_folders(const struct config *config, const char *name)
{
    struct cJSON *list = cJSON_CreateArray();
    const struct cJSON *sub, *folder;
    cJSON_ArrayForEach(sub,
                       cJSON_GetObjectItemCaseSensitive(config->datasets, name))
    {
        if (sub->valuestring[0] == '/') {
            cJSON_AddItemToArray(list, cJSON_CreateString(sub->valuestring));
            continue;
        }
        cJSON_ArrayForEach(folder, config->dataset_folders)
            add_folder(list, folder->valuestring, sub->valuestring);
    }
    return list;
}

/* "FMNIST, KMNIST, MNIST" */
static void list_known(const struct config *config, char *text, size_t bytes)
{
    const struct cJSON *one;
    size_t used = 0;
    text[0] = '\0';
    cJSON_ArrayForEach(one, config->datasets)
    {
        if (used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s%s",
                                     used ? ", " : "", one->string);
    }
}

static void forget(struct entry *entry)
{
    for (int i = 0; i < entry->source_count; i++)
        free(entry->sources[i].file);
    free(entry->sources);
    entry->sources = NULL;
    entry->source_count = 0;
    entry->is_known = false;
}

static void answer(struct entry *entry)
{
    struct waiter *waiters = entry->waiters;
    entry->waiters = NULL;
    while (waiters) {
        struct waiter *waiter = waiters;
        waiters = waiter->next;
        if (entry->is_known)
            waiter->found(waiter->user, &entry->dataset, NULL);
        else
            waiter->found(waiter->user, NULL, &entry->error);
        free(waiter);
    }
}

static void turn_away(struct entry *entry)
{
    entry->is_known = false;
    error_set(&entry->error, ERROR_BUSY, "gaitd is shutting down");
    answer(entry);
}

static bool read_source(struct source *source, const struct cJSON *object,
                        struct error *error)
{
    const char *file;
    if (!json_get_text(object, "file", &file, error) ||
        !json_get_integer(object, "bytes", &source->bytes, error) ||
        !json_get_real(object, "modified", &source->modified, error))
        return false;
    source->file = xstrdup(file);
    return true;
}

static bool read_sources(struct entry *entry, const struct cJSON *list,
                         struct error *error)
{
    int count = cJSON_GetArraySize(list);
    entry->sources = xcalloc((size_t)count + 1, sizeof *entry->sources);
    const struct cJSON *one;
    cJSON_ArrayForEach(one, list)
    {
        struct source *source = &entry->sources[entry->source_count];
        source->entry = entry;
        if (!read_source(source, one, error))
            return false;
        entry->source_count++;
    }
    return true;
}

static bool read_dataset(struct entry *entry, const struct cJSON *message,
                         struct error *error)
{
    struct dataset_shape *shape = &entry->dataset.shape;
    const char *digest;
    int64_t width;
    if (!json_get_text(message, "digest", &digest, error) ||
        !json_get_integer(message, "train_rows", &shape->train_rows, error) ||
        !json_get_integer(message, "test_rows", &shape->test_rows, error) ||
        !json_get_integer(message, "width", &width, error))
        return false;
    if (strlen(digest) != 32 || width < 1 || width > INT32_MAX)
        return error_set(error, ERROR_PROTOCOL,
                         "its digest or width cannot be");
    snprintf(shape->digest, sizeof shape->digest, "%.32s", digest);
    shape->width = (int)width;
    return read_sources(
        entry, cJSON_GetObjectItemCaseSensitive(message, "sources"), error);
}

static void on_message(void *user, const struct cJSON *message)
{
    struct entry *entry = user;
    const char *type = json_text_or(message, "type", "");
    forget(entry);
    if (strcmp(type, "failed") == 0)
        error_set(&entry->error,
                  (enum error_code)json_integer_or(message, "code", ERROR_IO),
                  "%s", json_text_or(message, "message", "it failed"));
    else if (strcmp(type, "dataset") != 0)
        error_set(&entry->error, ERROR_PROTOCOL,
                  "the worker program sent \"%.50s\", expected \"dataset\"",
                  type);
    else if (read_dataset(entry, message, &entry->error))
        entry->is_known = true;
    else
        forget(entry);
}

static void on_end(void *user, const struct process_end *end)
{
    struct entry *entry = user;
    const struct log *log = entry->datasets->log;
    const char *name = entry->dataset.name;
    entry->process = NULL;
    if (!end->is_success && entry->is_known)
        forget(entry);
    if (entry->datasets->is_stopping)
        return;
    if (!entry->is_known && entry->error.code == ERROR_NONE)
        error_set(&entry->error, ERROR_IO,
                  "cannot prepare data set \"%.100s\": %.800s", name,
                  end->story);
    if (entry->is_known)
        log_write(log, LOG_info, "data set %s is %s", name,
                  entry->dataset.shape.digest);
    else
        log_write(log, LOG_warning, "data set %s: %s", name, entry->error.text);
    answer(entry);
}

/* The command line, each word the caller's (free_words). */
static char **prepare_words(const struct entry *entry)
{
    const struct config *config = entry->datasets->config;
    struct cJSON *folders = datasets_folders(config, entry->dataset.name);
    char **words =
        xcalloc((size_t)cJSON_GetArraySize(folders) + 6, sizeof *words);
    int count = 0;
    words[count++] = xstrdup(entry->datasets->worker);
    words[count++] = xstrdup("--prepare");
    words[count++] = xstrdup(entry->dataset.name);
    words[count++] = xstrdup("--cache");
    words[count++] = xstrdup(config->cache_dir);
    const struct cJSON *folder;
    cJSON_ArrayForEach(folder, folders) words[count++] =
        xstrdup(folder->valuestring);
    cJSON_Delete(folders);
    return words;
}

static void free_words(char **words)
{
    for (char **word = words; *word; word++)
        free(*word);
    free(words);
}

static void prepare(struct entry *entry)
{
    struct datasets *datasets = entry->datasets;
    const struct process_hooks hooks = {entry, on_message, on_end, NULL};
    char **words = prepare_words(entry);
    char label[64];
    snprintf(label, sizeof label, "preparing %.40s", entry->dataset.name);
    forget(entry);
    entry->error.code = ERROR_NONE;
    entry->process = process_open(datasets->loop, datasets->log, label, words,
                                  &hooks, &entry->error);
    free_words(words);
    if (!entry->process)
        answer(entry);
}

static void on_stat(void *user, int64_t bytes, double modified)
{
    struct source *source = user;
    struct entry *entry = source->entry;
    if (bytes != source->bytes || fabs(modified - source->modified) > 1e-6)
        entry->is_known = false;
    if (--entry->stats_left > 0)
        return;
    if (entry->datasets->is_stopping)
        return;
    if (entry->is_known)
        answer(entry);
    else
        prepare(entry);
}

/* Looks whether the files are still what they were. */
static void look_again(struct entry *entry)
{
    entry->stats_left = entry->source_count;
    for (int i = 0; i < entry->source_count; i++)
        loop_stat(entry->datasets->loop, entry->sources[i].file, on_stat,
                  &entry->sources[i]);
}

static struct entry *entry_of(struct datasets *datasets, const char *name)
{
    struct entry *entry = datasets->entries;
    while (entry && strcmp(entry->dataset.name, name) != 0)
        entry = entry->next;
    if (entry)
        return entry;
    entry = xcalloc(1, sizeof *entry);
    entry->datasets = datasets;
    snprintf(entry->dataset.name, sizeof entry->dataset.name, "%s", name);
    entry->next = datasets->entries;
    datasets->entries = entry;
    return entry;
}

void datasets_find(struct datasets *datasets, const char *name,
                   datasets_found *found, void *user)
{
    struct error error;
    if (!cJSON_GetObjectItemCaseSensitive(datasets->config->datasets, name)) {
        char known[500];
        list_known(datasets->config, known, sizeof known);
        error_set(&error, ERROR_SPEC, "\"%.300s\" is not configured; known: %s",
                  name, known);
        found(user, NULL, &error);
        return;
    }
    struct entry *entry = entry_of(datasets, name);
    struct waiter *waiter = xmalloc(sizeof *waiter);
    bool is_busy = entry->waiters != NULL;
    struct waiter **end = &entry->waiters;
    while (*end) /* answered in the order in which they came */
        end = &(*end)->next;
    *waiter = (struct waiter){NULL, found, user};
    *end = waiter;
    if (datasets->is_stopping) {
        turn_away(entry);
        return;
    }
    if (is_busy)
        return;
    if (entry->is_known && entry->source_count > 0)
        look_again(entry);
    else
        prepare(entry);
}

struct datasets *datasets_new(struct uv_loop_s *loop, const struct log *log,
                              const struct config *config, const char *worker)
{
    struct datasets *datasets = xcalloc(1, sizeof *datasets);
    datasets->loop = loop;
    datasets->log = log;
    datasets->config = config;
    datasets->worker = worker;
    return datasets;
}

void datasets_stop(struct datasets *datasets)
{
    datasets->is_stopping = true;
    for (struct entry *entry = datasets->entries; entry; entry = entry->next) {
        if (entry->process)
            process_fail(entry->process, "gaitd is shutting down");
        if (entry->waiters)
            turn_away(entry);
    }
}

void datasets_free(struct datasets *datasets)
{
    if (!datasets)
        return;
    while (datasets->entries) {
        struct entry *entry = datasets->entries;
        datasets->entries = entry->next;
        forget(entry);
        free(entry);
    }
    free(datasets);
}
