/* shim.c: defects, calls that are made to fail, and the end of the process. */
#include "tests/cuda/shim.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cuda/shim_inside.h"

enum { FUNCTIONS = 256, HANDLES = 256 };

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int defect_count;

/* How often each function was called, by the address of its name first. */
static struct {
    const char *name;
    long count;
} functions[FUNCTIONS];
static long call_count;

static struct {
    const void *handle;
    const char *kind;
} handles[HANDLES];

const char *shim_running;

static void append(const char *text)
{
    const char *path = getenv("CUDASHIM_DEFECTS");
    int file =
        path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    for (int i = 0; i < 2; i++) {
        int to = i == 0 ? STDERR_FILENO : file;
        if (to >= 0 && write(to, text, strlen(text)) < 0) {
            abort(); /* a defect nobody would see */
        }
    }
    if (file >= 0) {
        close(file);
    }
}

void shim_defect(const char *format, ...)
{
    char text[1024];
    va_list values;
    size_t length = (size_t)snprintf(text, sizeof text, "cudashim: defect: ");
    va_start(values, format);
    vsnprintf(text + length, sizeof text - length - 1, format, values);
    va_end(values);
    strcat(text, "\n");
    append(text);
    defect_count++;
}

long shim_setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    char *end;
    if (text == NULL) {
        return otherwise;
    }
    long number = strtol(text, &end, 10);
    return *text != '\0' && *end == '\0' ? number : otherwise;
}

static void write_calls(void)
{
    const char *path = getenv("CUDASHIM_CALLS");
    FILE *file = path == NULL ? NULL : fopen(path, "we");
    for (int i = 0; file != NULL && i < FUNCTIONS; i++) {
        if (functions[i].name != NULL) {
            fprintf(file, "%ld %s\n", functions[i].count, functions[i].name);
        }
    }
    if (file != NULL) {
        fprintf(file, "%ld any\n", call_count);
        fclose(file);
    }
}

/* What is still queued runs, so that what is wrong with it is found too. */
static void on_exit_of_process(void)
{
    pthread_mutex_lock(&lock);
    stream_run_device(NO_DEVICE);
    memory_report_leaks();
    stream_report_leaks();
    for (int i = 0; i < HANDLES; i++) {
        if (handles[i].handle != NULL) {
            shim_defect("leak: a handle of %s", handles[i].kind);
        }
    }
    write_calls();
    pthread_mutex_unlock(&lock);
    if (defect_count != 0) {
        fprintf(stderr, "cudashim: %d defects\n", defect_count);
        fflush(NULL);
        _exit(SHIM_EXIT);
    }
}

static struct sigaction previous[2]; /* of SIGSEGV, SIGBUS */

/* Device memory cannot be read or written by the host, nor by an operation of
 * another device, nor once it is freed (CUDA C++ programming guide, "Device
 * memory"; there the access fails or gives rubbish, here the process ends). */
static void on_fault(int signal, siginfo_t *information, void *context)
{
    (void)context;
    char what[256], text[512];
    memory_describe(information->si_addr, what, sizeof what);
    if (what[0] != '\0') {
        snprintf(text, sizeof text, "cudashim: defect: %s touches %s\n",
                 shim_running != NULL ? shim_running : "the host", what);
        append(text);
        _exit(SHIM_FAULT_EXIT);
    }
    sigaction(signal, &previous[signal == SIGBUS], NULL);
}

static void set_up(void)
{
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, &previous[0]);
    sigaction(SIGBUS, &action, &previous[1]);
    atexit(on_exit_of_process);
}

/* How many calls there were of a function, this one included. */
static long count_call(const char *name)
{
    call_count++;
    for (int i = 0; i < FUNCTIONS; i++) {
        if (functions[i].name == NULL) {
            functions[i].name = name;
        }
        if (strcmp(functions[i].name, name) == 0) {
            return ++functions[i].count;
        }
    }
    abort();
}

/* Reads one name:n[+][:code] of CUDASHIM_FAIL: the code if it is this call's
 * turn, else 0. */
static int turn(const char *wish, const char *name, long count, int usual)
{
    size_t length = strcspn(wish, ":");
    bool is_any = length == 3 && strncmp(wish, "any", 3) == 0;
    bool is_versioned =
        strlen(name) == length + 3 && strcmp(name + length, "_v2") == 0;
    if (!is_any && (strncmp(wish, name, length) != 0 ||
                    (name[length] != '\0' && !is_versioned))) {
        return 0;
    }
    char *rest;
    long n = wish[length] == ':' ? strtol(wish + length + 1, &rest, 10) : 0;
    if (n <= 0) {
        fprintf(stderr, "CUDASHIM_FAIL: name:n[+][:code] expected\n");
        exit(SHIM_EXIT);
    }
    bool is_later = *rest == '+';
    rest += is_later;
    count = is_any ? call_count : count;
    if (count != n && !(is_later && count > n)) {
        return 0;
    }
    return *rest == ':' ? (int)strtol(rest + 1, NULL, 10) : usual;
}

static int failing(const char *name, long count, int usual)
{
    const char *wish = getenv("CUDASHIM_FAIL");
    while (wish != NULL && *wish != '\0') {
        int code = turn(wish, name, count, usual);
        if (code != 0) {
            fprintf(stderr, "cudashim: call %ld of %s answers %d\n", count,
                    name, code);
            return code;
        }
        wish += strcspn(wish, ",");
        wish += *wish == ',';
    }
    return 0;
}

int shim_enter(const char *function, int usual)
{
    static bool is_set_up;
    pthread_mutex_lock(&lock);
    if (!is_set_up) {
        is_set_up = true;
        set_up();
    }
    stream_jitter();
    return failing(function, count_call(function), usual);
}

void shim_leave(const int *code)
{
    (void)code;
    pthread_mutex_unlock(&lock);
}

void shim_handle_opened(const void *handle, const char *kind)
{
    for (int i = 0; i < HANDLES; i++) {
        if (handles[i].handle == NULL) {
            handles[i].handle = handle;
            handles[i].kind = kind;
            return;
        }
    }
    shim_defect("more than %d handles of %s", HANDLES, kind);
}

static int find_handle(const void *handle, const char *kind)
{
    for (int i = 0; handle != NULL && i < HANDLES; i++) {
        if (handles[i].handle == handle && handles[i].kind == kind) {
            return i;
        }
    }
    return -1;
}

bool shim_handle_check(const void *handle, const char *kind,
                       const char *function)
{
    if (find_handle(handle, kind) < 0) {
        shim_defect("%s: %p is no open handle of %s", function, handle, kind);
        return false;
    }
    return true;
}

bool shim_handle_closed(const void *handle, const char *kind)
{
    if (!shim_handle_check(handle, kind, "destroy")) {
        return false;
    }
    handles[find_handle(handle, kind)].handle = NULL;
    return true;
}
