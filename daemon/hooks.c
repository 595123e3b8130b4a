#include "daemon/hooks.h"

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/tail.h"
#include "schema/memory.h"
#include "schema/nearest.h"

enum { EXIT_TO_EOF_MS = 2000 };

struct hook {
    struct hook *next;
    struct hooks *hooks; /* NULL: nobody waits for its end any more */
    struct hook_order order;
    bool has_begun, has_exited, has_output_ended, is_late;
    uv_process_t child;
    uv_pipe_t output; /* its stdout and stderr */
    uv_timer_t timer; /* to kill it, then for the end of its output */
    int handles;      /* not yet closed */
    int64_t status;
    int signal;
    struct tail tail;
    char bytes[4096];
};

struct hooks {
    uv_loop_t *loop;
    const struct log *log;
    const struct config *config;
    struct store *store;
    struct hook *first; /* in their order; those that run come first */
    int running;
};

/* Arguments. */

static char *value_of(const char *name, size_t length,
                      const struct hook_order *order)
{
    const struct {
        const char *name;
        const char *text; /* NULL: the number */
        int64_t number;
    } values[] = {
        {"sweep", order->sweep_name, 0}, {"owner", order->owner, 0},
        {"id", NULL, order->sweep},      {"done", NULL, order->done},
        {"failed", NULL, order->failed}, {"cancelled", NULL, order->cancelled},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strlen(values[i].name) == length &&
            memcmp(values[i].name, name, length) == 0)
            return values[i].text
                       ? xstrdup(values[i].text)
                       : xprintf("%lld", (long long)values[i].number);
    return NULL;
}

char *hook_argument(const char *pattern, const struct hook_order *order)
{
    char *made = xstrdup("");
    while (*pattern) {
        const char *end = *pattern == '{' ? strchr(pattern, '}') : NULL;
        char *value =
            end ? value_of(pattern + 1, (size_t)(end - pattern - 1), order)
                : NULL;
        size_t plain = 1 + strcspn(pattern + 1, "{");
        char *longer = value ? xprintf("%s%s", made, value)
                             : xprintf("%s%.*s", made, (int)plain, pattern);
        pattern += value ? (size_t)(end + 1 - pattern) : plain;
        free(value);
        free(made);
        made = longer;
    }
    return made;
}

bool hook_check(const struct config *config, const char *name,
                struct error *error)
{
    const struct cJSON *hook;
    struct nearest nearest;
    if (!*name || cJSON_GetObjectItemCaseSensitive(config->hooks, name))
        return true;
    nearest_init(&nearest, name);
    cJSON_ArrayForEach(hook, config->hooks) nearest_try(&nearest, hook->string);
    if (nearest.word)
        return error_set(error, ERROR_PARAMS,
                         "\"%s\" is not a hook of this gaitd, did you mean "
                         "\"%s\"?",
                         name, nearest.word);
    return error_set(error, ERROR_PARAMS,
                     "\"%s\" is not a hook of this gaitd: its owner sets hooks "
                     "in gaitd.json",
                     name);
}

/* argv of the order, NULL when there is no such hook; release_arguments. */
static char **make_arguments(const struct hooks *hooks,
                             const struct hook_order *order)
{
    const struct cJSON *list =
        cJSON_GetObjectItemCaseSensitive(hooks->config->hooks, order->name);
    const struct cJSON *one;
    int count = 0;
    if (!list)
        return NULL;
    char **arguments = xcalloc(HOOK_ARGUMENTS_MAX + 1, sizeof *arguments);
    cJSON_ArrayForEach(one, list)
    {
        if (count < HOOK_ARGUMENTS_MAX)
            arguments[count++] = hook_argument(one->valuestring, order);
    }
    return arguments;
}

static void release_arguments(char **arguments)
{
    for (int i = 0; arguments && arguments[i]; i++)
        free(arguments[i]);
    free(arguments);
}

/* Ending. */

static void begin_waiting(struct hooks *hooks);

static void take_out(struct hook *hook)
{
    struct hook **at = &hook->hooks->first;
    while (*at != hook)
        at = &(*at)->next;
    *at = hook->next;
}

static void tell_end(struct hook *hook, const char *outcome)
{
    struct hooks *hooks = hook->hooks;
    char text[HOOK_TEXT_BYTES];
    int used = snprintf(text, sizeof text, "hook \"%s\": %s", hook->order.name,
                        outcome);
    if (hook->tail.line > 0 && (size_t)used + 2 < sizeof text) {
        used += snprintf(text + used, sizeof text - (size_t)used, ": ");
        tail_print(&hook->tail, text + used, sizeof text - (size_t)used);
    }
    log_write(hooks->log, LOG_info, "sweep \"%s\": %s", hook->order.sweep_name,
              text);
    store_hook_end(hooks->store, hook->order.id, text);
}

static void on_closed(uv_handle_t *handle)
{
    struct hook *hook = handle->data;
    if (--hook->handles == 0)
        free(hook);
}

