/* backend_cuda_find.cu: the plugin: finding a GPU, and what it is. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/backend_cuda.cuh"

__attribute__((format(printf, 3, 4))) static bool
refuse(struct error *error, enum error_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

/* 35 is what a runtime without a driver says, and one with an older driver;
 * 34 a library that stands in for the driver where programs are built. */
static bool refuse_device(struct error *error, cudaError_t status)
{
    int driver = 0, runtime = 0;
    if (status == cudaErrorStubLibrary)
        return refuse(error, ERROR_NOT_FOUND,
                      "no GPU: the library of the driver (libcuda.so.1) is a "
                      "stub, for building only");
    if (status == cudaErrorNoDevice)
        return refuse(error, ERROR_NOT_FOUND,
                      "no GPU: the NVIDIA driver shows none "
                      "(CUDA_VISIBLE_DEVICES may hide it)");
    bool is_known = cudaDriverGetVersion(&driver) == cudaSuccess &&
                    cudaRuntimeGetVersion(&runtime) == cudaSuccess;
    if (status == cudaErrorInsufficientDriver && is_known && driver)
        return refuse(error, ERROR_NOT_FOUND,
                      "no GPU: the NVIDIA driver is for CUDA %d.%d, expected "
                      "%d.%d or later",
                      driver / 1000, driver % 1000 / 10, runtime / 1000,
                      runtime % 1000 / 10);
    if (status == cudaErrorInsufficientDriver)
        return refuse(error, ERROR_NOT_FOUND,
                      "no GPU: there is no NVIDIA driver");
    return refuse(error, ERROR_NOT_FOUND, "no GPU: %s (%d)",
                  cudaGetErrorString(status), (int)status);
}

static void print_uuid(const cudaUUID_t *uuid, char text[DEVICE_TEXT_BYTES])
{
    int length = snprintf(text, DEVICE_TEXT_BYTES, "GPU");
    for (int i = 0; i < 16; i++)
        length += snprintf(
            text + length, (size_t)(DEVICE_TEXT_BYTES - length),
            i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
            (unsigned char)uuid->bytes[i]);
}

/* An instance of a divided GPU is a device of its own, with another prefix. */
static bool is_uuid(const char *wanted, const char *uuid)
{
    if (!strncasecmp(wanted, "MIG-", 4) || !strncasecmp(wanted, "GPU-", 4))
        wanted += 4;
    return !strcasecmp(wanted, uuid + 4);
}

static bool library_version(int (*get)(libraryPropertyType, int *),
                            int version[3])
{
    return get(MAJOR_VERSION, &version[0]) == 0 &&
           get(MINOR_VERSION, &version[1]) == 0 &&
           get(PATCH_LEVEL, &version[2]) == 0;
}

static int blas_property(libraryPropertyType type, int *value)
{
    return (int)cublasGetProperty(type, value);
}

static int solver_property(libraryPropertyType type, int *value)
{
    return (int)cusolverGetProperty(type, value);
}

/* Libraries choose their ways by architecture and number of processors. */
static bool describe_class(struct device_info *info, struct error *error)
{
    int blas[3], solver[3];
    if (!library_version(blas_property, blas) ||
        !library_version(solver_property, solver))
        return refuse(error, ERROR_IO,
                      "no GPU: cuBLAS or cuSOLVER does not tell its version");
    snprintf(info->class_text, sizeof info->class_text,
             "cuda-%d.%d cublas-%d.%d.%d cusolver-%d.%d.%d sm_%d x%d %.48s",
             info->runtime / 1000, info->runtime % 1000 / 10, blas[0], blas[1],
             blas[2], solver[0], solver[1], solver[2], info->capability,
             info->processors, info->model);
    return true;
}

static bool describe(int index, struct device_info *info, struct error *error)
{
    struct cudaDeviceProp properties;
    cudaError_t status = cudaGetDeviceProperties(&properties, index);
    if (status == cudaSuccess)
        status = cudaDriverGetVersion(&info->driver);
    if (status == cudaSuccess)
        status = cudaRuntimeGetVersion(&info->runtime);
    if (status != cudaSuccess)
        return refuse_device(error, status);
    snprintf(info->name, sizeof info->name, "cuda:%d", index);
    snprintf(info->model, sizeof info->model, "%.*s", DEVICE_TEXT_BYTES - 1,
             properties.name);
    print_uuid(&properties.uuid, info->uuid);
    info->capability = properties.major * 10 + properties.minor;
    info->processors = properties.multiProcessorCount;
    info->memory_bytes = (int64_t)properties.totalGlobalMem;
    return describe_class(info, error);
}

static bool find_uuid(const char *wanted, int count, struct device_info *info,
                      struct error *error)
{
    for (int i = 0; i < count; i++) {
        if (!describe(i, info, error))
            return false;
        if (is_uuid(wanted, info->uuid))
            return true;
    }
    return refuse(error, ERROR_NOT_FOUND,
                  "no GPU \"%.80s\" among the %d that are visible", wanted,
                  count);
}

static bool find_named(const char *name, struct device_info *info,
                       struct error *error)
{
    const char *wanted = name[4] ? name + strlen("cuda:") : "0";
    char *end;
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0)
        return refuse_device(error, status != cudaSuccess ? status
                                                          : cudaErrorNoDevice);
    long index = strtol(wanted, &end, 10);
    if (end == wanted || *end)
        return find_uuid(wanted, count, info, error);
    if (index < 0 || index >= count)
        return refuse(error, ERROR_NOT_FOUND,
                      "no GPU %ld, expected 0 to %d, or a UUID", index,
                      count - 1);
    return describe((int)index, info, error);
}

/* Older ones have no code here, and none that could be made into theirs. */
static bool find(const char *name, struct device_info *info,
                 struct error *error)
{
    enum { LEAST = 75 };
    return find_named(name, info, error) &&
           (info->capability >= LEAST ||
            refuse(error, ERROR_NOT_FOUND,
                   "no GPU: %s (%.60s) has compute capability %d.%d, expected "
                   "%d.%d or later",
                   info->name, info->model, info->capability / 10,
                   info->capability % 10, LEAST / 10, LEAST % 10));
}

extern "C" __attribute__((visibility("default")))
const struct plugin gait_plugin = {PLUGIN_ABI, sizeof(struct backend), find,
                                   gpu_open};
