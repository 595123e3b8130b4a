/* gait-worker: trains one run at a time for gaitd. */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "schema/message.h"
#include "worker/channel.h"
#include "worker/dataset.h"
#include "worker/engine/device.h"
#include "worker/selftest.h"
#include "worker/session.h"

enum { EXIT_USAGE = 2 };

static const char help[] =
    "usage: gait-worker                 serve gaitd on stdin and stdout\n"
    "       gait-worker --identify      print what would serve, as JSON\n"
    "       gait-worker --prepare NAME --cache FOLDER FOLDER...\n"
    "                                   look for a data set in the folders,\n"
    "                                   unpack it into the cache, describe it\n"
    "       gait-worker --selftest-gpu  check a GPU, and print a report\n"
    "       gait-worker --version\n"
    "       gait-worker --help\n"
    "\n"
    "  --lease SECONDS   when serving: save and exit when nothing has been\n"
    "                    heard for so long (default 30)\n"
    "  --device DEVICE   cpu (the default), cuda (the first GPU), cuda:INDEX\n"
    "                    or cuda:UUID\n"
    "  --plugin FILE     what GPUs are reached by (default gait-cuda.so "
    "beside\n"
    "                    this program)\n"
    "  --grace SECONDS   when serving: a save that takes longer is given up\n"
    "                    (default 30)\n"
    "\n"
    "gaitd starts its workers itself.  The protocol is in protocol.md.\n";

struct options {
    enum { SERVE, IDENTIFY, PREPARE, SELFTEST, VERSION, HELP } mode;
    const char *device;
    char plugin[PATH_MAX];
    const char *dataset, *cache;
    int lease_ms, grace_ms;
};

static int print(cJSON *message)
{
    size_t length;
    char *text = message_print(message, &length);
    cJSON_Delete(message);
    fwrite(text, 1, length, stdout);
    free(text);
    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    perror("gait-worker: cannot write to stdout");
    return EXIT_FAILURE;
}

static int usage(const char *text)
{
    fprintf(stderr, "gait-worker: %s\n%s", text, help);
    return EXIT_USAGE;
}

static cJSON *describe(const struct dataset *dataset,
                       const struct dataset_place *place,
                       const struct import_file *files)
{
    const struct dataset_shape *shape = &dataset->shape;
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", "dataset");
    cJSON_AddStringToObject(message, "name", place->name);
    cJSON_AddStringToObject(message, "digest", shape->digest);
    cJSON_AddItemToObject(message, "train_rows",
                          json_integer(shape->train_rows));
    cJSON_AddItemToObject(message, "test_rows", json_integer(shape->test_rows));
    cJSON_AddItemToObject(message, "width", json_integer(shape->width));
    cJSON_AddStringToObject(message, "file", dataset->file);
    cJSON *sources = cJSON_AddArrayToObject(message, "sources");
    for (int i = 0; i < IMPORT_PARTS; i++) {
        cJSON *source = cJSON_CreateObject();
        cJSON_AddStringToObject(source, "file", files[i].path);
        cJSON_AddItemToObject(source, "bytes", json_integer(files[i].bytes));
        cJSON_AddItemToObject(source, "modified",
                              json_number(files[i].modified));
        cJSON_AddItemToArray(sources, source);
    }
    return message;
}

static int prepare(const struct options *options, int folder_count,
                   char *const *folders)
{
    struct dataset_place place = {options->dataset, options->cache,
                                  folder_count, (const char *const *)folders};
    struct import_file files[IMPORT_PARTS];
    struct dataset dataset;
    struct error error;
    if (dataset_prepare(&dataset, &place, files, &error)) {
        int code = print(describe(&dataset, &place, files));
        dataset_close(&dataset);
        return code;
    }
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", "failed");
    cJSON_AddNumberToObject(message, "code", error.code);
    cJSON_AddStringToObject(message, "message", error.text);
    print(message);
    return EXIT_FAILURE;
}

/* End of file is what tells of gaitd's end, wherever the worker runs; the
 * death signal is for when another process holds our stdin open. */
