/* backend_cuda.cu: opening a backend on a GPU, memory and copies.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/backend_cuda.cuh"

/* --- failures ------------------------------------------------------------ */

bool gpu_fail(struct gpu *gpu, enum error_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (gpu_is_well(gpu)) {
        gpu->failure.code = code;
        vsnprintf(gpu->failure.text, sizeof gpu->failure.text, format,
                  arguments);
    }
    va_end(arguments);
    return false;
}

/* "cudaFree(memory)" is cudaFree to people, "library<REAL>::product(...)" is
 * product.  The runtime keeps an error until it is asked for; the next job's
 * first launch would be taken to have failed. */
static bool fail_call(struct gpu *gpu, bool is_memory, const char *call,
                      const char *why, int status)
{
    const char *within = strstr(call, "::");
    call = within ? within + 2 : call;
    cudaGetLastError();
    return gpu_fail(gpu, is_memory ? ERROR_MEMORY : ERROR_IO,
                    "the GPU failed in %.*s: %s (%d)", (int)strcspn(call, "("),
                    call, why, status);
}

/* A device that is unavailable has no room for one more process, by its compute
 * mode or its memory. */
bool gpu_check(struct gpu *gpu, const char *call, cudaError_t status)
{
    bool is_memory = status == cudaErrorMemoryAllocation ||
                     status == cudaErrorDevicesUnavailable;
    if (status != cudaSuccess)
        cudaGetLastError(); /* or the next job's launch finds it */
    return status == cudaSuccess ||
           fail_call(gpu, is_memory, call, cudaGetErrorString(status),
                     (int)status);
}

/* A library whose handle finds no memory to be made is not initialized, by its
 * own account; what else could bring that about is seen before. */
bool gpu_check(struct gpu *gpu, const char *call, cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ||
           fail_call(gpu,
                     status == CUBLAS_STATUS_ALLOC_FAILED ||
                         status == CUBLAS_STATUS_NOT_INITIALIZED,
                     call, cublasGetStatusString(status), (int)status);
}

bool gpu_check(struct gpu *gpu, const char *call, cusolverStatus_t status)
{
    return status == CUSOLVER_STATUS_SUCCESS ||
           fail_call(gpu,
                     status == CUSOLVER_STATUS_ALLOC_FAILED ||
                         status == CUSOLVER_STATUS_NOT_INITIALIZED,
                     call, "a status of cuSOLVER's", (int)status);
}

static bool check(struct backend *backend, struct error *error)
{
    const struct gpu *gpu = gpu_of(backend);
    if (!gpu_is_well(gpu))
        *error = gpu->failure;
    return gpu_is_well(gpu);
}

/* --- memory -------------------------------------------------------------- */

static void *take(struct gpu *gpu, size_t bytes)
{
    void *memory = NULL;
    if (bytes > PTRDIFF_MAX)
        gpu_fail(gpu, ERROR_MEMORY, "no memory for %zu bytes", bytes);
    else if (!GPU_TRY(gpu, cudaMalloc(&memory, bytes)))
        memory = NULL;
    gpu->table.taken_bytes += memory ? bytes : 0;
    return memory;
}

/* An allocation that fails ends a job that has only begun. */
static void *allocate(struct backend *backend, size_t bytes,
                      struct error *error)
{
    struct gpu *gpu = gpu_of(backend);
    void *memory = take(gpu, bytes);
    GPU_TRY(gpu, cudaMemsetAsync(memory, 0, bytes, gpu->stream));
    if (check(backend, error))
        return memory;
    backend->release(backend, memory);
    return NULL;
}

/* Waits for what still uses it, which cudaFree does not promise.  Not asked
 * whether all is well: it is given back in any case. */
static void release(struct backend *backend, void *memory)
{
    struct gpu *gpu = gpu_of(backend);
    if (!memory)
        return;
    gpu_check(gpu, "cudaStreamSynchronize", cudaStreamSynchronize(gpu->stream));
    gpu_check(gpu, "cudaFree", cudaFree(memory));
}

static void clear(struct backend *backend, void *memory, size_t bytes)
{
    struct gpu *gpu = gpu_of(backend);
    GPU_TRY(gpu, cudaMemsetAsync(memory, 0, bytes, gpu->stream));
}

/* --- copies -------------------------------------------------------------- */

