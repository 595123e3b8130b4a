#include "daemon/process.h"

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/log.h"
#include "schema/memory.h"
#include "schema/message.h"

enum {
    READ_BYTES = 65536,
    QUEUE_BYTES_MAX = 1 << 20, /* unread on a child's stdin */
    EXIT_TO_EOF_MS = 2000,     /* and the other way round */
    LOGGED_LINES_MAX = 100,    /* of stderr, for one attempt */
    REASON_BYTES = 400,
};

struct process {
    uv_process_t child;
    uv_pipe_t input, output, errors; /* its stdin, stdout, stderr */
    uv_timer_t
        timer;   /* first to kill it, then to wait for the ends of output */
    int handles; /* not yet closed */
    struct process_hooks hooks;
    const struct log *log;
    char label[64];
    struct inbox inbox;
    struct tail tail;
    int logged_lines;
    char error_bytes[4096];
    bool has_child; /* the handle was initialised */
    bool has_started, has_exited, has_output_ended, have_errors_ended;
    bool is_failed, is_closing;
    int64_t status;
    int signal;
    char complaint[REASON_BYTES]; /* of process_fail */
};

struct write {
    uv_write_t request;
    char *text;
};

static void describe(const struct process *process, char text[REASON_BYTES])
{
    if (process->is_failed)
        snprintf(text, REASON_BYTES, "%s", process->complaint);
    else if (process->signal == SIGKILL) /* not by us */
        snprintf(text, REASON_BYTES,
                 "killed by signal %d, perhaps out of memory", SIGKILL);
    else if (process->signal)
        snprintf(text, REASON_BYTES, "killed by signal %d", process->signal);
    else
        snprintf(text, REASON_BYTES, "exit status %d", (int)process->status);
}

static void tell_end(const struct process *process)
{
    char reason[REASON_BYTES], text[STDERR_BYTES];
    char story[sizeof reason + sizeof text + 2];
    describe(process, reason);
    process_stderr(process, text);
    snprintf(story, sizeof story, "%s%s%s", reason, *text ? ":\n" : "", text);
    const struct process_end end = {
        .is_success =
            !process->is_failed && process->signal == 0 && process->status == 0,
        .reason = reason,
        .stderr_text = text,
        .story = story,
    };
    process->hooks.on_end(process->hooks.user, &end);
}

static void on_closed(uv_handle_t *handle)
{
    struct process *process = handle->data;
    if (--process->handles > 0)
        return;
    if (process->has_started)
        tell_end(process);
    inbox_release(&process->inbox);
    free(process);
}

