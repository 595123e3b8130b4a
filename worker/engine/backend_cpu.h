/* backend_cpu.h: the backend on the processor, with OpenBLAS and LAPACK.
 *
 * Only the files of this name see their headers.  Everything is written once,
 * in backend_cpu_template.inc, and compiled for both precisions.
 */
#ifndef ENGINE_BACKEND_CPU_H
#define ENGINE_BACKEND_CPU_H

#include <stddef.h>

#include "schema/error.h"

struct backend;

/* The operations in either precision, for backend_cpu_open to copy. */
extern const struct backend backend_cpu_f32, backend_cpu_f64;

/* `precision` as the setting spells it: float32 or float64.  OpenBLAS has one
 * number of threads per process; opening a backend sets it.  The caller
 * closes what it gets; NULL: ERROR_MEMORY. */
struct backend *backend_cpu_open(const char *precision, int threads,
                                 struct error *error);

/* Writes what decides rounding on this machine, such as
 * "cpu OpenBLAS-0.3.21 SkylakeX"; the number of threads, which does too, and
 * the precision are the job's. */
void backend_cpu_device_class(char *text, size_t bytes);

#endif
