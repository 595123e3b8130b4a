/* cudart_launch.c: what nvcc's host code calls to start a kernel.
 *
 * A kernel is looked up by its mangled name in the library of simulated
 * kernels that GPUSIM_KERNELS names, and its arguments are copied as the stub
 * passes them.  Limits: CUDA C++ programming guide, "Technical Specifications
 * per Compute Capability". */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/gpusim.h"
#include "tests/cuda/rig.h"
#include "tests/cuda/shim_inside.h"

enum { KERNELS = 512, MODULES = 16, CONFIGURATIONS = 8, SHARED_BYTES = 49152 };

/* As crt/device_functions.h and crt/host_runtime.h declare them, in C. */
void **__cudaRegisterFatBinary(void *binary);
void __cudaRegisterFatBinaryEnd(void **module);
void __cudaUnregisterFatBinary(void **module);
void __cudaRegisterFunction(void **module, const char *host, char *device,
                            const char *name, int thread_limit, uint3 *thread,
                            uint3 *block, dim3 *block_size, dim3 *grid_size,
                            int *warp_size);
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared,
                                     struct CUstream_st *stream);
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared,
                                       void *stream);
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block,
                               void **arguments, size_t shared,
                               cudaStream_t stream);

struct kernel {
    const void *host;
    const char *mangled;
    void **module; /* NULL: unregistered */
    const struct gpusim_kernel *body;
};

struct launch {
    const struct gpusim_kernel *kernel;
    struct gpusim_launch how;
    int device;
    void *arguments[GPUSIM_ARGUMENTS];
    _Alignas(16) char values[];
};

static struct kernel kernels[KERNELS];
static int kernel_count;
static void *modules[MODULES];
static int module_count;
static int running_device;

static struct {
    const struct gpusim_kernel *(*find)(const char *mangled);
    int (*run)(const struct gpusim_host *host,
               const struct gpusim_kernel *kernel,
               const struct gpusim_launch *launch);
} simulator;

static __thread struct {
    dim3 grid, block;
    size_t shared;
    void *stream;
} configurations[CONFIGURATIONS];
static __thread int configuration_count;

static void *fail(const char *what)
{
    fprintf(stderr, "cudashim: %s\n", what);
    exit(RIG_EXIT);
}

static void load_simulator(void)
{
    const char *path = getenv("GPUSIM_KERNELS");
    void *library = dlopen(path != NULL ? path : "libgpusim_kernels.so",
                           RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fail(dlerror());
    }
    void *find = dlsym(library, "gpusim_find");
    void *run = dlsym(library, "gpusim_run");
    if (find == NULL || run == NULL) {
        fail("GPUSIM_KERNELS is no library of simulated kernels");
    }
    memcpy(&simulator.find, &find, sizeof find);
    memcpy(&simulator.run, &run, sizeof run);
}

void **__cudaRegisterFatBinary(void *binary)
{
    if (module_count == MODULES) {
        return fail("too many modules");
    }
    modules[module_count] = binary;
    return &modules[module_count++];
}

void __cudaRegisterFatBinaryEnd(void **module)
{
    (void)module;
}

void __cudaUnregisterFatBinary(void **module)
{
    for (int i = 0; i < kernel_count; i++) {
        if (kernels[i].module == module) {
            kernels[i] = kernels[--kernel_count];
            i--;
        }
    }
}

void __cudaRegisterFunction(void **module, const char *host, char *device,
                            const char *name, int thread_limit, uint3 *thread,
                            uint3 *block, dim3 *block_size, dim3 *grid_size,
                            int *warp_size)
{
    (void)name, (void)thread_limit, (void)thread, (void)block;
    (void)block_size, (void)grid_size, (void)warp_size;
    if (kernel_count == KERNELS) {
        fail("too many kernels");
    }
    kernels[kernel_count++] =
        (struct kernel){.host = host, .mangled = device, .module = module};
}

