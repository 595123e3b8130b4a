/* plugin.h: what a shared object with a backend exports.
 *
 * It is opened with dlopen and asked for PLUGIN_SYMBOL.  Whatever of this
 * header, device.h or backend.h changes shape counts PLUGIN_ABI up.  No type
 * of CUDA's is named here.
 */
#ifndef ENGINE_PLUGIN_H
#define ENGINE_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "schema/error.h"

struct backend;
struct device_info;

#define PLUGIN_SYMBOL "gait_plugin"
enum { PLUGIN_ABI = 2 };

struct plugin {
    int abi;              /* PLUGIN_ABI; what follows depends on it */
    size_t backend_bytes; /* sizeof(struct backend) */

    /* Finds the device of that name (device.h) and says what it is. */
    bool (*find)(const char *name, struct device_info *info,
                 struct error *error);
    /* A backend for one job on that device; it serves one thread. */
    struct backend *(*open)(const struct device_info *info, bool is_double,
                            bool tf32, struct error *error);
};

#endif
