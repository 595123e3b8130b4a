#include "daemon/config.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/option.h"
#include "schema/memory.h"
#include "schema/message.h"

#define OPTION_ENTRY(name, type, initial, least, most, words, help)            \
    {#name, OPTION_##type, initial, least,                                     \
     most,  words,         help,    offsetof(struct config, name)},
const struct option option_table[] = {OPTIONS(OPTION_ENTRY)};
const int option_count = sizeof option_table / sizeof *option_table;

/* The data sets everybody knows, and the folders they come in. */
static const char builtin_datasets[] =
    "{\"MNIST\": [\"mnist\", \"MNIST\", \"MNIST/raw\"],"
    " \"KMNIST\": [\"kmnist\", \"KMNIST\", \"KMNIST/raw\"],"
    " \"FMNIST\": [\"fashion-mnist\", \"FMNIST\", \"FashionMNIST/raw\"]}";

void config_help(FILE *out)
{
    fprintf(out, "usage: gaitd [--OPTION VALUE]...\n\n"
                 "Queues trainings and gives them to workers.  Every option "
                 "may also be a member\nof the configuration file.\n\n");
    for (const struct option *o = option_table; o < option_table + option_count;
         o++) {
        char flag[OPTION_FLAG_BYTES];
        option_flag(o, flag);
        fprintf(out, "  %s %s\n        %s", flag, option_value_name(o),
                o->help);
        if (*o->words)
            fprintf(out, " (%s)", o->words);
        if (*o->initial)
            fprintf(out, "; default: %s", o->initial);
        fprintf(out, "\n");
    }
    fprintf(out, "  --version\n        print the version and exit\n"
                 "  --fsck\n        check the database and the checkpoints "
                 "of a gaitd that does not run, and exit:\n        0 all is "
                 "well, 1 it is not\n"
                 "  --help\n        print this and exit\n");
}

static void set_initial(struct config *config)
{
    struct faults none;
    faults_init(&none);
    *config = (struct config){.wants_help = false};
    for (const struct option *o = option_table; o < option_table + option_count;
         o++) {
        if (o->type == OPTION_COUNT)
            *(int64_t *)((char *)config + o->offset) = -1;
        if (!*o->initial)
            continue;
        struct cJSON *value = option_parse(o, o->initial);
        option_read(o, value, config, o->name, &none);
        cJSON_Delete(value);
    }
}

/* Notes one flag in `flags` (option name to text); returns the arguments it
 * used. */
static int note_flag(const char *argument, const char *next,
                     struct cJSON *flags, struct faults *faults)
{
    if (strncmp(argument, "--", 2) != 0 || !argument[2]) {
        faults_add(faults, "command line", "unexpected argument \"%s\"",
                   argument);
        return 1;
    }
    size_t length = strcspn(argument, "=");
    char name[OPTION_FLAG_BYTES];
    const struct option *option =
        option_find_flag(argument, length, name, faults);
    const char *value = argument[length] ? argument + length + 1 : next;
    int used = argument[length] || !next ? 1 : 2;
    if (!option) /* its value would be another fault, so take it along */
        return next && strncmp(next, "--", 2) == 0 ? 1 : used;
    if (!value)
        faults_add(faults, name, "expected a value");
    else if (cJSON_HasObjectItem(flags, option->name))
        faults_add(faults, name, "given twice");
    else
        cJSON_AddStringToObject(flags, option->name, value);
    return used;
}

static struct cJSON *note_flags(struct config *config, int argc, char **argv,
                                struct faults *faults)
{
    struct cJSON *flags = cJSON_CreateObject();
    for (int i = 1; i < argc;) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            config->wants_help = true, i++;
        else if (strcmp(argv[i], "--version") == 0)
            config->wants_version = true, i++;
        else if (strcmp(argv[i], "--fsck") == 0)
            config->wants_fsck = true, i++;
        else
            i += note_flag(argv[i], argv[i + 1], flags, faults);
    }
    return flags;
}

static void apply_flags(struct config *config, const struct cJSON *flags,
                        struct faults *faults)
{
    const struct cJSON *flag;
    cJSON_ArrayForEach(flag, flags)
    {
        const struct option *option = option_find(flag->string);
        char name[OPTION_FLAG_BYTES];
        option_flag(option, name);
        struct cJSON *value = option_parse(option, flag->valuestring);
        option_read(option, value, config, name, faults);
        cJSON_Delete(value);
    }
}

static bool starts_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

/* Comments become spaces, so that every byte stays where it was. */
static void blank_comments(char *text)
{
    while (*text) {
        size_t length = 1;
        bool is_line = starts_with(text, "//");
        if (*text == '"') {
            while (text[length] && text[length] != '"')
                length += text[length] == '\\' && text[length + 1] ? 2 : 1;
            length += text[length] == '"';
        } else if (is_line) {
            length = strcspn(text, "\n");
        } else if (starts_with(text, "/*")) {
            const char *end = strstr(text + 2, "*/");
            length = end ? (size_t)(end + 2 - text) : strlen(text);
        }
        if (is_line || starts_with(text, "/*"))
            memset(text, ' ', length);
        text += length;
    }
}