static const struct gpusim_kernel *body_of(const void *host)
{
    for (int i = 0; i < kernel_count; i++) {
        struct kernel *it = &kernels[i];
        if (it->host != host) {
            continue;
        }
        if (simulator.find == NULL) {
            load_simulator();
        }
        if (it->body == NULL) {
            it->body = simulator.find(it->mangled);
        }
        if (it->body == NULL) {
            shim_defect("kernel %s is not in GPUSIM_KERNELS", it->mangled);
        }
        return it->body;
    }
    shim_defect("%p is no kernel", host);
    return NULL;
}

/* The stub keeps the handle, in a static that dlclose takes with it. */
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host)
{
    SHIM_ENTER(code, cudaErrorInvalidDeviceFunction);
    const struct gpusim_kernel *body = body_of(host);
    memcpy(kernel, &body, sizeof body);
    if (body == NULL) {
        return error_note(cudaErrorInvalidDeviceFunction);
    }
    return error_note((cudaError_t)code);
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared,
                                     struct CUstream_st *stream)
{
    if (configuration_count == CONFIGURATIONS) {
        return 1;
    }
    int i = configuration_count++;
    configurations[i].grid = grid;
    configurations[i].block = block;
    configurations[i].shared = shared;
    configurations[i].stream = stream;
    return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared,
                                       void *stream)
{
    int i = --configuration_count;
    *grid = configurations[i].grid;
    *block = configurations[i].block;
    *shared = configurations[i].shared;
    memcpy(stream, &configurations[i].stream, sizeof(void *));
    return cudaSuccess;
}

static size_t bytes_from(const void *address, size_t *before)
{
    const struct allocation *it = memory_find(address);
    const char *at = address;
    if (it == NULL || it->residence == FREED || it->device != running_device ||
        at < it->address || at >= it->address + it->bytes) {
        return 0;
    }
    *before = (size_t)(at - it->address);
    return it->bytes - *before;
}

static void run(void *context)
{
    static struct gpusim_host host = {
        .on_defect = shim_defect,
        .bytes_from = bytes_from,
        .describe = memory_describe,
    };
    struct launch *launch = context;
    memory_range(&host.memory, &host.memory_bytes);
    running_device = launch->device;
    launch->how.arguments = launch->arguments;
    launch->how.seed = (uint64_t)shim_setting("GPUSIM_SEED", 0);
    if (simulator.run(&host, launch->kernel, &launch->how) != 0) {
        device_fail(launch->device, cudaErrorLaunchFailure);
    }
}

static bool is_launchable(const struct gpusim_kernel *kernel, dim3 grid,
                          dim3 block, size_t shared)
{
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    bool is_good =
        grid.x != 0 && grid.y != 0 && grid.z != 0 && grid.x <= 2147483647u &&
        grid.y <= 65535 && grid.z <= 65535 && threads != 0 && threads <= 1024 &&
        block.z <= 64 && shared <= SHARED_BYTES &&
        (kernel->block_most == 0 || threads <= (uint64_t)kernel->block_most);
    if (!is_good) {
        shim_defect("launch of %s: grid (%u, %u, %u), block (%u, %u, %u) of at "
                    "most %d threads, %zu shared bytes",
                    kernel->name, grid.x, grid.y, grid.z, block.x, block.y,
                    block.z, kernel->block_most, shared);
    }
    return is_good;
}

static struct launch *prepare(const struct gpusim_kernel *kernel, dim3 grid,
                              dim3 block, void **arguments, size_t shared)
{
    enum { ALIGNMENT = 16 };
    size_t bytes = 0;
    for (int i = 0; i < kernel->argument_count; i++) {
        bytes += (kernel->argument_bytes[i] + ALIGNMENT - 1) & ~15u;
    }
    struct launch *launch = aligned_alloc(
        ALIGNMENT, (sizeof *launch + bytes + ALIGNMENT - 1) & ~(size_t)15);
    if (launch == NULL) {
        abort();
    }
    *launch = (struct launch){
        .kernel = kernel,
        .how = {.grid = {grid.x, grid.y, grid.z},
                .block = {block.x, block.y, block.z},
                .shared_bytes = shared},
        .device = shim_device(),
    };
    char *at = launch->values;
    for (int i = 0; i < kernel->argument_count; i++) {
        memcpy(at, arguments[i], kernel->argument_bytes[i]);
        launch->arguments[i] = at;
        at += (kernel->argument_bytes[i] + ALIGNMENT - 1) & ~15u;
    }
    return launch;
}

