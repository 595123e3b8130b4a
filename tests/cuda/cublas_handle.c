/* cublas_handle.c: handles and their settings; what all calls check.
 *
 * From cuBLAS's documentation: the device "must not be changed between the
 * handle's creation and its use" (1.2, "cuBLAS Context"); bits repeat only
 * with one stream, or a workspace of one's own (1.3, "Results
 * Reproducibility"), and cublasSetStream "unconditionally resets the
 * workspace"; a workspace is aligned to 256 bytes (cublasSetWorkspace).
 */
#include "tests/cuda/cublas.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/alone.h"

static const char kind[] = "cuBLAS";

enum { WORKSPACE_ALIGNMENT = 256, SCRIBBLED_BYTES = 1024 };

size_t blas_extent(int rows, int cols, int ld, size_t element_bytes)
{
    return rows <= 0 || cols <= 0
               ? 0
               : ((size_t)(cols - 1) * (size_t)ld + (size_t)rows) *
                     element_bytes;
}

cublasStatus_t cublasCreate_v2(cublasHandle_t *made)
{
    SHIM_ENTER(code, CUBLAS_STATUS_INTERNAL_ERROR);
    if (code != 0 || shim_device_error(shim_device()) != 0) {
        return code != 0 ? (cublasStatus_t)code : CUBLAS_STATUS_NOT_INITIALIZED;
    }
    struct cublasContext *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    handle->device = shim_device();
    shim_handle_opened(handle, kind);
    *made = handle;
    return CUBLAS_STATUS_SUCCESS;
}

/* "cublasDestroy implicitly calls cudaDeviceSynchronize" is not promised for
 * every version: it is not done here. */
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    SHIM_ENTER(code, CUBLAS_STATUS_INTERNAL_ERROR);
    if (!shim_handle_closed(handle, kind)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    free(handle);
    return (cublasStatus_t)code;
}

/* Settings: the rest of an entry point that only needs an open handle. */
#define BLAS_SETTING(handle)                                                   \
    SHIM_ENTER(code, CUBLAS_STATUS_INTERNAL_ERROR);                            \
    if (code != 0) {                                                           \
        return (cublasStatus_t)code;                                           \
    }                                                                          \
    if (!shim_handle_check(handle, kind, __func__)) {                          \
        return CUBLAS_STATUS_NOT_INITIALIZED;                                  \
    }

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    BLAS_SETTING(handle)
    handle->stream = stream;
    handle->workspace = NULL;
    handle->workspace_bytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t *stream)
{
    BLAS_SETTING(handle)
    *stream = handle->stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace,
                                     size_t bytes)
{
    BLAS_SETTING(handle)
    if ((uintptr_t)workspace % WORKSPACE_ALIGNMENT != 0) {
        shim_defect("%s: %p is not aligned to %d bytes", __func__, workspace,
                    WORKSPACE_ALIGNMENT);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!shim_check(
            __func__, handle->device,
            &(struct shim_operand){"the workspace", workspace, bytes, true})) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    handle->workspace = workspace;
    handle->workspace_bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    BLAS_SETTING(handle)
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t *mode)
{
    BLAS_SETTING(handle)
    *mode = handle->math;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle,
                                       cublasPointerMode_t mode)
{
    BLAS_SETTING(handle)
    handle->pointers = mode;
    return CUBLAS_STATUS_SUCCESS;
}