/* The whole file as text, NULL with errno. */
static char *read_text(const char *path, size_t *length)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    char *text = xmalloc(MESSAGE_BYTES_MAX);
    *length = fread(text, 1, MESSAGE_BYTES_MAX - 1, file);
    int failure = ferror(file) ? errno : feof(file) ? 0 : EFBIG;
    fclose(file);
    text[*length] = '\0';
    if (failure == 0)
        return text;
    free(text);
    errno = failure;
    return NULL;
}

static void apply_file(struct config *config, const char *path,
                       struct faults *faults)
{
    size_t length;
    struct error error;
    char *text = read_text(path, &length);
    if (!text) {
        faults_add(faults, "--config", "cannot read \"%s\": %s", path,
                   strerror(errno));
        return;
    }
    struct cJSON *file = NULL;
    if (strlen(text) == length) {
        blank_comments(text);
        file = message_parse(text, length, &error);
    } else {
        error_set(&error, ERROR_PARSE, "it holds a NUL byte");
    }
    free(text);
    if (!file) {
        faults_add(faults, "--config", "\"%s\": %s", path, error.text);
        return;
    }
    const char *slash = strrchr(path, '/');
    faults->context = slash ? slash + 1 : path;
    const struct cJSON *member;
    cJSON_ArrayForEach(member, file)
    {
        const struct option *option =
            option_find_member(member->string, faults);
        if (option && !cJSON_IsNull(member))
            option_read(option, member, config, option->name, faults);
    }
    faults->context = "";
    cJSON_Delete(file);
}

/* The file named by --config, or the one in the usual place if there. */
static void find_file(struct config *config, const struct cJSON *flags,
                      struct faults *faults)
{
    struct error error;
    char folder[PATH_BYTES], path[PATH_BYTES];
    const struct cJSON *named =
        cJSON_GetObjectItemCaseSensitive(flags, "config");
    if (named) {
        struct cJSON *value =
            option_parse(option_find("config"), named->valuestring);
        apply_file(config, value->valuestring, faults);
        cJSON_Delete(value);
    } else if (path_config(folder, &error) &&
               path_join(path, folder, "gaitd.json", &error) &&
               access(path, F_OK) == 0) {
        apply_file(config, path, faults);
        snprintf(config->config, sizeof config->config, "%s", path);
    }
}

/* Without a home there are those of the machine. */
static void fill_folders(struct config *config)
{
    struct error error;
    char data[PATH_BYTES], folder[PATH_BYTES];
    if (config->dataset_folders)
        return;
    config->dataset_folders = cJSON_CreateArray();
    if (path_data(data, &error) && path_join(folder, data, "datasets", &error))
        cJSON_AddItemToArray(config->dataset_folders,
                             cJSON_CreateString(folder));
    cJSON_AddItemToArray(config->dataset_folders,
                         cJSON_CreateString("/usr/local/share/datasets"));
    cJSON_AddItemToArray(config->dataset_folders,
                         cJSON_CreateString("/usr/share/datasets"));
}

/* The configured data sets, before the built-in ones they do not replace. */
static void fill_datasets(struct config *config)
{
    struct cJSON *builtin = cJSON_Parse(builtin_datasets);
    if (!config->datasets)
        config->datasets = cJSON_CreateObject();
    while (builtin->child) {
        struct cJSON *one = cJSON_DetachItemViaPointer(builtin, builtin->child);
        if (cJSON_GetObjectItemCaseSensitive(config->datasets, one->string))
            cJSON_Delete(one);
        else
            cJSON_AddItemToObject(config->datasets, one->string, one);
    }
    cJSON_Delete(builtin);
}

static void fill_defaults(struct config *config, const struct cJSON *flags,
                          struct faults *faults)
{
    struct error error;
    if (!*config->state_dir && !path_state(config->state_dir, &error))
        faults_add(faults, "state_dir", "%s", error.text);
    if (!*config->run_dir &&
        !path_join(config->run_dir, config->state_dir, "runs", &error))
        faults_add(faults, "run_dir", "%s", error.text);
    if (!*config->cache_dir && !path_cache(config->cache_dir, &error))
        faults_add(faults, "cache_dir", "%s", error.text);
    /* Clients follow $GAITD_SOCKET, so it outweighs the file. */
    const char *named = getenv("GAITD_SOCKET");
    if (named && *named && !cJSON_HasObjectItem(flags, "socket"))
        config->socket[0] = '\0';
    bool is_good = *config->socket
                       ? path_socket_check(config->socket, &error)
                       : path_socket(config->state_dir, config->socket, &error);
    if (!is_good)
        faults_add(faults, "socket", "%s", error.text);
    fill_folders(config);
    fill_datasets(config);
}

bool config_init(struct config *config, int argc, char **argv,
                 struct faults *faults)
{
    faults_init(faults);
    set_initial(config);
    struct cJSON *flags = note_flags(config, argc, argv, faults);
    if (!config->wants_help && !config->wants_version) {
        find_file(config, flags, faults);
        apply_flags(config, flags, faults);
        if (faults->count == 0)
            fill_defaults(config, flags, faults);
    }
    cJSON_Delete(flags);
    return faults->count == 0;
}

void config_release(struct config *config)
{
    cJSON_Delete(config->dataset_folders);
    cJSON_Delete(config->datasets);
    cJSON_Delete(config->devices);
    cJSON_Delete(config->hooks);
    config->dataset_folders = config->datasets = NULL;
    config->devices = config->hooks = NULL;
}