static cudaError_t start(const struct gpusim_kernel *kernel, dim3 grid,
                         dim3 block, void **arguments, size_t shared,
                         cudaStream_t handle)
{
    cudaError_t error = (cudaError_t)shim_device_error(shim_device());
    if (kernel == NULL || error != cudaSuccess) {
        return error_note(
            error != cudaSuccess ? error : cudaErrorInvalidDeviceFunction);
    }
    if (!is_launchable(kernel, grid, block, shared)) {
        return error_note(cudaErrorInvalidConfiguration);
    }
    /* "A kernel launch will fail if it is issued to a stream that is not
     * associated to the current device" (Multi-Device System). */
    struct CUstream_st *stream = stream_of(handle, kernel->name);
    if (stream == NULL || stream->device != shim_device()) {
        if (stream != NULL) {
            shim_defect("launch of %s: the stream is of device %d, not %d",
                        kernel->name, stream->device, shim_device());
        }
        return error_note(cudaErrorInvalidResourceHandle);
    }
    return error_note((cudaError_t)shim_enqueue(
        handle, kernel->name, run,
        prepare(kernel, grid, block, arguments, shared)));
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block,
                               void **arguments, size_t shared,
                               cudaStream_t stream)
{
    SHIM_ENTER(code, cudaErrorLaunchOutOfResources);
    return code != 0 ? error_note((cudaError_t)code)
                     : start((const struct gpusim_kernel *)kernel, grid, block,
                             arguments, shared, stream);
}

cudaError_t cudaLaunchKernel(const void *host, dim3 grid, dim3 block,
                             void **arguments, size_t shared,
                             cudaStream_t stream)
{
    SHIM_ENTER(code, cudaErrorLaunchOutOfResources);
    return code != 0
               ? error_note((cudaError_t)code)
               : start(body_of(host), grid, block, arguments, shared, stream);
}

struct host_function {
    cudaHostFn_t function;
    void *data;
};

static void call(void *context)
{
    const struct host_function *it = context;
    it->function(it->data);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function,
                               void *data)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    struct CUstream_st *stream = stream_of(handle, __func__);
    struct host_function *context = malloc(sizeof *context);
    if (code != 0 || stream == NULL || context == NULL) {
        free(context);
        return error_note(code != 0 ? (cudaError_t)code
                                    : cudaErrorInvalidResourceHandle);
    }
    *context = (struct host_function){function, data};
    return error_note(
        stream_enqueue(stream, &(struct operation){.label = "a host function",
                                                   .run = call,
                                                   .context = context,
                                                   .is_host = true}));
}

cudaError_t cudaFuncSetAttribute(const void *function,
                                 enum cudaFuncAttribute attribute, int value)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    (void)attribute;
    if (code == 0 && value > SHARED_BYTES) {
        shim_defect("%s: %d: more than %d bytes of shared memory are not "
                    "replaced",
                    __func__, value, SHARED_BYTES);
        return error_note(cudaErrorInvalidValue);
    }
    return error_note(code != 0 ? (cudaError_t)code
                      : body_of(function) != NULL
                          ? cudaSuccess
                          : cudaErrorInvalidDeviceFunction);
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes,
                                  const void *function)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    const struct gpusim_kernel *body = body_of(function);
    if (code != 0 || body == NULL) {
        return error_note(code != 0 ? (cudaError_t)code
                                    : cudaErrorInvalidDeviceFunction);
    }
    *attributes = (struct cudaFuncAttributes){
        .maxThreadsPerBlock = body->block_most != 0 ? body->block_most : 1024,
        .ptxVersion = 75,
        .binaryVersion = 75,
    };
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks,
                                                          const void *function,
                                                          int block_size,
                                                          size_t shared)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    (void)shared;
    if (code != 0 || body_of(function) == NULL || block_size <= 0) {
        return error_note(code != 0 ? (cudaError_t)code
                                    : cudaErrorInvalidValue);
    }
    *blocks = 1024 / block_size;
    return cudaSuccess;
}
