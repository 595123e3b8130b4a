#include "worker/engine/backend_cpu.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/backend.h"

struct backend *backend_cpu_open(const char *precision, int threads,
                                 struct error *error)
{
    struct backend *backend = malloc(sizeof *backend);
    if (!backend) {
        error_set(error, ERROR_MEMORY, "no memory for a backend");
        return NULL;
    }
    bool is_double = strcmp(precision, "float64") == 0;
    *backend = is_double ? backend_cpu_f64 : backend_cpu_f32;
    openblas_set_num_threads(threads);
    return backend;
}

/* The configuration starts with "OpenBLAS 0.3.21 ". */
void backend_cpu_device_class(char *text, size_t bytes)
{
    const char *version = strchr(openblas_get_config(), ' ');
    version = version ? version + 1 : "unknown";
    snprintf(text, bytes, "cpu OpenBLAS-%.*s %s", (int)strcspn(version, " "),
             version, openblas_get_corename());
}
