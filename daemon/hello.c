#define _GNU_SOURCE /* environ */
#include "daemon/hello.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/process.h"
#include "schema/key.h"
#include "schema/memory.h"
#include "schema/message.h"

static const char worker_name[] = "gait-worker";

#define IDENTIFY_S 60.0 /* a driver may take its time */

static bool check_number(const struct cJSON *message, const char *name,
                         int64_t expected, struct error *error)
{
    int64_t number;
    if (!json_get_integer(message, name, &number, error))
        return false;
    return number == expected ||
           error_set(error, ERROR_PROTOCOL, "its %s is %lld, expected %lld",
                     name, (long long)number, (long long)expected);
}

bool hello_read(struct hello *hello, const struct cJSON *message,
                struct error *error)
{
    const char *type = json_text_or(message, "type", "");
    const char *build, *device, *device_class;
    if (strcmp(type, "hello") != 0)
        return error_set(error, ERROR_PROTOCOL,
                         "sent \"%.50s\", expected \"hello\"", type);
    if (!json_get_text(message, "build", &build, error) ||
        !json_get_integer(message, "pid", &hello->pid, error) ||
        !json_get_text(message, "device", &device, error) ||
        !json_get_text(message, "device_class", &device_class, error))
        return false;
    if (strcmp(build, GAITD_VERSION) != 0)
        return error_set(error, ERROR_PROTOCOL,
                         "its build is \"%.60s\", expected \"%s\"", build,
                         GAITD_VERSION);
    if (!check_number(message, "worker_protocol", WORKER_PROTOCOL, error) ||
        !check_number(message, "engine_version", ENGINE_VERSION, error))
        return false;
    if (strlen(device) >= sizeof hello->device ||
        strlen(device_class) >= sizeof hello->device_class)
        return error_set(error, ERROR_PROTOCOL, "its device class is too long");
    const struct cJSON *gpu = cJSON_GetObjectItemCaseSensitive(message, "gpu");
    snprintf(hello->uuid, sizeof hello->uuid, "%.90s",
             json_text_or(gpu, "uuid", ""));
    snprintf(hello->build, sizeof hello->build, "%s", build);
    snprintf(hello->device, sizeof hello->device, "%s", device);
    snprintf(hello->device_class, sizeof hello->device_class, "%s",
             device_class);
    return true;
}

/* What hello_ask waits for. */
struct answer {
    struct hello *hello;
    struct error *error;
    bool has_hello;
};

static void on_message(void *user, const struct cJSON *message)
{
    struct answer *answer = user;
    answer->has_hello = hello_read(answer->hello, message, answer->error);
}

static void on_end(void *user, const struct process_end *end)
{
    struct answer *answer = user;
    if (!answer->has_hello && answer->error->code == ERROR_NONE)
        error_set(answer->error, ERROR_PROTOCOL, "it said nothing; %.800s",
                  end->story);
    else if (answer->has_hello && !end->is_success) {
        answer->has_hello = false;
        error_set(answer->error, ERROR_PROTOCOL, "%.900s", end->story);
    }
}

bool hello_is_on(const struct hello *hello, const char *uuid)
{
    const char *a = strchr(hello->uuid, '-'), *b = strchr(uuid, '-');
    return a && b && strcasecmp(a, b) == 0;
}

char **hello_environment(const char *uuid)
{
    static const char name[] = "CUDA_VISIBLE_DEVICES=";
    size_t count = 0, used = 0, bytes = sizeof name + strlen(uuid);
    while (environ[count])
        count++;
    char **environment = xcalloc(1, (count + 2) * sizeof(char *) + bytes);
    char *own = (char *)(environment + count + 2);
    snprintf(own, bytes, "%s%s", name, uuid);
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], name, sizeof name - 1) != 0)
            environment[used++] = environ[i];
    environment[used] = own;
    return environment;
}

static struct process *open_process(struct uv_loop_s *loop,
                                    const struct log *log, const char *program,
                                    const char *uuid,
                                    const struct process_hooks *hooks,
                                    struct error *error)
{
    char device[128];
    char *argv[] = {(char *)program, "--identify", uuid ? "--device" : NULL,
                    device, NULL};
    char **environment = uuid ? hello_environment(uuid) : NULL;
    snprintf(device, sizeof device, "cuda:%s", uuid ? uuid : "");
    struct process *process = process_open_in(
        environment, loop, log, "worker program", argv, hooks, error);
    free(environment);
    return process;
}

bool hello_ask(struct hello *hello, struct uv_loop_s *loop,
               const struct log *log, const char *program, const char *uuid,
               struct error *error)
{
    struct answer answer = {hello, error, false};
    const struct process_hooks hooks = {&answer, on_message, on_end, NULL};
    error->code = ERROR_NONE;
    struct process *process =
        open_process(loop, log, program, uuid, &hooks, error);
    if (process)
        process_kill_after(process, IDENTIFY_S);
    process_wait_all(loop);
    if (!process)
        return false;
    if (answer.has_hello && uuid && !hello_is_on(hello, uuid))
        return error_set(error, ERROR_PROTOCOL,
                         "the worker opened \"%s\", expected \"%s\"",
                         hello->uuid, uuid);
    return answer.has_hello ||
           error_prefix(error,
                        uuid ? "its worker \"%s\" cannot start"
                             : "worker program \"%s\" is not to be used",
                        program);
}

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* The folder of gaitd's own executable. */
static bool own_folder(char folder[PATH_BYTES])
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_BYTES - 1);
    if (length <= 0)
        return false;
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

static bool try_folder(char path[PATH_BYTES], const char *folder)
{
    return snprintf(path, PATH_BYTES, "%s/%s", folder, worker_name) <
               PATH_BYTES &&
           is_program(path);
}

bool worker_find(char path[PATH_BYTES], const struct config *config,
                 struct error *error)
{
    char own[PATH_BYTES], libexec[PATH_BYTES + 32];
    if (*config->worker) {
        snprintf(path, PATH_BYTES, "%s", config->worker);
        return is_program(path) ||
               error_set(error, ERROR_NOT_FOUND,
                         "worker program \"%s\" is not there or not "
                         "executable",
                         path);
    }
    if (own_folder(own)) {
        snprintf(libexec, sizeof libexec, "%s/../libexec/gaitd", own);
        if (try_folder(path, own) || try_folder(path, libexec))
            return true;
    }
    const char *variable = getenv("PATH");
    char *folders = xstrdup(variable ? variable : ""), *rest = folders, *one;
    bool is_found = false;
    while (!is_found && (one = strsep(&rest, ":")))
        is_found = *one == '/' && try_folder(path, one);
    free(folders);
    return is_found ||
           error_set(error, ERROR_NOT_FOUND,
                     "worker program \"%s\" is neither beside gaitd nor in "
                     "../libexec/gaitd nor in $PATH; set \"worker\" "
                     "(--worker)",
                     worker_name);
}