static int serve_on(const struct options *options, struct device *device)
{
    struct error error;
    if (isatty(STDIN_FILENO))
        return usage("gaitd speaks on its stdin; this is a terminal");
    struct channel *channel =
        channel_open(STDIN_FILENO, STDOUT_FILENO, options->lease_ms,
                     options->grace_ms, &error);
    if (!channel) {
        fprintf(stderr, "gait-worker: %s\n", error.text);
        return EXIT_FAILURE;
    }
    channel_catch_signals(channel);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    session_run(channel, device);
    if (channel_end(channel) == CHANNEL_UNHEARD)
        fprintf(stderr, "gait-worker: nothing heard for %g s, leaving\n",
                options->lease_ms / 1000.0);
    channel_close(channel);
    return EXIT_SUCCESS;
}

static int identify(struct device *device)
{
    return print(session_hello(device));
}

static int fail(const struct error *error)
{
    fprintf(stderr, "gait-worker: %s\n", error->text);
    return EXIT_FAILURE;
}

/* What needs the device it is for. */
static int with_device(const struct options *options)
{
    struct error error;
    struct device *device =
        device_open(options->device, options->plugin, &error);
    if (!device)
        return fail(&error);
    int code = options->mode == IDENTIFY   ? identify(device)
               : options->mode == SELFTEST ? selftest_run(device)
                                           : serve_on(options, device);
    device_close(device);
    return code;
}

/* The plugin lies where the program does. */
static void find_plugin(char path[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
    char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    snprintf(name, PATH_MAX - (size_t)(name - path), "gait-cuda.so");
}

static bool read_seconds(const char *text, int *ms)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds >= 0.001 && seconds <= 1e6))
        return false;
    *ms = (int)(seconds * 1000);
    return true;
}

static bool read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {
        {"identify", no_argument, NULL, 'i'},
        {"prepare", required_argument, NULL, 'p'},
        {"cache", required_argument, NULL, 'c'},
        {"lease", required_argument, NULL, 'l'},
        {"device", required_argument, NULL, 'd'},
        {"plugin", required_argument, NULL, 'P'},
        {"selftest-gpu", no_argument, NULL, 's'},
        {"grace", required_argument, NULL, 'g'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int code;
    bool is_good = true;
    *options = (struct options){.lease_ms = CHANNEL_LEASE_MS,
                                .grace_ms = CHANNEL_GRACE_MS};
    find_plugin(options->plugin);
    while ((code = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (code == 'i')
            options->mode = IDENTIFY;
        else if (code == 'v')
            options->mode = VERSION;
        else if (code == 'h')
            options->mode = HELP;
        else if (code == 's')
            options->mode = SELFTEST;
        else if (code == 'd')
            options->device = optarg;
        else if (code == 'P')
            snprintf(options->plugin, sizeof options->plugin, "%s", optarg);
        else if (code == 'c')
            options->cache = optarg;
        else if (code == 'p')
            options->mode = PREPARE, options->dataset = optarg;
        else if (code == 'l')
            is_good &= read_seconds(optarg, &options->lease_ms);
        else if (code == 'g')
            is_good &= read_seconds(optarg, &options->grace_ms);
        else
            is_good = false;
    }
    if (!options->device)
        options->device = options->mode == SELFTEST ? "cuda" : "cpu";
    return is_good;
}

int main(int argc, char **argv)
{
    struct options options;
    json_init();
    if (!read_options(argc, argv, &options))
        return usage("see below");
    if (optind < argc && options.mode != PREPARE)
        return usage("too many arguments");
    switch (options.mode) {
    case VERSION:
        puts("gait-worker " GAITD_VERSION);
        return EXIT_SUCCESS;
    case HELP:
        fputs(help, stdout);
        return EXIT_SUCCESS;
    case PREPARE:
        if (!options.cache)
            return usage("--prepare needs --cache FOLDER");
        return prepare(&options, argc - optind, argv + optind);
    case IDENTIFY:
    case SELFTEST:
    case SERVE:
        return with_device(&options);
    }
    return EXIT_USAGE;
}