static void close_one(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void close_handles(struct hook *hook)
{
    close_one(&hook->child);
    close_one(&hook->output);
    close_one(&hook->timer);
}

static void ignore_line(void *user, const char *line)
{
    (void)user;
    (void)line;
}

static void end(struct hook *hook)
{
    char outcome[64];
    struct hooks *hooks = hook->hooks;
    tail_end(&hook->tail, ignore_line, NULL);
    if (hook->is_late)
        snprintf(outcome, sizeof outcome, "killed after %d s", HOOK_TIMEOUT_S);
    else if (hook->signal)
        snprintf(outcome, sizeof outcome, "killed by signal %d", hook->signal);
    else
        snprintf(outcome, sizeof outcome, "exit status %d", (int)hook->status);
    tell_end(hook, outcome);
    take_out(hook);
    hooks->running--;
    close_handles(hook);
    begin_waiting(hooks);
}

static void check_finished(struct hook *hook)
{
    if (hook->hooks && hook->has_exited && hook->has_output_ended)
        end(hook);
}

static void on_output_late(uv_timer_t *timer)
{
    struct hook *hook = timer->data;
    hook->has_output_ended = true;
    check_finished(hook);
}

static void on_exited(uv_process_t *child, int64_t status, int signal_number)
{
    struct hook *hook = child->data;
    hook->has_exited = true;
    hook->status = status;
    hook->signal = signal_number;
    if (hook->hooks)
        uv_timer_start(&hook->timer, on_output_late, EXIT_TO_EOF_MS, 0);
    check_finished(hook);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct hook *hook = handle->data;
    *buffer = uv_buf_init(hook->bytes, sizeof hook->bytes);
}

static void on_output(uv_stream_t *stream, ssize_t count,
                      const uv_buf_t *buffer)
{
    struct hook *hook = stream->data;
    if (count > 0)
        tail_add(&hook->tail, buffer->base, (size_t)count, ignore_line, NULL);
    if (count >= 0)
        return;
    uv_read_stop(stream);
    hook->has_output_ended = true;
    check_finished(hook);
}

/* It leads a session, and with it a group, of its own. */
static void kill_group(const struct hook *hook)
{
    if (!hook->has_exited)
        kill(-hook->child.pid, SIGKILL);
}

static void on_late(uv_timer_t *timer)
{
    struct hook *hook = timer->data;
    hook->is_late = true;
    kill_group(hook);
}

/* Beginning. */

static int spawn(struct hook *hook, char **arguments)
{
    uv_file ends[2];
    int result = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);
    if (result < 0)
        return result;
    result = uv_pipe_open(&hook->output, ends[0]);
    if (result < 0)
        close(ends[0]);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = ends[1]},
        {.flags = UV_INHERIT_FD, .data.fd = ends[1]},
    };
    const uv_process_options_t options = {.exit_cb = on_exited,
                                          .file = arguments[0],
                                          .args = arguments,
                                          .cwd = "/",
                                          .flags = UV_PROCESS_DETACHED,
                                          .stdio_count = 3,
                                          .stdio = stdio};
    if (result == 0)
        result = uv_spawn(hook->hooks->loop, &hook->child, &options);
    close(ends[1]);
    return result;
}

static void open_handles(struct hook *hook)
{
    uv_loop_t *loop = hook->hooks->loop;
    uv_pipe_init(loop, &hook->output, 0);
    uv_timer_init(loop, &hook->timer);
    hook->output.data = hook->timer.data = hook->child.data = hook;
    hook->handles = 2;
}

static void give_up(struct hook *hook, const char *outcome)
{
    tell_end(hook, outcome);
    take_out(hook);
    if (hook->handles == 0) {
        free(hook);
        return;
    }
    close_one(&hook->output);
    close_one(&hook->timer);
}

static void begin(struct hook *hook)
{
    char **arguments = make_arguments(hook->hooks, &hook->order);
    if (!arguments) {
        give_up(hook, "gaitd.json has none of that name any more");
        return;
    }
    open_handles(hook);
    int result = spawn(hook, arguments);
    release_arguments(arguments);
    if (result < 0) {
        /* The process handle is initialised even when that failed. */
        if (hook->child.loop) {
            hook->handles++;
            close_one(&hook->child);
        }
        give_up(hook, uv_strerror(result));
        return;
    }
    hook->handles++;
    hook->has_begun = true;
    hook->hooks->running++;
    uv_read_start((uv_stream_t *)&hook->output, on_room, on_output);
    uv_timer_start(&hook->timer, on_late, HOOK_TIMEOUT_S * 1000, 0);
}

static void begin_waiting(struct hooks *hooks)
{
    struct hook *hook = hooks->first;
    while (hook && hooks->running < HOOKS_AT_ONCE) {
        struct hook *next = hook->next;
        if (!hook->has_begun)
            begin(hook);
        hook = next;
    }
}

void hooks_run(struct hooks *hooks, const struct hook_order *order)
{
    struct hook **at = &hooks->first;
    for (; *at; at = &(*at)->next)
        if ((*at)->order.id == order->id)
            return;
    struct hook *hook = xcalloc(1, sizeof *hook);
    hook->hooks = hooks;
    hook->order = *order;
    *at = hook;
    begin_waiting(hooks);
}

struct hooks *hooks_new(struct uv_loop_s *loop, const struct log *log,
                        const struct config *config, struct store *store)
{
    struct hooks *hooks = xcalloc(1, sizeof *hooks);
    *hooks = (struct hooks){
        .loop = loop, .log = log, .config = config, .store = store};
    return hooks;
}

void hooks_free(struct hooks *hooks)
{
    if (!hooks)
        return;
    while (hooks->first) {
        struct hook *hook = hooks->first;
        hooks->first = hook->next;
        hook->hooks = NULL;
        if (hook->has_begun) {
            kill_group(hook);
            close_handles(hook);
        } else {
            free(hook);
        }
    }
    free(hooks);
}
