#include "worker/engine/device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/backend.h"
#include "worker/engine/backend_cpu.h"
#include "worker/engine/plugin.h"

struct device {
    struct device_info info;
    void *library;               /* NULL: the CPU */
    const struct plugin *plugin; /* in the library */
};

static bool is_cpu(const char *name)
{
    return strcmp(name, "cpu") == 0;
}

/* Wishes of the environment about how products are rounded, which are no part
 * of what a job or a device class is. */
static void forget_wishes(void)
{
    static const char *const names[] = {
        "NVIDIA_TF32_OVERRIDE",
        "CUBLAS_EMULATE_SINGLE_PRECISION",
        "CUBLAS_EMULATE_DOUBLE_PRECISION",
        "CUBLAS_EMULATION_STRATEGY",
        "CUBLAS_FIXEDPOINT_EMULATION_MANTISSA_BIT_COUNT",
        "CUBLAS_WORKSPACE_CONFIG",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

/* Lazy binding would put off what is missing to the middle of a job, and a
 * global one would let CUDA's names meet ours.  CUDA leaves threads and exit
 * handlers behind, so its code stays once it is there. */
static bool open_library(struct device *device, const char *path,
                         struct error *error)
{
    forget_wishes();
    device->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!device->library)
        return error_set(error, ERROR_NOT_FOUND, "no GPU: %s", dlerror());
    device->plugin = dlsym(device->library, PLUGIN_SYMBOL);
    if (!device->plugin)
        return error_set(error, ERROR_PROTOCOL,
                         "no GPU: \"%s\" is no plugin of gaitd's: it has no "
                         "symbol \"" PLUGIN_SYMBOL "\"",
                         path);
    if (device->plugin->abi != PLUGIN_ABI)
        return error_set(error, ERROR_PROTOCOL,
                         "no GPU: \"%s\" has interface version %d, expected "
                         "%d: it is of another build",
                         path, device->plugin->abi, PLUGIN_ABI);
    return device->plugin->backend_bytes == sizeof(struct backend) ||
           error_set(error, ERROR_PROTOCOL,
                     "no GPU: \"%s\" has a table of %zu bytes, expected %zu: "
                     "it is of another build",
                     path, device->plugin->backend_bytes,
                     sizeof(struct backend));
}

static bool find(struct device *device, const char *name, const char *plugin,
                 struct error *error)
{
    struct device_info *info = &device->info;
    if (is_cpu(name)) {
        snprintf(info->name, sizeof info->name, "%s", name);
        backend_cpu_device_class(info->class_text, sizeof info->class_text);
        return true;
    }
    if (strncmp(name, "cuda", 4) || (name[4] && name[4] != ':'))
        return error_set(error, ERROR_NOT_FOUND,
                         "no device \"%s\", expected cpu, cuda, cuda:INDEX or "
                         "cuda:UUID",
                         name);
    return open_library(device, plugin, error) &&
           device->plugin->find(name, info, error);
}

struct device *device_open(const char *name, const char *plugin,
                           struct error *error)
{
    struct device *device = calloc(1, sizeof *device);
    if (!device) {
        error_set(error, ERROR_MEMORY, "no memory for a device");
        return NULL;
    }
    if (find(device, name, plugin, error))
        return device;
    device_close(device);
    return NULL;
}

void device_close(struct device *device)
{
    if (!device)
        return;
    if (device->library)
        dlclose(device->library);
    free(device);
}

const struct device_info *device_info(const struct device *device)
{
    return &device->info;
}

struct backend *device_backend(struct device *device,
                               const struct settings *settings,
                               struct error *error)
{
    bool is_double = strcmp(settings->precision, "float64") == 0;
    if (!device->plugin)
        return backend_cpu_open(settings->precision, (int)settings->threads,
                                error);
    return device->plugin->open(&device->info, is_double,
                                settings->tf32 && !is_double, error);
}
