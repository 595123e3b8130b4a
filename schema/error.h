/* error.h: how failures travel through the three programs.
 *
 * A function that can fail for a reason outside the program takes a
 * `struct error *`, returns false (or NULL), and leaves a code and a sentence
 * there.  Sentences are lower case, without a full stop, with the thing in
 * quotes and what was expected.  Only the edge (a main, a reply, a log line)
 * prints them.  No function ever passes NULL for it.
 */
#ifndef SCHEMA_ERROR_H
#define SCHEMA_ERROR_H

#include <stdbool.h>

/* Codes are the `code` of JSON-RPC error objects; protocol.md lists them. */
enum error_code {
    ERROR_NONE = 0,
    ERROR_PARSE = -32700,    /* not JSON, or not UTF-8, or too deep */
    ERROR_REQUEST = -32600,  /* JSON, but not a request */
    ERROR_METHOD = -32601,   /* no such method */
    ERROR_PARAMS = -32602,   /* a parameter is missing, unknown or mistyped */
    ERROR_INTERNAL = -32603, /* the program's own fault */
    ERROR_SPEC = 1,          /* a spec was refused; data.faults says why */
    ERROR_NOT_FOUND = 2,     /* no such sweep, job, run, dataset or file */
    ERROR_CONFLICT = 3,      /* the name is taken, or the state forbids it */
    ERROR_PERMISSION = 4,    /* it belongs to somebody else */
    ERROR_PROTOCOL = 5,      /* the peer speaks another protocol or build */
    ERROR_TOO_LARGE = 6,     /* over a documented limit */
    ERROR_IO = 7,            /* the operating system said no */
    ERROR_CORRUPT = 8,       /* a file is not what it should be */
    ERROR_MEMORY = 9,        /* a large allocation failed */
    ERROR_DIVERGED = 10,     /* training left the finite numbers */
    ERROR_STOPPED = 11,      /* asked to stop, and did */
    ERROR_BUSY = 12,         /* shutting down, or over a limit: try later */
    ERROR_UNREACHABLE = 13,  /* nobody answers: never sent, a client's own */
    ERROR_TIMEOUT = 14,      /* no answer in time: never sent, likewise */
};

struct error {
    enum error_code code;
    char text[1000];
};

/* Fills `error` and returns false, so that `return error_set(...)` reads well.
 * Text that does not fit is cut. */
bool error_set(struct error *error, enum error_code code, const char *format,
               ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the sentence that is there; returns false. */
bool error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