/* A stage that nothing uses any more; NULL after a failure. */
static struct stage *wait_for(struct gpu *gpu, struct stage *stage)
{
    if (stage->is_busy && !GPU_TRY(gpu, cudaEventSynchronize(stage->done)))
        return NULL;
    stage->is_busy = false;
    return gpu_is_well(gpu) ? stage : NULL;
}

static bool mark(struct gpu *gpu, struct stage *stage)
{
    stage->is_busy = GPU_TRY(gpu, cudaEventRecord(stage->done, gpu->stream));
    return stage->is_busy;
}

static size_t chunk_of(size_t left)
{
    return left < CUDA_STAGE_BYTES ? left : (size_t)CUDA_STAGE_BYTES;
}

/* While one half is on its way the other is filled. */
static void copy_in(struct backend *backend, void *to, const void *host,
                    size_t bytes)
{
    struct gpu *gpu = gpu_of(backend);
    for (size_t done = 0, turn = 0; done < bytes; turn ^= 1) {
        size_t chunk = chunk_of(bytes - done);
        struct stage *stage = wait_for(gpu, &gpu->stages[turn]);
        if (!stage)
            return;
        memcpy(stage->memory, (const char *)host + done, chunk);
        if (!GPU_TRY(gpu,
                     cudaMemcpyAsync((char *)to + done, stage->memory, chunk,
                                     cudaMemcpyHostToDevice, gpu->stream)) ||
            !mark(gpu, stage))
            return;
        done += chunk;
    }
}

static bool fetch(struct gpu *gpu, struct stage *stage, const char *from,
                  size_t bytes)
{
    return wait_for(gpu, stage) &&
           GPU_TRY(gpu, cudaMemcpyAsync(stage->memory, from, bytes,
                                        cudaMemcpyDeviceToHost, gpu->stream)) &&
           mark(gpu, stage);
}

/* While one half is read the other is on its way. */
static bool fetch_all(struct gpu *gpu, char *host, const char *from,
                      size_t bytes)
{
    size_t asked = 0;
    for (size_t done = 0, turn = 0; done < bytes; turn ^= 1) {
        struct stage *stage = &gpu->stages[turn];
        size_t chunk = chunk_of(bytes - done);
        if (asked == done) {
            if (!fetch(gpu, stage, from + asked, chunk))
                return false;
            asked += chunk;
        }
        if (asked < bytes) {
            size_t next = chunk_of(bytes - asked);
            if (!fetch(gpu, &gpu->stages[turn ^ 1], from + asked, next))
                return false;
            asked += next;
        }
        if (!wait_for(gpu, stage))
            return false;
        memcpy(host + done, stage->memory, chunk);
        done += chunk;
    }
    return true;
}

static void copy_out(struct backend *backend, void *host, const void *from,
                     size_t bytes)
{
    if (!fetch_all(gpu_of(backend), (char *)host, (const char *)from, bytes))
        memset(host, 0, bytes);
}

static void assign(struct backend *backend, struct matrix to,
                   const double *from)
{
    size_t count = (size_t)to.rows * (size_t)to.cols;
    enum { PIECE = 4096 };
    float rounded[PIECE];
    if (backend->element_bytes == sizeof(double)) {
        copy_in(backend, to.values, from, count * sizeof(double));
        return;
    }
    for (size_t done = 0; done < count; done += PIECE) {
        size_t piece = count - done < PIECE ? count - done : (size_t)PIECE;
        for (size_t i = 0; i < piece; i++)
            rounded[i] = (float)from[done + i];
        copy_in(backend, (float *)to.values + done, rounded,
                piece * sizeof(float));
    }
}

static void unload(struct backend *backend, struct source *loaded)
{
    release(backend, (void *)loaded->pixels);
    loaded->pixels = loaded->labels = NULL;
}

static bool load(struct backend *backend, const struct source *from,
                 struct source *loaded, struct error *error)
{
    size_t pixels = (size_t)from->rows * (size_t)from->width;
    size_t bytes = cuda_rows_bytes(from->rows, from->width);
    uint8_t *memory = (uint8_t *)take(gpu_of(backend), bytes);
    *loaded = *from;
    loaded->pixels = memory;
    loaded->labels = memory + pixels;
    if (memory) {
        copy_in(backend, memory, from->pixels, pixels);
        copy_in(backend, memory + pixels, from->labels, (size_t)from->rows);
    }
    if (check(backend, error))
        return true;
    unload(backend, loaded);
    return false;
}