static void close_one(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void close_all(struct process *process)
{
    process->is_closing = true;
    if (process->has_child)
        close_one(&process->child);
    close_one(&process->input);
    close_one(&process->output);
    close_one(&process->errors);
    close_one(&process->timer);
}

static void check_finished(struct process *process)
{
    if (process->has_exited && process->has_output_ended &&
        process->have_errors_ended)
        close_all(process);
}

static void on_output_late(uv_timer_t *timer)
{
    close_all(timer->data);
}

static void on_exited(uv_process_t *child, int64_t status, int signal_number)
{
    struct process *process = child->data;
    process->has_exited = true;
    process->status = status;
    process->signal = signal_number;
    uv_timer_start(&process->timer, on_output_late, EXIT_TO_EOF_MS, 0);
    check_finished(process);
}

static void on_line(void *user, const char *line)
{
    struct process *process = user;
    if (process->logged_lines < LOGGED_LINES_MAX)
        log_write(process->log, LOG_info, "%s says: %s", process->label, line);
    else if (process->logged_lines == LOGGED_LINES_MAX)
        log_write(process->log, LOG_warning, "%s says more than goes here",
                  process->label);
    process->logged_lines += process->logged_lines <= LOGGED_LINES_MAX;
}

static void tell_several(const struct process *process, bool is_over)
{
    if (process->hooks.on_several)
        process->hooks.on_several(process->hooks.user, is_over);
}

static void take_messages(struct process *process)
{
    const char *line;
    size_t length;
    tell_several(process, false);
    while (!process->is_failed && !process->is_closing &&
           (line = inbox_next(&process->inbox, &length))) {
        struct error error;
        struct cJSON *message = message_parse(line, length, &error);
        if (message)
            process->hooks.on_message(process->hooks.user, message);
        else
            process_fail(process, "sent what is not a message: %s", error.text);
        cJSON_Delete(message);
    }
    tell_several(process, true);
}

static void on_output_room(uv_handle_t *handle, size_t suggested,
                           uv_buf_t *buffer)
{
    (void)suggested;
    struct process *process = handle->data;
    struct error error;
    size_t available = 0;
    char *room = inbox_room(&process->inbox, READ_BYTES, &available, &error);
    if (!room)
        process_fail(process, "sent too much: %s", error.text);
    *buffer = uv_buf_init(room, room ? (unsigned)available : 0);
}

static void on_exit_late(uv_timer_t *timer)
{
    process_fail(timer->data, "ended its stdout and did not exit");
}

static void on_output(uv_stream_t *stream, ssize_t count,
                      const uv_buf_t *buffer)
{
    (void)buffer;
    struct process *process = stream->data;
    if (count > 0) {
        inbox_filled(&process->inbox, (size_t)count);
        take_messages(process);
    }
    if (count == 0 || count == UV_EAGAIN)
        return;
    if (count < 0 || process->is_failed) {
        uv_read_stop(stream);
        process->has_output_ended = true;
        if (!process->has_exited)
            uv_timer_start(&process->timer, on_exit_late, EXIT_TO_EOF_MS, 0);
        check_finished(process);
    }
}

static void on_errors_room(uv_handle_t *handle, size_t suggested,
                           uv_buf_t *buffer)
{
    (void)suggested;
    struct process *process = handle->data;
    *buffer = uv_buf_init(process->error_bytes, sizeof process->error_bytes);
}

static void on_errors(uv_stream_t *stream, ssize_t count,
                      const uv_buf_t *buffer)
{
    struct process *process = stream->data;
    if (count > 0) {
        tail_add(&process->tail, buffer->base, (size_t)count, on_line, process);
    } else if (count < 0) {
        tail_end(&process->tail, on_line, process);
        uv_read_stop(stream);
        process->have_errors_ended = true;
        check_finished(process);
    }
}

/* One pipe: `ours` becomes the daemon's end, the return value is the child's;
 * negative on failure. */
static int make_pipe(uv_pipe_t *ours, bool is_ours_read)
{
    uv_file ends[2];
    int result = is_ours_read ? uv_pipe(ends, UV_NONBLOCK_PIPE, 0)
                              : uv_pipe(ends, 0, UV_NONBLOCK_PIPE);
    if (result < 0)
        return result;
    result = uv_pipe_open(ours, ends[is_ours_read ? 0 : 1]);
    if (result == 0)
        return ends[is_ours_read ? 1 : 0];
    close(ends[0]);
    close(ends[1]);
    return result;
}

static int spawn(struct process *process, uv_loop_t *loop, char *const argv[],
                 char *const environment[])
{
    int ends[3] = {make_pipe(&process->input, false),
                   make_pipe(&process->output, true),
                   make_pipe(&process->errors, true)};
    uv_stdio_container_t stdio[3];
    int result = 0;
    for (int i = 0; i < 3; i++) {
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = ends[i];
        result = ends[i] < 0 ? ends[i] : result;
    }
    uv_process_options_t options = {.exit_cb = on_exited,
                                    .file = argv[0],
                                    .args = (char **)argv,
                                    .env = (char **)environment,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = 3,
                                    .stdio = stdio};
    if (result == 0) {
        result = uv_spawn(loop, &process->child, &options);
        process->child.data = process;
        process->has_child = true; /* even when it failed */
        process->handles++;
    }
    for (int i = 0; i < 3; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return result;
}

static struct process *process_new(uv_loop_t *loop, const struct log *log,
                                   const char *label,
                                   const struct process_hooks *hooks)
{
    struct process *process = xcalloc(1, sizeof *process);
    process->hooks = *hooks;
    process->log = log;
    snprintf(process->label, sizeof process->label, "%s", label);
    inbox_init(&process->inbox);
    uv_pipe_init(loop, &process->input, 0);
    uv_pipe_init(loop, &process->output, 0);
    uv_pipe_init(loop, &process->errors, 0);
    uv_timer_init(loop, &process->timer);
    process->input.data = process->output.data = process;
    process->errors.data = process->timer.data = process;
    process->handles = 4;
    return process;
}

struct process *process_open(struct uv_loop_s *loop, const struct log *log,
                             const char *label, char *const argv[],
                             const struct process_hooks *hooks,
                             struct error *error)
{
    return process_open_in(NULL, loop, log, label, argv, hooks, error);
}

struct process *process_open_in(char *const environment[],
                                struct uv_loop_s *loop, const struct log *log,
                                const char *label, char *const argv[],
                                const struct process_hooks *hooks,
                                struct error *error)
{
    struct process *process = process_new(loop, log, label, hooks);
    int result = spawn(process, loop, argv, environment);
    if (result < 0) {
        error_set(error, ERROR_IO, "cannot start \"%s\": %s", argv[0],
                  uv_strerror(result));
        close_all(process);
        return NULL;
    }
    process->has_started = true;
    uv_read_start((uv_stream_t *)&process->output, on_output_room, on_output);
    uv_read_start((uv_stream_t *)&process->errors, on_errors_room, on_errors);
    return process;
}

pid_t process_pid(const struct process *process)
{
    return process->child.pid;
}

static void on_written(uv_write_t *request, int status)
{
    (void)status; /* a child that went away tells so by its exit */
    struct write *written = (struct write *)request;
    free(written->text);
    free(written);
}

void process_send(struct process *process, struct cJSON *message)
{
    size_t length;
    char *text = message_print(message, &length);
    cJSON_Delete(message);
    uv_stream_t *stream = (uv_stream_t *)&process->input;
    if (process->is_closing || uv_is_closing((uv_handle_t *)stream)) {
        free(text);
        return;
    }
    if (uv_stream_get_write_queue_size(stream) > QUEUE_BYTES_MAX)
        process_fail(process, "does not read its stdin");
    struct write *written = xmalloc(sizeof *written);
    written->text = text;
    uv_buf_t buffer = uv_buf_init(text, (unsigned)length);
    if (uv_write(&written->request, stream, &buffer, 1, on_written) != 0)
        on_written(&written->request, 0);
}

void process_hang_up(struct process *process)
{
    close_one(&process->input);
}

static void on_kill_time(uv_timer_t *timer)
{
    struct process *process = timer->data;
    process_fail(process, "killed because it did not stop in time");
}

void process_kill_after(struct process *process, double seconds)
{
    if (!process->has_exited && !process->is_closing && !process->is_failed)
        uv_timer_start(&process->timer, on_kill_time,
                       (uint64_t)(seconds * 1000), 0);
}

void process_spare(struct process *process)
{
    if (!process->has_exited && !process->is_closing)
        uv_timer_stop(&process->timer);
}

void process_fail(struct process *process, const char *format, ...)
{
    if (process->is_failed || process->is_closing)
        return;
    process->is_failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(process->complaint, sizeof process->complaint, format, arguments);
    va_end(arguments);
    if (!process->has_exited)
        uv_process_kill(&process->child, SIGKILL);
}

void process_stderr(const struct process *process, char text[STDERR_BYTES])
{
    tail_print(&process->tail, text, STDERR_BYTES);
}

void process_forget_stderr(struct process *process)
{
    tail_clear(&process->tail);
    process->logged_lines = 0;
}

void process_wait_all(struct uv_loop_s *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
}