/* With atomics sums have no order; results would not repeat. */
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle,
                                    cublasAtomicsMode_t mode)
{
    BLAS_SETTING(handle)
    if (mode == CUBLAS_ATOMICS_ALLOWED) {
        shim_defect("%s: with atomics the bits of results do not repeat",
                    __func__);
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int *version)
{
    BLAS_SETTING(handle)
    *version = CUBLAS_VERSION;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value)
{
    SHIM_ENTER(code, CUBLAS_STATUS_INTERNAL_ERROR);
    static const int version[] = {CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR,
                                  CUBLAS_VER_PATCH};
    if (code == 0) {
        *value = version[type];
    }
    return (cublasStatus_t)code;
}

static const struct {
    cublasStatus_t status;
    const char *name;
} statuses[] = {
    {CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS"},
    {CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED"},
    {CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED"},
    {CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE"},
    {CUBLAS_STATUS_ARCH_MISMATCH, "CUBLAS_STATUS_ARCH_MISMATCH"},
    {CUBLAS_STATUS_MAPPING_ERROR, "CUBLAS_STATUS_MAPPING_ERROR"},
    {CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED"},
    {CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR"},
    {CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED"},
};

const char *cublasGetStatusString(cublasStatus_t status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status == status) {
            return statuses[i].name;
        }
    }
    return "unknown status";
}

const char *cublasGetStatusName(cublasStatus_t status)
{
    return cublasGetStatusString(status);
}

cublasStatus_t blas_begin(struct cublasContext *handle, const char *function)
{
    if (!shim_handle_check(handle, kind, function)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    if (shim_device_error(handle->device) != 0) {
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    if (handle->device != shim_device()) {
        shim_defect("%s: the handle is of device %d, the current one is %d",
                    function, handle->device, shim_device());
        return CUBLAS_STATUS_MAPPING_ERROR;
    }
    if (!shim_is_stream_of(handle->stream, handle->device)) {
        shim_defect("%s: the stream is not of device %d", function,
                    handle->device);
        return CUBLAS_STATUS_MAPPING_ERROR;
    }
    if (handle->workspace == NULL) {
        shim_defect("%s: no workspace of its own since cublasSetStream: the "
                    "bits of results do not repeat",
                    function);
    } else if (!shim_check(
                   function, handle->device,
                   &(struct shim_operand){"the workspace", handle->workspace,
                                          handle->workspace_bytes, true})) {
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    return CUBLAS_STATUS_SUCCESS;
}

bool blas_scalar(const struct cublasContext *handle, const char *function,
                 const char *name, const void *from, size_t element_bytes,
                 struct blas_scalar *to)
{
    bool is_device = handle->pointers == CUBLAS_POINTER_MODE_DEVICE;
    *to = (struct blas_scalar){0};
    if (from == NULL || is_device != shim_is_device(from)) {
        shim_defect("%s: %s = %p, but the pointer mode is %s", function, name,
                    from, is_device ? "device" : "host");
        return false;
    }
    if (!is_device) {
        memcpy(to->bytes, from, element_bytes);
        return true;
    }
    to->on_device = from;
    return shim_check(function, handle->device,
                      &(struct shim_operand){name, from, element_bytes, false});
}

cublasStatus_t blas_check(const struct cublasContext *handle,
                          const char *function,
                          const struct shim_operand *operands, int count,
                          size_t element_bytes)
{
    for (int i = 0; i < count; i++) {
        if (operands[i].bytes != 0 &&
            (uintptr_t)operands[i].address % element_bytes != 0) {
            shim_defect("%s: %s = %p is not aligned to its elements", function,
                        operands[i].name, operands[i].address);
            return CUBLAS_STATUS_INVALID_VALUE;
        }
        if (!shim_check(function, handle->device, &operands[i])) {
            return CUBLAS_STATUS_EXECUTION_FAILED;
        }
    }
    return shim_check_overlap(function, operands, count)
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_INVALID_VALUE;
}

/* The library may use its workspace whenever it computes: both ends are
 * scribbled over, all of it would take longer than the job. */
struct queued {
    struct blas_job job;
    void (*run)(void *job);
};

static void run_queued(void *context)
{
    struct queued *queued = context;
    const struct cublasContext *with = &queued->job.with;
    if (with->workspace != NULL) {
        size_t bytes = with->workspace_bytes;
        size_t part = bytes < SCRIBBLED_BYTES ? bytes : SCRIBBLED_BYTES;
        memset(with->workspace, 0xff, part);
        memset((char *)with->workspace + bytes - part, 0xff, part);
    }
    run_alone(queued->run, &queued->job);
}

cublasStatus_t blas_enqueue(const char *function, struct blas_job job,
                            void (*run)(void *job))
{
    struct queued *queued = malloc(sizeof *queued);
    if (queued == NULL) {
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    job.with = *job.handle;
    *queued = (struct queued){job, run};
    return shim_enqueue(job.handle->stream, function, run_queued, queued) == 0
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_EXECUTION_FAILED;
}

static int translated(const char *what, int value, const int *table, int count)
{
    if (value < 0 || value >= count || table[value] == 0) {
        shim_defect("%s %d is none, or not replaced", what, value);
        return 0;
    }
    return table[value];
}

int blas_op(cublasOperation_t op)
{
    static const int table[] = {
        [CUBLAS_OP_N] = CblasNoTrans,
        [CUBLAS_OP_T] = CblasTrans,
        [CUBLAS_OP_C] = CblasTrans, /* real numbers */
    };
    return translated("operation", op, table, 3);
}

int blas_uplo(cublasFillMode_t uplo)
{
    static const int table[] = {[CUBLAS_FILL_MODE_LOWER] = CblasLower,
                                [CUBLAS_FILL_MODE_UPPER] = CblasUpper};
    return translated("fill mode", uplo, table, 2);
}

int blas_side(cublasSideMode_t side)
{
    static const int table[] = {
        [CUBLAS_SIDE_LEFT] = CblasLeft, [CUBLAS_SIDE_RIGHT] = CblasRight};
    return translated("side", side, table, 2);
}

int blas_diagonal(cublasDiagType_t diagonal)
{
    static const int table[] = {
        [CUBLAS_DIAG_NON_UNIT] = CblasNonUnit, [CUBLAS_DIAG_UNIT] = CblasUnit};
    return translated("diagonal", diagonal, table, 2);
}