/* --- opening ------------------------------------------------------------- */

static void close_stage(struct gpu *gpu, struct stage *stage)
{
    if (stage->done)
        gpu_check(gpu, "cudaEventDestroy", cudaEventDestroy(stage->done));
    if (stage->memory)
        gpu_check(gpu, "cudaFreeHost", cudaFreeHost(stage->memory));
}

/* What is there, in the order of its making turned round.  Nobody is left to
 * tell of a failure. */
static void close_gpu(struct backend *backend)
{
    struct gpu *gpu = gpu_of(backend);
    if (gpu->stream)
        gpu_check(gpu, "cudaStreamSynchronize",
                  cudaStreamSynchronize(gpu->stream));
    for (int i = 0; i < 2; i++)
        close_stage(gpu, &gpu->stages[i]);
    if (gpu->solver)
        gpu_check(gpu, "cusolverDnDestroy", cusolverDnDestroy(gpu->solver));
    if (gpu->blas)
        gpu_check(gpu, "cublasDestroy", cublasDestroy(gpu->blas));
    release(backend, gpu->own);
    if (gpu->stream)
        gpu_check(gpu, "cudaStreamDestroy", cudaStreamDestroy(gpu->stream));
    free(gpu);
}

/* A handle can be there although its creation failed; it is none then. */
static bool open_libraries(struct gpu *gpu, bool tf32)
{
    gpu->math = tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH;
    if (!GPU_TRY(gpu, cublasCreate(&gpu->blas))) {
        gpu->blas = NULL;
        return false;
    }
    if (!GPU_TRY(gpu, cusolverDnCreate(&gpu->solver))) {
        gpu->solver = NULL;
        return false;
    }
    return GPU_TRY(gpu, cublasSetStream(gpu->blas, gpu->stream)) &&
           GPU_TRY(gpu, cublasSetWorkspace(gpu->blas, gpu->own,
                                           CUDA_WORKSPACE_BYTES)) &&
           GPU_TRY(gpu, cublasSetMathMode(gpu->blas, gpu->math)) &&
           GPU_TRY(gpu, cusolverDnSetStream(gpu->solver, gpu->stream));
}

static bool open_stage(struct gpu *gpu, struct stage *stage)
{
    return GPU_TRY(gpu,
                   cudaMallocHost((void **)&stage->memory, CUDA_STAGE_BYTES)) &&
           GPU_TRY(gpu, cudaEventCreateWithFlags(&stage->done,
                                                 cudaEventDisableTiming));
}

static bool open_gpu(struct gpu *gpu, int index, bool tf32)
{
    if (!GPU_TRY(gpu, cudaSetDevice(index)) ||
        !GPU_TRY(gpu, cudaStreamCreateWithFlags(&gpu->stream,
                                                cudaStreamNonBlocking)))
        return false;
    gpu->own = (char *)take(gpu, CUDA_OWN_BYTES);
    gpu->partials = (double *)(gpu->own + CUDA_WORKSPACE_BYTES);
    gpu->info = (int *)(gpu->partials + CUDA_PARTIALS);
    return gpu->own && open_libraries(gpu, tf32) &&
           open_stage(gpu, &gpu->stages[0]) && open_stage(gpu, &gpu->stages[1]);
}

static void fill_table(struct backend *table, bool is_double)
{
    table->dtype = is_double ? "F64" : "F32";
    table->element_bytes = is_double ? sizeof(double) : sizeof(float);
    table->close = close_gpu;
    table->check = check;
    table->allocate = allocate;
    table->release = release;
    table->copy_in = copy_in;
    table->copy_out = copy_out;
    table->clear = clear;
    table->load = load;
    table->unload = unload;
    table->assign = assign;
    gpu_fill_elements(table, is_double);
    gpu_fill_algebra(table, is_double);
}

struct backend *gpu_open(const struct device_info *info, bool is_double,
                         bool tf32, struct error *error)
{
    struct gpu *gpu = (struct gpu *)calloc(1, sizeof *gpu);
    if (!gpu) {
        error->code = ERROR_MEMORY;
        snprintf(error->text, sizeof error->text, "no memory for a backend");
        return NULL;
    }
    fill_table(&gpu->table, is_double);
    if (open_gpu(gpu, atoi(info->name + strlen("cuda:")), tf32))
        return &gpu->table;
    *error = gpu->failure;
    close_gpu(&gpu->table);
    return NULL;
}
